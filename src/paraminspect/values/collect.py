"""Statistics of many tensors, row by row: one tensor a row, or all tensors of a module together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from paraminspect.errors import ParamInspectError
from paraminspect.records import TensorRecord
from paraminspect.values.numbers import Numbers
from paraminspect.values.stats import Summary, TensorStats, summarise

Open = Callable[[TensorRecord], Numbers]


class Failure(NamedTuple):
    """A tensor whose values cannot be read, and why."""

    record: TensorRecord
    error: ParamInspectError


class RowStats(NamedTuple):
    """What became of one row.

    Attributes:
        stats: Of the tensors that could be read; None if that is none of them.
        failures: The others.
    """

    stats: TensorStats | None
    failures: tuple[Failure, ...] = ()


def collect(
    rows: Iterable[Sequence[TensorRecord]], open_: Open, advance: Callable[[int], None] = lambda _: None
) -> Iterator[RowStats]:
    """Statistics of each row, in order, as they are ready.

    Args:
        rows: Tensors of each row, one or more.
        open_: Gives the numbers of a tensor.
        advance: Is told of every so many bytes that are read.
    """
    for records in rows:
        whole: Summary | None = None
        failures = []
        for record in records:
            try:
                part = _summarise(record, open_, advance)
            except ParamInspectError as error:
                failures.append(Failure(record, error))
                continue
            if whole is None:
                whole = part
            else:
                whole.merge(part)
        yield RowStats(None if whole is None else whole.stats(), tuple(failures))


def _summarise(record: TensorRecord, open_: Open, advance: Callable[[int], None]) -> Summary:
    numbers = open_(record)
    each = (record.nbytes or 0) * numbers.repeats / max(numbers.numel, 1)
    return summarise(numbers, lambda size: advance(round(size * each)))
