"""Tensors into a folder of torch.distributed.checkpoint, by torch's own writer, as they are drawn.

torch's writer keeps what goes into one file until the file is whole, so that files are small: each of some tensors, of one
that is larger, or of some rows of one that is larger still. Every process writes files of its own; who has written all of `.metadata` has written the checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner, create_default_global_save_plan
from torch.distributed.checkpoint.filesystem import FileSystemWriter, _StoragePrefix
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from paraminspect.tuples import NamedTuple

FILE_BYTES: Final = 128 << 20
"""Of tensors in one file, unless it holds one alone, or a chunk of it."""


class Saved(NamedTuple):
    """A tensor of the checkpoint.

    Attributes:
        dtype: torch's name.
        cuts: First rows of the chunks that it is written in; (0,) of one that is written as a whole.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    cuts: tuple[int, ...] = (0,)

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * int(getattr(torch, self.dtype).itemsize)

    @property
    def chunks(self) -> list[Chunk]:
        """All of it."""
        if len(self.cuts) == 1:
            return [Chunk(self, self.shape)]
        ends = (*self.cuts[1:], self.shape[0])
        return [Chunk(self, (end - row, *self.shape[1:]), row) for row, end in zip(self.cuts, ends, strict=True)]


class Chunk(NamedTuple):
    """Some rows of a tensor, or all of it.

    Attributes:
        shape: Of these rows.
        row: The first one.
    """

    saved: Saved
    shape: tuple[int, ...]
    row: int = 0

    @property
    def nbytes(self) -> int:
        return self.saved._replace(shape=self.shape).nbytes

    @property
    def item(self) -> WriteItem:
        """As torch knows it."""
        size, whole = torch.Size(self.shape), torch.Size(self.saved.shape)
        begin = torch.Size([self.row, *[0] * (len(size) - 1)] if size else [])
        properties = TensorProperties(dtype=getattr(torch, self.saved.dtype))
        data = TensorWriteData(ChunkStorageMetadata(begin, size), properties, whole)
        kind = WriteItemType.TENSOR if len(self.saved.cuts) == 1 else WriteItemType.SHARD
        return WriteItem(MetadataIndex(self.saved.name, begin), kind, tensor_data=data)


class _Drawn(DefaultSavePlanner):
    """Gives each chunk when its turn has come."""

    def __init__(self, chunks: Sequence[Chunk], draw: Callable[[Chunk], Tensor]) -> None:
        super().__init__()
        self._chunks = {chunk.item.index: chunk for chunk in chunks}
        self._draw = draw

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        return self._draw(self._chunks[index])


def write_file(folder: str, name: str, chunks: Sequence[Chunk], draw: Callable[[Chunk], Tensor]) -> list[Any]:
    """Write one file of a checkpoint. For several threads.

    Args:
        folder: Which is there.
        name: What the file's name begins with.
        draw: Gives a chunk, of its dtype and shape, on the CPU.

    Returns:
        What `write_metadata` is to know of it.
    """
    plan, _ = _plan(chunks)
    written = FileSystemWriter(folder).write_data(
        dataclasses.replace(plan, storage_data=_StoragePrefix(name)), _Drawn(chunks, draw)
    )
    return list(written.value())


def write_metadata(folder: str, tensors: Sequence[Saved], results: Sequence[Any]) -> None:
    """Write `.metadata`, which makes the files of all processes a checkpoint.

    Args:
        tensors: Of all of them.
        results: What `write_file` returned, everywhere.
    """
    _, metadata = _plan(chunk for each in tensors for chunk in each.chunks)
    metadata = dataclasses.replace(metadata, planner_data={each.name: (each.name,) for each in tensors})
    FileSystemWriter(folder).finish(metadata, [list(results)])


def _plan(chunks: Iterable[Chunk]) -> tuple[SavePlan, Metadata]:
    plans, metadata = create_default_global_save_plan([SavePlan([chunk.item for chunk in chunks])])
    return plans[0], metadata


def share_files(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """What goes into one file each."""
    group: list[Chunk] = []
    held = 0
    for each in chunks:
        if group and held + each.nbytes > FILE_BYTES:
            yield group
            group, held = [], 0
        group.append(each)
        held += each.nbytes
    if group:
        yield group
