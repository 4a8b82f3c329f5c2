"""What a tensor is cut into, so that several may read it: records of runs of its elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from paraminspect.records import PAIRS, TensorRecord
from paraminspect.tuples import NamedTuple
from paraminspect.values.stored_bytes import find_bytes

GRID: Final = 1 << 18
"""Elements between whose multiples a tensor is cut: whole chunks of whoever reads it."""

ONE_RECORD: Final = 1 << 10
"""Bytes that a tensor counts for at least where tensors are put together: opening one takes as long."""


class Part(NamedTuple):
    """A tensor, or some of its elements, to be read.

    Attributes:
        group: Place of what it belongs to: a row of tensors, a pair.
        at: Place of the tensor in that.
        records: One that is read, or several that are compared.
        begin: First of its elements; of a whole tensor 0.
        numel: Elements of the whole tensor.
        others: Tensors of the group beside it.
    """

    group: int
    at: int
    records: tuple[TensorRecord, ...]
    begin: int
    numel: int
    others: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the tensor."""
        return self.records[0].numel == self.numel

    @property
    def nbytes(self) -> int:
        """That are read of the first record."""
        return self.records[0].nbytes or 0


def cut(group: int, at: int, records: Sequence[TensorRecord], most: int, others: int = 0) -> list[Part]:
    """A tensor, or several of as many elements, in parts.

    Args:
        most: Bytes of the first record in one part, about. A tensor is cut only where its elements lie in the file one
            after another, as they are, and only between chunks: so its parts are read just as the whole would be.
    """
    numel, nbytes = records[0].numel, records[0].nbytes or 0
    whole = [Part(group, at, tuple(records), 0, numel, others)]
    if nbytes <= most or not all(_can_be_cut(each) for each in records):
        return whole
    step = _step(records[0], most)
    begins = range(0, numel, step)
    return [
        Part(group, at, tuple(_part(each, begin, min(begin + step, numel)) for each in records), begin, numel, others)
        for begin in begins
    ]


def cut_bytes(record: TensorRecord, most: int) -> int:
    """Bytes of each part of a tensor but the last one, were it cut so."""
    numel, nbytes = record.numel, record.nbytes or 0
    return max(nbytes, 1) if nbytes <= most else _step(record, most) * nbytes // numel


def _step(record: TensorRecord, most: int) -> int:
    """Elements of a part."""
    return max(1, most * record.numel // (record.nbytes or 1) // GRID) * GRID


def put_together(parts: Iterable[Part], most: int) -> Iterator[tuple[Part, ...]]:
    """Small parts that follow each other, together as large as one that is worth a task."""
    lot: list[Part] = []
    size = 0
    for part in parts:
        each = max(part.nbytes, ONE_RECORD)
        if lot and size + each > most:
            yield tuple(lot)
            lot, size = [], 0
        lot.append(part)
        size += each
    if lot:
        yield tuple(lot)


def size_of(lot: Sequence[Part]) -> int:
    """Bytes that a lot reads of its first records."""
    return sum(part.nbytes for part in lot)


def _can_be_cut(record: TensorRecord) -> bool:
    return find_bytes(record) is not None and record.dtype != PAIRS and (record.nbytes or 0) * GRID % record.numel == 0


def _part(record: TensorRecord, begin: int, end: int) -> TensorRecord:
    numel, nbytes = record.numel, record.nbytes or 0
    first, last = begin * nbytes // numel, end * nbytes // numel
    return record._replace(
        shape=(end - begin,), stride=None, numel=end - begin, offset=record.offset + first, nbytes=last - first
    )
