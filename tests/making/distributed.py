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
