"""How many bytes of a file no tensor uses: those around views, and storages to which no listed tensor refers.

`torch.save` writes the whole storage of a tensor: of `big[:3]` all rows are in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.text import counted, quote
from paraminspect.tied.shared_bytes import MAX_EFFORT, count_covered
from paraminspect.tied.strides import Effort
from paraminspect.tuples import NamedTuple

MIN_UNUSED: Final = 64 << 10
"""Bytes. What writers align and pad takes less."""

MIN_SHARE: Final = 1000
"""And more than this part of all that is stored: 1 MB of a model of 13 GB is not worth a word."""


class Unused(NamedTuple):
    """What of a file no tensor uses.

    Attributes:
        nbytes: Bytes of it.
        stored: Bytes that are there for tensors.
        views: First tensor of each storage of which a part is used, the one around which most is left first.
    """

    nbytes: int
    stored: int
    views: tuple[str, ...]

    def describe(self) -> str:
        """As one line, without a full stop."""
        text = f"{self.nbytes:,} of {self.stored:,} bytes of tensor data are used by no tensor"
        if not self.views:
            return text
        first, *others = self.views
        if not others:
            return f"{text}: {quote(first)} is a view, saved with the whole storage of which it is a part"
        return f"{text}: {quote(first)} and {counted(len(others), 'more tensor')} are views, saved with whole storages"


def find_unused(checkpoint: Checkpoint) -> Unused | None:
    """What no tensor uses, if it is worth a word; None where it is not, and where it is not known."""
    stored = checkpoint.stored
    if checkpoint.unused:
        return _worth_a_word(checkpoint.unused, checkpoint.nbytes, ())
    if stored is None or stored < MIN_UNUSED:
        return None
    found = _divide(checkpoint.tensors)
    if found is None:
        return None
    used, parts = found
    effort = Effort(MAX_EFFORT)
    left: list[tuple[int, str]] = []
    for records in parts:
        covered = _count_runs(records) if all(map(_is_dense, records)) else count_covered(records, effort)
        if covered is None:
            return None
        used += covered
        rest = (records[0].storage.nbytes if records[0].storage is not None else 0) - covered
        if rest > 0:
            left.append((-rest, records[0].name))
    return _worth_a_word(stored - used, stored, tuple(name for _, name in sorted(left)))


def _worth_a_word(unused: int, stored: int, views: tuple[str, ...]) -> Unused | None:
    few = unused < MIN_UNUSED or unused * MIN_SHARE < stored
    return None if few else Unused(unused, stored, views)


def _divide(tensors: Sequence[TensorRecord]) -> tuple[int, list[list[TensorRecord]]] | None:
    """Bytes of all storages that one tensor uses wholly, and for each other storage the tensors that use some of it.

    None if it is not known which bytes some tensor uses.
    """
    whole: dict[int, int] = {}
    parts: dict[int, list[TensorRecord]] = {}
    dense: dict[object, bool] = {}
    for record in tensors:
        storage, nbytes = record.storage, record.nbytes
        for each in record.parts:
            parts.setdefault(id(each.storage), []).append(each)
        if storage is None:
            if nbytes and record.layout != "strided":
                return None
            continue
        if nbytes is None:
            return None
        if nbytes == storage.nbytes:  # as of nearly all
            form = record.shape, record.stride
            is_dense = dense.get(form)
            if is_dense is None:
                is_dense = dense[form] = _is_dense(record)
            if is_dense:
                whole[id(storage)] = nbytes
                continue
        parts.setdefault(id(storage), []).append(record)
    return sum(whole.values()), [records for key, records in parts.items() if key not in whole]


def _count_runs(records: Sequence[TensorRecord]) -> int:
    """How many different bytes tensors without gaps use: the many views of one flat buffer, in one pass."""
    covered = reached = 0
    for begin, end in sorted((record.offset, record.offset + (record.nbytes or 0)) for record in records):
        if end > reached:
            covered += end - max(begin, reached)
            reached = end
    return covered


def _is_dense(record: TensorRecord) -> bool:
    """Whether its elements follow each other without a gap."""
    step = 1
    for size, actual in zip(reversed(record.shape or ()), reversed(record.stride or ()), strict=False):
        if size != 1 and actual != step:
            return False
        step *= size
    return True
