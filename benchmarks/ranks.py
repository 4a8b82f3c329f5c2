"""The metadata that many ranks write of one model (torch.distributed.checkpoint), by this process alone."""

from __future__ import annotations

from itertools import product
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

STEP = 70_000
"""Bytes from one piece to the next in the file of a rank."""

LENGTH = 64
"""Of a piece."""


def metadata_of_ranks(tensors: int, ranks: int, *, by_rank: bool = False) -> Metadata:
    """What so many ranks write of tensors of which each has four rows.

    Args:
        by_rank: As they are gathered: rank by rank, each with names of its own; else tensor by tensor.
    """
    names = [f"model.layers.{number}.mlp.gate_proj.weight" for number in range(tensors)]
    entries: dict[str, Any] = {
        name: TensorStorageMetadata(
            TensorProperties(dtype=torch.bfloat16),
            torch.Size([4 * ranks, 8]),
            [ChunkStorageMetadata(torch.Size([4 * rank, 0]), torch.Size([4, 8])) for rank in range(ranks)],
        )
        for name in names
    }
    numbers = range(tensors)
    pairs = ((each, rank) for rank in range(ranks) for each in numbers) if by_rank else product(numbers, range(ranks))
    storage = {}
    for number, rank in pairs:
        name = bytes(names[number], "ascii").decode() if by_rank else names[number]
        index = MetadataIndex(name, torch.Size([4 * rank, 0]), rank)
        storage[index] = _StorageInfo(f"__{rank}_0.distcp", number * STEP, LENGTH)
    return Metadata(entries, {name: tuple(name.split(".")) for name in names}, storage)
