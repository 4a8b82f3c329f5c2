"""Bytes of stored tensors, held against what torch and safetensors load."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.formats.source import open_source
from paraminspect.records import TensorRecord
from paraminspect.values.pieces import read_pieces
from paraminspect.values.stored_bytes import Files
from tests.making.torch_files import not_dense


def content(path: Path, piece: int = 1 << 20) -> dict[str, bytes]:
    return {record.name: pieces_of(record, piece) for record in open_source(path).tensors}


def pieces_of(record: TensorRecord, piece: int = 1 << 20) -> bytes:
    return b"".join(read_pieces(record, Files(), piece))


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
def test_torch_file(tmp_path: Path, zipped: bool, piece: int) -> None:
    torch.save(views(), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    assert content(tmp_path / "m.pt", piece) == {name: bytes_of(view) for name, view in views().items()}


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


def test_the_start_is_that_of_the_pieces(tmp_path: Path) -> None:
    torch.save({name: view for name, view in views().items() if view.dtype != torch.bool}, tmp_path / "m.pt")
    for record in open_source(tmp_path / "m.pt").tensors:
        start = next(read_pieces(record, Files(), 9))
        assert start == pieces_of(record)[: len(start)], record.name
        assert start


# Distributed checkpoints.


def save_distributed(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a process that is alone
        dcp.save(tensors, checkpoint_id=folder)
    return folder


def test_distributed_folder(tmp_path: Path) -> None:
    due = {name: view for name, view in views().items() if name != "bool"}
    assert content(save_distributed(tmp_path, due)) == {name: bytes_of(view) for name, view in due.items()}


def split(folder: Path, *parts: torch.Tensor, offsets: list[list[int]], shape: list[int]) -> Path:
    """A folder whose tensor "w" has these parts, as several ranks would have written them."""
    save_distributed(folder, {f"w{place}": part for place, part in enumerate(parts)})
    path = folder / ".metadata"
    metadata = pickle.loads(path.read_bytes())
    entry = metadata.state_dict_metadata["w0"]
    entry.size = torch.Size(shape)
    entry.chunks = [
        ChunkStorageMetadata(torch.Size(offset), part.shape) for offset, part in zip(offsets, parts, strict=True)
    ]
    metadata.state_dict_metadata = {"w": entry}
    metadata.storage_data = {
        MetadataIndex("w", torch.Size(offset), place): metadata.storage_data[MetadataIndex(f"w{place}", torch.Size([0, 0]), 0)]
        for place, offset in enumerate(offsets)
    }  # fmt: skip
    path.write_bytes(pickle.dumps(metadata))
    return folder


WEIGHT = torch.arange(20.0).reshape(5, 4)


def test_rows_or_columns_of_several_ranks(tmp_path: Path) -> None:
    folder = split(tmp_path / "rows", WEIGHT[3:], WEIGHT[:3], offsets=[[3, 0], [0, 0]], shape=[5, 4])
    assert content(folder) == {"w": bytes_of(WEIGHT)}
    folder = split(tmp_path / "columns", WEIGHT[:, :2], WEIGHT[:, 2:], offsets=[[0, 0], [0, 2]], shape=[5, 4])
    assert content(folder) == {"w": bytes_of(WEIGHT)}


@pytest.mark.parametrize(
    ("parts", "offsets", "shape"),
    [
        ((WEIGHT[:3],), [[0, 0]], [5, 4]),  # a part is missing
        ((WEIGHT[:3], WEIGHT[3:].double()), [[0, 0], [3, 0]], [5, 4]),
        ((WEIGHT[:3], WEIGHT[3:]), [[0, 0], [2, 0]], [5, 4]),
        ((WEIGHT[:3], WEIGHT[3:, :3]), [[0, 0], [3, 0]], [5, 4]),
        ((WEIGHT,), [[0, 0]], [20]),
    ],
)
def test_parts_that_make_no_tensor(tmp_path: Path, parts: Any, offsets: list[list[int]], shape: list[int]) -> None:
    with pytest.raises(CheckpointError):
        content(split(tmp_path, *parts, offsets=offsets, shape=shape))


def test_a_piece_that_is_gone_or_no_archive(tmp_path: Path) -> None:
    checkpoint = open_source(save_distributed(tmp_path, {"a": WEIGHT}))
    file = tmp_path / "__0_0.distcp"
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(CheckpointError):
        pieces_of(checkpoint.tensors[0])
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be opened any more: no such file"):
        pieces_of(checkpoint.tensors[0])


def test_bytes_are_those_of_the_values(tmp_path: Path) -> None:
    """Deflated, in another byte order, with the other sign: what is compared is what they stand for."""
    array = np.arange(30, dtype=np.float32).reshape(5, 6)
    np.savez_compressed(tmp_path / "c.npz", a=array, b=array.astype(">f4"))
    torch.save(
        {"a": -torch.from_numpy(array)._neg_view(), "b": torch.from_numpy(-array)._neg_view()}, tmp_path / "n.pt"
    )
    assert content(tmp_path / "c.npz") == content(tmp_path / "n.pt") == dict.fromkeys("ab", array.tobytes())


# What cannot be had.


def test_what_cannot_be_read(tmp_path: Path) -> None:
    torch.save({"sparse": not_dense()}, tmp_path / "s.pt")
    with pytest.raises(CheckpointError, match="it is sparse_csr, not dense"):
        content(tmp_path / "s.pt")
    record = TensorRecord("w", (2,), "float32", 2, 8, layout="chunked")
    with pytest.raises(CheckpointError, match="where its pieces are is not known"):
        pieces_of(record)


@pytest.mark.parametrize("view", [torch.arange(1000.0), torch.arange(1000.0).reshape(10, 100).t()])
def test_a_file_that_became_shorter(tmp_path: Path, view: torch.Tensor) -> None:
    torch.save({"w": view}, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    os.truncate(tmp_path / "m.pt", 2000)
    with pytest.raises(TruncatedError):
        pieces_of(checkpoint.tensors[0])


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    (tmp_path / "m.pt").unlink()
    with pytest.raises(CheckpointError, match="cannot be opened any more: no such file"):
        pieces_of(checkpoint.tensors[0])
