"""Statistics of rows of tensors, by whoever reads them: each part gives numbers that are put together in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

from paraminspect.engines.pool import Advance, Here, Pool, kept, tell_nobody
from paraminspect.errors import ParamInspectError
from paraminspect.limits import EffortError
from paraminspect.records import TensorRecord
from paraminspect.tuples import NamedTuple
from paraminspect.values.decode import Numbers
from paraminspect.values.parts import Part, cut, put_together, size_of
from paraminspect.values.read import open_numbers
from paraminspect.values.stats import Summary, TensorStats, summarise
from paraminspect.values.stored_bytes import Files

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


Made = Summary | TensorStats | ParamInspectError | None
"""Of one part: its numbers, or why there are none; None where they are in those of a part before. Of a tensor that is a
row by itself, its statistics."""


def collect(
    rows: Iterable[Sequence[TensorRecord]],
    open_: Open,
    advance: Advance = tell_nobody,
    pool: Pool | None = None,
) -> Iterator[RowStats]:
    """Statistics of each row, in order, as they are ready.

    Args:
        rows: Tensors of each row, one or more.
        open_: Gives the numbers of a tensor.
        advance: Is told of every so many bytes that are read.
        pool: Who reads them; None for this thread. Tensors that others read lie in files.

    Raises:
        EffortError: All together did more than a run may.
    """
    pool = pool or Here()
    rows = list(rows)

    def parts_of(row: int) -> Iterator[Part]:
        for index, record in enumerate(rows[row]):
            yield from cut(row, index, [record], pool.cut, len(rows[row]) - 1)

    due = [sum(1 for _ in parts_of(row)) for row in range(len(rows))]
    lots: list[tuple[Part, ...]] = []
    known: dict[int, _Row] = {}

    def tasks() -> Iterator[tuple[Part, ...]]:
        for lot in put_together((part for row in range(len(rows)) for part in parts_of(row)), pool.lot):
            lots.append(lot)
            yield lot

    work = partial(summarise_lot, open_=open_) if pool.is_here else summarise_lot
    with closing(pool.run(work, tasks(), size_of, advance, _errors_of)) as results:
        for row in range(len(rows)):
            while due[row]:
                place, made = next(results)
                for part, each in zip(lots[place], made, strict=True):
                    known.setdefault(part.group, _Row(rows[part.group])).take(part, each)
                    due[part.group] -= 1
                lots[place] = ()
            yield known.pop(row).finish() if rows[row] else RowStats(None)


def summarise_lot(lot: Sequence[Part], advance: Advance, open_: Open | None = None) -> list[Made]:
    """Numbers of each part.

    Args:
        open_: Gives the numbers of a tensor; None for one in a file.

    Raises:
        EffortError: Others would fail of it too.
    """
    open_ = open_ or partial(open_numbers, files=kept(Files))
    together: dict[int, Summary] = {}
    made: list[Made] = []
    for part in lot:
        try:
            summary = _summarise(part, open_, advance)
        except EffortError:
            raise
        except ParamInspectError as error:
            made.append(error.with_traceback(None))  # whose frames hold what was read
            continue
        if not part.is_whole:
            made.append(summary)
        elif not part.others:
            made.append(summary.stats())
        elif part.group in together:
            together[part.group].merge(summary)
            made.append(None)
        else:
            together[part.group] = summary
            made.append(summary)
    return made


class _Row:
    """What is known of one row so far."""

    def __init__(self, records: Sequence[TensorRecord]) -> None:
        self._records = records
        self._stats: TensorStats | None = None
        self._whole: Summary | None = None
        self._cut: dict[int, Summary] = {}
        self._failed: dict[int, tuple[int, ParamInspectError]] = {}

    def take(self, part: Part, made: Made) -> None:
        if isinstance(made, ParamInspectError):
            first = self._failed.get(part.at)
            if first is None or part.begin < first[0]:
                self._failed[part.at] = part.begin, made
        elif isinstance(made, TensorStats):
            self._stats = made
        elif made is not None and part.is_whole:
            self._whole = _merged(self._whole, made)
        elif made is not None:
            self._cut[part.at] = _merged(self._cut.get(part.at), made)

    def finish(self) -> RowStats:
        for index, summary in self._cut.items():
            if index not in self._failed:
                self._whole = _merged(self._whole, summary)
        stats = self._stats if self._whole is None else self._whole.stats()
        failures = tuple(Failure(self._records[index], error) for index, (_, error) in sorted(self._failed.items()))
        return RowStats(stats, failures)


def _merged(whole: Summary | None, part: Summary) -> Summary:
    if whole is None:
        return part
    whole.merge(part)
    return whole


def _summarise(part: Part, open_: Open, advance: Advance) -> Summary:
    (record,) = part.records
    numbers = open_(record)
    each = (record.nbytes or 0) * numbers.repeats / max(numbers.numel, 1)
    expected = numbers.numel // numbers.repeats if part.is_whole else part.numel
    return summarise(numbers, lambda size: advance(round(size * each)), expected)


def _errors_of(made: list[Made]) -> Iterator[ParamInspectError]:
    return (each for each in made if isinstance(each, ParamInspectError))
