"""What users check of a model that ranks have written: replicas that are equal, shards that are not, other world sizes."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from tests.making.running import run_here


def replicas_and_shards(folder: Path, **changed: dict[str, torch.Tensor]) -> list[str]:
    """A file of each of two ranks: a norm that both have, and rows of a weight."""
    drawn = torch.Generator().manual_seed(4)
    norm, weight = torch.randn(64, generator=drawn), torch.randn(8, 64, generator=drawn)
    files = []
    for rank, name in enumerate(("rank0", "rank1")):
        tensors = {"norm.weight": norm.clone(), "fc.weight": weight[4 * rank : 4 * rank + 4].clone()}
        save_file(tensors | changed.get(name, {}), folder / f"{name}.safetensors")
        files.append(str(folder / f"{name}.safetensors"))
    return files


def equal_names(files: list[str]) -> list[set[str]]:
    result = run_here("shared", "--equal", *files, "-f", "jsonl")
    assert result.status == 0
    groups = [json.loads(line) for line in result.stdout.splitlines()]
    return [{group["name"], *group["aliases"]} for group in groups]


@pytest.mark.parametrize("fault", ["", "replica", "shard"])
def test_replicas_are_equal_and_shards_are_not(tmp_path: Path, fault: str) -> None:
    changed = {}
    if fault == "replica":  # one rank has gone its own way
        changed = {"rank1": {"norm.weight": torch.randn(64)}}
    if fault == "shard":  # both ranks have written the same rows
        rows = torch.randn(4, 64)
        changed = {"rank0": {"fc.weight": rows}, "rank1": {"fc.weight": rows.clone()}}
    files = replicas_and_shards(tmp_path, **changed)
    found = " ".join(" ".join(sorted(names)) for names in equal_names(files))
    assert ("norm.weight" in found) == (fault != "replica")
    assert ("fc.weight" in found) == (fault == "shard")
    told = run_here("diff", "--only", "values", *files).stdout
    assert ("norm.weight" in told) == (fault == "replica")
    assert ("fc.weight" in told) == (fault != "shard")


def write_dcp(folder: Path, tensors: dict[str, torch.Tensor], ranks: int) -> str:
    """The folder that so many ranks write, each its rows of every tensor."""
    folder.mkdir()
    entries, storage = {}, {}
    files = [bytearray() for _ in range(ranks)]
    for name, tensor in tensors.items():
        chunks, begin = [], 0
        for rank, rows in enumerate(torch.chunk(tensor, ranks)):
            at = torch.Size([begin, *[0] * (tensor.dim() - 1)])
            chunks.append(ChunkStorageMetadata(at, rows.shape))
            piece = io.BytesIO()
            torch.save(rows.clone(), piece)
            storage[MetadataIndex(name, at, rank)] = _StorageInfo(
                f"__{rank}_0.distcp", len(files[rank]), len(piece.getvalue())
            )
            files[rank] += piece.getvalue()
            begin += len(rows)
        entries[name] = TensorStorageMetadata(TensorProperties(dtype=tensor.dtype), tensor.shape, chunks)
    for rank, data in enumerate(files):
        (folder / f"__{rank}_0.distcp").write_bytes(data)
    planned = {name: tuple(name.split(".")) for name in tensors}
    (folder / ".metadata").write_bytes(pickle.dumps(Metadata(entries, planned, storage)))
    return str(folder)


def test_one_model_of_different_world_sizes_does_not_differ(tmp_path: Path) -> None:
    drawn = torch.Generator().manual_seed(5)
    model = {
        "embed.weight": torch.randn(101, 24, generator=drawn),
        "fc.weight": torch.randn(7, 24, generator=drawn).bfloat16(),
        "fc.bias": torch.randn(9, generator=drawn),
    }
    one, two, three = (write_dcp(tmp_path / str(ranks), model, ranks) for ranks in (1, 2, 3))
    for other in (two, three):
        assert run_here("diff", one, other)[:2] == (0, "")
        assert run_here("diff", other, two)[:2] == (0, "")
    model["fc.bias"] = model["fc.bias"] + 1
    changed = write_dcp(tmp_path / "changed", model, 3)
    result = run_here("diff", one, changed, "--columns", "name,change")
    assert (result.status, result.stdout) == (1, "fc.bias\tvalues\n")
