"""Folders of torch.distributed.checkpoint as many ranks write them, by this process alone."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

Box = tuple[tuple[int, ...], tuple[int, ...]]


def grid(shape: Sequence[int], parts: Sequence[int]) -> list[Box]:
    """Boxes of a tensor that is divided into so many parts of each dimension, the last ones smaller."""
    axes = []
    for size, count in zip(shape, parts, strict=True):
        step = max(1, -(-size // count))
        axes.append([(begin, min(step, size - begin)) for begin in range(0, max(size, 1), step)])
    return [(tuple(begin for begin, _ in each), tuple(size for _, size in each)) for each in product(*axes)]


def save_in_pieces(folder: Path, tensors: Mapping[str, torch.Tensor], boxes: Mapping[str, Sequence[Box]]) -> Metadata:
    """Piece n of each tensor in file n."""
    folder.mkdir(exist_ok=True)
    files: dict[int, io.BytesIO] = {}
    entries: dict[str, Any] = {}
    storage = {}
    for name, tensor in tensors.items():
        chunks = [ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)) for offsets, sizes in boxes[name]]
        entries[name] = TensorStorageMetadata(TensorProperties(dtype=tensor.dtype), tensor.size(), chunks)
        for rank, (offsets, sizes) in enumerate(boxes[name]):
            place = tuple(slice(begin, begin + size) for begin, size in zip(offsets, sizes, strict=True))
            stream = io.BytesIO()
            torch.save(tensor[place].clone(memory_format=torch.contiguous_format), stream)
            file = files.setdefault(rank, io.BytesIO())
            storage[MetadataIndex(name, torch.Size(offsets), rank)] = _StorageInfo(
                f"__{rank}_0.distcp", file.tell(), stream.tell()
            )
            file.write(stream.getvalue())
    for rank, file in files.items():
        (folder / f"__{rank}_0.distcp").write_bytes(file.getvalue())
    metadata = Metadata(entries, {name: tuple(name.split(".")) for name in entries}, storage)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return metadata


def metadata_of_ranks(tensors: int, ranks: int, *, by_rank: bool = False) -> Metadata:
    """What so many ranks write of tensors of which each has four rows; as they are gathered, each has names of its own."""
    names = [f"model.layers.{number}.mlp.gate_proj.weight" for number in range(tensors)]
    entries: dict[str, Any] = {
        name: TensorStorageMetadata(
            TensorProperties(dtype=torch.bfloat16),
            torch.Size([4 * ranks, 8]),
            [ChunkStorageMetadata(torch.Size([4 * rank, 0]), torch.Size([4, 8])) for rank in range(ranks)],
        )
        for name in names
    }
    storage = {}
    numbers = range(tensors)
    for number, rank in (
        product(numbers, range(ranks)) if not by_rank else ((n, r) for r in range(ranks) for n in numbers)
    ):
        name = names[number] if not by_rank else bytes(names[number], "ascii").decode()
        storage[MetadataIndex(name, torch.Size([4 * rank, 0]), rank)] = _StorageInfo(
            f"__{rank}_0.distcp", number * 70_000, 64
        )
    return Metadata(entries, {name: tuple(name.split(".")) for name in names}, storage)
