"""Stored values as torch, safetensors and numpy load them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint, Storage, TensorRecord
from paraminspect.values.stored import StoredArrays

DTYPES = [
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool", "complex64",
]  # fmt: skip


def read_all(path: Path) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    checkpoint = open_source(path)
    stored = StoredArrays(checkpoint)
    return {record.name: stored.read(record) for record in checkpoint.tensors}


def same(found: np.ndarray, tensor: torch.Tensor) -> bool:  # type: ignore[type-arg]
    return found.shape == tuple(tensor.shape) and found.tobytes() == bytes(
        tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    )


def tensors() -> dict[str, torch.Tensor]:
    base = torch.arange(24).reshape(2, 3, 4) % 2
    return {name: base.to(getattr(torch, name)) for name in DTYPES} | {
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.5),
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_file(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    due = {**tensors(), "transposed": base.t(), "part": base[1:, ::2], "expanded": torch.ones(1).expand(5)}
    torch.save(due, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    found = read_all(tmp_path / "m.pt")
    assert [name for name in due if not same(found[name], due[name])] == []


def test_safetensors_file(tmp_path: Path) -> None:
    due = tensors()
    safetensors.torch.save_file(due, tmp_path / "m.safetensors")
    found = read_all(tmp_path / "m.safetensors")
    assert [name for name in due if not same(found[name], due[name])] == []


def test_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", a=np.arange(6.0).reshape(2, 3), f=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    found = read_all(tmp_path / "m.npz")
    assert found["a"].tolist() == found["f"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_compressed_values_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "m.npz", a=np.ones(3))
    with pytest.raises(CheckpointError, match="compressed"):
        read_all(tmp_path / "m.npz")


def test_other_byte_order_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.ones(3, ">f4"))
    with pytest.raises(CheckpointError, match="byte order"):
        read_all(tmp_path / "m.npy")


def test_sparse_and_quantised_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"s": torch.eye(3).to_sparse()}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="s is sparse_coo"):
        read_all(tmp_path / "m.pt")
    block = TensorRecord("q", (32,), "q4_k", 32, 18, layout="gguf", storage=Storage("q", 18, "f", 0))
    with pytest.raises(CheckpointError, match="q is quantised"):
        StoredArrays(Checkpoint("gguf", [block])).read(block)


def test_file_that_became_shorter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"a": torch.ones(100)}, path)
    checkpoint = open_source(path)
    os.truncate(path, 200)
    with pytest.raises(TruncatedError, match=r"a ends at byte \d+, the file at byte 200"):
        StoredArrays(checkpoint).read(checkpoint.tensors[0])


@pytest.mark.parametrize(("offset", "stride"), [(-4, (1,)), (0, (-1,)), (1 << 50, (1,)), (0, (1 << 50,))])
def test_places_outside_the_file_are_refused(tmp_path: Path, offset: int, stride: tuple[int]) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(64))
    record = TensorRecord(
        "a", (2,), "float32", 2, 8, storage=Storage("a", 64, str(path), 0), offset=offset, stride=stride
    )
    with pytest.raises(CheckpointError):
        StoredArrays(Checkpoint("x", [record])).read(record)
