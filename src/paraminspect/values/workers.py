"""Rows of statistics by several processes: counting holds the interpreter's lock, so threads would wait for each other.

Processes are forked, which takes milliseconds, and only where that is safe: from a process of one Python thread that has
not loaded torch. Each takes the rows that it was assigned, the largest first shared out among all, and sends what it
finds through a pipe of its own. Rows come back in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple
from functools import partial
from typing import Any, Final, NamedTuple

from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.files.processes import Send, can_fork, count_processors, run_forked
from paraminspect.limits import EffortError
from paraminspect.records import TensorRecord
from paraminspect.values.decode import Numbers
from paraminspect.values.stats import Summary, TensorStats, summarise

Open = Callable[[TensorRecord], Numbers]

MIN_BYTES: Final = 64 << 20
"""From this size on more processes are worth their start."""

MAX_WORKERS: Final = 8
"""More of them wait for memory, not for each other."""

_SPENT: Final = -1
"""In the place of a row: the run has done what it may."""

REPORT_BYTES: Final = 4 << 20
"""Bytes read after which a process says how far it is."""


def count_workers(nbytes: int) -> int:
    """How many processes to read so many bytes with; 1 for none beside this one."""
    return min(MAX_WORKERS, count_processors()) if nbytes >= MIN_BYTES and can_fork() else 1


def collect_in_parallel(
    rows: Sequence[Sequence[TensorRecord]],
    open_: Open,
    advance: Callable[[int], None] = lambda _: None,
    *,
    workers: int,
) -> Iterator[RowStats]:
    """What `collect` gives, by so many processes.

    Raises:
        CheckpointError: A process ended before its work was done.
        EffortError: All together did more than a run may.
    """
    if workers < 2 or len(rows) < 2:
        yield from collect(rows, open_, advance)
        return
    lots = share_out([sum(record.nbytes or 0 for record in row) for row in rows], workers)
    with closing(run_forked([partial(_work, lot, rows, open_) for lot in lots])) as messages:
        yield from _in_order(rows, messages, advance)


def share_out(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Places of so many lots of about one sum, each in ascending order: the largest first to whom has least."""
    lots: list[list[int]] = [[] for _ in range(workers)]
    sums = [0] * workers
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        least = sums.index(min(sums))
        lots[least].append(place)
        sums[least] += sizes[place] + 1
    return [sorted(lot) for lot in lots if lot]


def _work(share: Sequence[int], rows: Sequence[Sequence[TensorRecord]], open_: Open, send: Send) -> None:
    """Send (row, statistics, failures) for each row, and (None, bytes read) in between; of too much work, what and how much."""
    try:
        _send_rows(share, rows, open_, send)
    except EffortError as error:
        send((_SPENT, error.what, error.limit, error.actual))


def _send_rows(share: Sequence[int], rows: Sequence[Sequence[TensorRecord]], open_: Open, send: Send) -> None:
    waiting = 0

    def advance(nbytes: int) -> None:
        nonlocal waiting
        waiting += nbytes
        if waiting >= REPORT_BYTES:
            send((None, waiting))
            waiting = 0

    for place, found in zip(share, collect([rows[place] for place in share], open_, advance), strict=True):
        names = {id(record): index for index, record in enumerate(rows[place])}
        failures = [(names[id(each.record)], each.error.message, each.error.hint) for each in found.failures]
        send((place, None if found.stats is None else astuple(found.stats), failures))


def _in_order(
    rows: Sequence[Sequence[TensorRecord]], messages: Iterator[tuple[Any, ...]], advance: Callable[[int], None]
) -> Iterator[RowStats]:
    known: dict[int, RowStats] = {}
    due = 0
    for message in messages:
        if message[0] is None:
            advance(message[1])
            continue
        if message[0] == _SPENT:
            raise EffortError(message[1], limit=message[2], actual=message[3])
        place, stats, failures = message
        known[place] = RowStats(
            None if stats is None else TensorStats(*stats),
            tuple(Failure(rows[place][index], CheckpointError(text, hint=hint)) for index, text, hint in failures),
        )
        while due in known:
            yield known.pop(due)
            due += 1
    if due < len(rows):
        raise CheckpointError("a process that read it ended early", hint="is there enough memory?")


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
            except EffortError:
                raise  # others would fail of it too
            except ParamInspectError as error:
                failures.append(Failure(record, error.with_traceback(None)))  # whose frames hold what was read
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
