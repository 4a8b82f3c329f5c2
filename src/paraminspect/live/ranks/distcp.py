"""Tensors into a folder of torch.distributed.checkpoint, by torch's own writer, as they are drawn.

torch's writer keeps what goes into one file until the file is whole, so that files are small: each of some tensors, or of
one that is larger. Every process writes files of its own; who has written all of `.metadata` has written the checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner, create_default_global_save_plan
from torch.distributed.checkpoint.filesystem import FileSystemWriter, _StoragePrefix
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from paraminspect.tuples import NamedTuple

FILE_BYTES: Final = 128 << 20
"""Of tensors in one file, unless it holds one alone."""


class Saved(NamedTuple):
    """A tensor of the checkpoint.

    Attributes:
        dtype: torch's name.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * int(getattr(torch, self.dtype).itemsize)


class _Drawn(DefaultSavePlanner):
    """Gives each tensor when its turn has come."""

    def __init__(self, draw: Callable[[str], Tensor]) -> None:
        super().__init__()
        self._draw = draw

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        return self._draw(index.fqn)


def write_files(folder: str, rank: int, tensors: Sequence[Saved], draw: Callable[[str], Tensor]) -> list[Any]:
    """Write some tensors of a checkpoint.

    Args:
        folder: Which is there.
        rank: Of this process; its files are called after it.
        draw: Gives a tensor by its name, of its dtype and shape, on the CPU.

    Returns:
        What `write_metadata` is to know of them.
    """
    writer, planner = FileSystemWriter(folder), _Drawn(draw)
    results: list[Any] = []
    for number, group in enumerate(_groups(tensors)):
        plan, _ = _plan(group)
        prefix = _StoragePrefix(f"__{rank}_{number}_")
        results += writer.write_data(dataclasses.replace(plan, storage_data=prefix), planner).value()
    return results


def write_metadata(folder: str, tensors: Sequence[Saved], results: Sequence[Any]) -> None:
    """Write `.metadata`, which makes the files of all processes a checkpoint.

    Args:
        tensors: Of all of them.
        results: What `write_files` returned, everywhere.
    """
    _, metadata = _plan(tensors)
    metadata = dataclasses.replace(metadata, planner_data={each.name: (each.name,) for each in tensors})
    FileSystemWriter(folder).finish(metadata, [list(results)])


def _plan(tensors: Sequence[Saved]) -> tuple[SavePlan, Metadata]:
    plans, metadata = create_default_global_save_plan([SavePlan([_item(each) for each in tensors])])
    return plans[0], metadata


def _item(saved: Saved) -> WriteItem:
    size = torch.Size(saved.shape)
    begin = torch.Size([0] * len(size))
    properties = TensorProperties(dtype=getattr(torch, saved.dtype))
    data = TensorWriteData(ChunkStorageMetadata(begin, size), properties, size)
    return WriteItem(MetadataIndex(saved.name, begin), WriteItemType.TENSOR, tensor_data=data)


def _groups(tensors: Sequence[Saved]) -> Iterator[list[Saved]]:
    group: list[Saved] = []
    held = 0
    for each in tensors:
        if group and held + each.nbytes > FILE_BYTES:
            yield group
            group, held = [], 0
        group.append(each)
        held += each.nbytes
    if group:
        yield group
