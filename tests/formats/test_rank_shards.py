"""What ranks write into safetensors, held against torch's own reader and the tensors that were saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp

import paraminspect
from paraminspect.checks.check import check_source
from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from tests.making.distributed import Box, grid
from tests.making.newer_torch import ALONE

hf_storage = pytest.importorskip("torch.distributed.checkpoint.hf_storage", reason="takes torch 2.8")

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed")

TENSORS = {
    "rows": torch.randn(7, 5),
    "grid": torch.randn(5, 6).bfloat16(),
    "line": torch.arange(10),
    "whole": torch.tensor(3.5),
    "kept": torch.ones(2, 3, dtype=torch.int8),
}
PARTS = {"rows": (3, 1), "grid": (2, 2), "line": (4,)}
BOXES: dict[str, list[Box]] = {
    name: grid(value.shape, PARTS.get(name, (1,) * value.ndim)) for name, value in TENSORS.items()
}


def save(folder: Path, boxes: dict[str, list[Box]] = BOXES, *, models: int = 1, **info: Any) -> Path:
    """As `HuggingFaceStorageWriter` does for ranks of which number n has piece n of each tensor."""
    folder.mkdir(exist_ok=True)
    files: dict[tuple[int, int], dict[str, Box]] = {}
    for at, (name, its) in enumerate(boxes.items()):
        for rank, box in enumerate(its):
            files.setdefault((rank, at % models), {})[name] = box
    for (rank, model), its in files.items():
        parts = {
            name: TENSORS[name][tuple(slice(at, at + size) for at, size in zip(begin, sizes, strict=True))].clone()
            for name, (begin, sizes) in its.items()
        }
        offsets = {name: {"saved_offsets": list(begin)} for name, (begin, _) in its.items()}
        offsets |= {name: value for name, value in info.items() if name in its or name not in TENSORS}
        metadata = {"DCP_SHARDING_INFO": json.dumps(offsets), "DCP_VERSION": "1.0", "format": "pt"}
        path = folder / f"shard-{rank + 1:05}-model-{model + 1:05}-of-{models:05}.safetensors"
        safetensors.torch.save_file(parts, path, metadata)
    return folder


@pytest.mark.parametrize("models", [1, 2])
def test_like_torch(tmp_path: Path, models: int) -> None:
    folder = save(tmp_path / "m", models=models)
    checkpoint = open_source(folder)
    assert {each.name: each.shape for each in checkpoint.tensors} == {k: tuple(v.shape) for k, v in TENSORS.items()}
    assert (checkpoint.format, checkpoint.notes) == ("sharded safetensors", ())
    assert checkpoint.metadata == {"format": "pt"}
    assert len(checkpoint.files) == len(list(folder.iterdir()))
    found = {name: torch.zeros_like(value) for name, value in TENSORS.items()}
    dcp.load(found, storage_reader=hf_storage.HuggingFaceStorageReader(str(folder)), **ALONE)
    for record in checkpoint.tensors:
        assert torch.equal(found[record.name], TENSORS[record.name])
        assert read_tensor(record).astype("f8").tolist() == found[record.name].double().tolist(), record.name
    assert check_source(folder) == [each for each in check_source(folder) if each.code == "mixed-dtypes"]


def test_as_one_file(tmp_path: Path) -> None:
    folder = save(tmp_path / "m")
    paraminspect.convert(folder, tmp_path / "one.safetensors")
    back = safetensors.torch.load_file(tmp_path / "one.safetensors")
    assert back.keys() == TENSORS.keys()
    assert all(torch.equal(back[name], value) for name, value in TENSORS.items())
    assert not paraminspect.diff(folder, tmp_path / "one.safetensors").changes
    with safetensors.safe_open(tmp_path / "one.safetensors", "pt") as file:
        assert "DCP_SHARDING_INFO" not in (file.metadata() or {})


def test_a_rank_is_missing(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (folder / "shard-00002-model-00001-of-00001.safetensors").unlink()
    checkpoint = open_source(folder)
    (note,) = checkpoint.notes
    assert note.startswith("not whole: ")
    assert "'rows' (its pieces hold 20 of 35 elements)" in note
    found = {each.name: each.code for each in check_source(folder) if each.severity == "error"}
    assert found == {"rows": "hole", "grid": "hole", "line": "hole"}
    with pytest.raises(CheckpointError, match="hold 20 of 35"):
        read_tensor(next(each for each in checkpoint.tensors if each.name == "rows"))


def test_a_rank_of_another_run_is_there(tmp_path: Path) -> None:
    save(tmp_path)
    file = tmp_path / "shard-00002-model-00001-of-00001.safetensors"
    (tmp_path / "shard-00009-model-00001-of-00001.safetensors").write_bytes(file.read_bytes())
    found = {each.name: (each.code, each.message) for each in check_source(tmp_path) if each.severity == "error"}
    assert found == dict.fromkeys(("rows", "grid", "line"), ("overlap", "its pieces overlap"))


def test_one_of_the_files_says_that_it_is_a_part(tmp_path: Path) -> None:
    save(tmp_path)
    checkpoint = open_source(tmp_path / "shard-00002-model-00001-of-00001.safetensors")
    assert {each.name: each.shape for each in checkpoint.tensors}["rows"] == (3, 5)
    assert checkpoint.notes == ("what one rank has of each tensor: name the folder for all of them",)


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"rows": {}}, "does not say where its part of 'rows' belongs"),
        ({"rows": [0, 0]}, "does not say where"),
        ({"rows": {"saved_offsets": [0]}}, "does not say where"),
        ({"rows": {"saved_offsets": [0, -1]}}, "negative"),
        ({"rows": {"saved_offsets": [0, "1"]}}, "no integer"),
        ({f"more{n}": {"saved_offsets": [0]} for n in range(30)}, "more tensors than it holds"),
        ({"rows": {"saved_offsets": [2**62, 2**62]}}, "elements"),
    ],
)
def test_offsets_that_make_no_sense(tmp_path: Path, info: dict[str, Any], message: str) -> None:
    with pytest.raises((MalformedError, LimitExceededError), match=message):
        open_source(save(tmp_path, **info))
