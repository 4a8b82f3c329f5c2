"""Bytes of stored tensors, held against what torch and safetensors load."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.formats.source import open_source
from paraminspect.values import contents
from paraminspect.values.contents import StoredContents


def content(path: Path) -> dict[str, bytes]:
    checkpoint = open_source(path)
    stored = StoredContents(checkpoint)
    return {record.name: b"".join(stored.pieces(record)) for record in checkpoint.tensors}


def bytes_of(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(60.0).reshape(5, 12)
    return {
        "whole": base,
        "transposed": base.t(),
        "columns": base[:, 1::3],
        "rows": base[2:],
        "row": base[2:3],
        "bfloat16": base.bfloat16().t(),
        "float8": base.to(torch.float8_e4m3fn),
        "bool": base > 30,
        "scalar": torch.tensor(3.0),
    }


@pytest.mark.parametrize("piece", [16, 48, 1 << 20])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool, piece: int) -> None:
    monkeypatch.setattr(contents, "PIECE_BYTES", piece)
    torch.save(views(), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    assert content(tmp_path / "m.pt") == {name: bytes_of(view) for name, view in views().items()}


def test_safetensors_shards(tmp_path: Path) -> None:
    due = {name: view.contiguous().clone() for name, view in views().items()}
    names = list(due)
    for number, part in enumerate((names[:4], names[4:]), 1):
        file = tmp_path / f"model-{number:05}-of-00002.safetensors"
        safetensors.torch.save_file({name: due[name] for name in part}, file)
    assert content(tmp_path) == {name: bytes_of(view) for name, view in due.items()}


def test_quantised_blocks(tmp_path: Path) -> None:
    weight = np.linspace(-1, 1, 256, dtype=np.float32).reshape(4, 64)
    blocks = gguf.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("w", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert content(tmp_path / "m.gguf") == {"w": blocks.tobytes()}


def test_a_sample_is_of_three_places(tmp_path: Path) -> None:
    tensor = torch.arange(100, dtype=torch.uint8)
    torch.save({"w": tensor, "short": tensor[:9].clone(), "reversed": tensor.reshape(10, 10).t()}, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    stored = StoredContents(checkpoint)
    sample = {record.name: list(stored.sample(record, 3)) for record in checkpoint.tensors}
    assert sample == {"w": [0, 1, 2, 50, 51, 52, 97, 98, 99], "short": list(range(9)), "reversed": [0, 10, 20]}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    torch.save({"one": torch.ones(1).expand(1000)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="repeats its elements"):
        content(tmp_path / "m.pt")
    torch.save({"sparse": torch.eye(3).to_sparse()}, tmp_path / "s.pt")
    with pytest.raises(CheckpointError, match="do not lie in the file"):
        content(tmp_path / "s.pt")


@pytest.mark.parametrize("view", [torch.arange(1000.0), torch.arange(1000.0).reshape(10, 100).t()])
def test_a_file_that_became_shorter(tmp_path: Path, view: torch.Tensor) -> None:
    torch.save({"w": view}, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    os.truncate(tmp_path / "m.pt", 2000)
    with pytest.raises(TruncatedError):
        list(StoredContents(checkpoint).pieces(checkpoint.tensors[0]))


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    (tmp_path / "m.pt").unlink()
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        list(StoredContents(checkpoint).pieces(checkpoint.tensors[0]))
