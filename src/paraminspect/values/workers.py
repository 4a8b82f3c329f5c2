"""Rows of statistics by several processes: counting holds the interpreter's lock, so threads would wait for each other.

Processes are forked, which takes milliseconds, and only where that is safe: from a process of one Python thread that has
not loaded torch. Each takes the rows that it was assigned, the largest first shared out among all, and sends what it
finds through a pipe of its own. Rows come back in their order.
"""

from __future__ import annotations

import marshal
import os
import selectors
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from typing import Any, Final

from paraminspect.errors import CheckpointError
from paraminspect.records import TensorRecord
from paraminspect.values.collect import Failure, Open, RowStats, collect
from paraminspect.values.stats import TensorStats

MIN_BYTES: Final = 64 << 20
"""From this size on more processes are worth their start."""

MAX_WORKERS: Final = 8
"""More of them wait for memory, not for each other."""

REPORT_BYTES: Final = 4 << 20
"""Bytes read after which a process says how far it is."""

_LENGTH: Final = struct.Struct("<q")


def count_workers(nbytes: int) -> int:
    """How many processes to read so many bytes with; 1 for none beside this one."""
    if nbytes < MIN_BYTES or not hasattr(os, "fork") or "torch" in sys.modules or threading.active_count() > 1:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, min(MAX_WORKERS, len(affinity(0)) if affinity else os.cpu_count() or 1))


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
    """
    if workers < 2 or len(rows) < 2:
        yield from collect(rows, open_, advance)
        return
    pipes: dict[int, int] = {}  # reading end -> process
    try:
        for share in share_out([sum(record.nbytes or 0 for record in row) for row in rows], workers):
            pid, pipe = _start(share, rows, open_, list(pipes))
            pipes[pipe] = pid
        yield from _in_order(rows, pipes, advance)
    finally:
        for pipe, pid in pipes.items():
            os.close(pipe)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def share_out(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Places of so many lots of about one sum, each in ascending order: the largest first to whom has least."""
    lots: list[list[int]] = [[] for _ in range(workers)]
    sums = [0] * workers
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        least = sums.index(min(sums))
        lots[least].append(place)
        sums[least] += sizes[place] + 1
    return [sorted(lot) for lot in lots if lot]


def _start(
    share: Sequence[int], rows: Sequence[Sequence[TensorRecord]], open_: Open, others: Sequence[int]
) -> tuple[int, int]:
    """A process for some of the rows: its id, and the end of a pipe that its messages are read from."""
    reading, writing = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # numpy's own threads sleep
        pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
        for pipe in (reading, *others):
            os.close(pipe)
        _work(share, rows, open_, writing)
        status = 0
    except BaseException:
        pass  # whatever it was: the parent sees that messages are missing
    finally:
        os._exit(status)


def _work(share: Sequence[int], rows: Sequence[Sequence[TensorRecord]], open_: Open, pipe: int) -> None:
    """Send (row, statistics, failures) for each row, and (None, bytes read) in between."""
    waiting = 0

    def advance(nbytes: int) -> None:
        nonlocal waiting
        waiting += nbytes
        if waiting >= REPORT_BYTES:
            _send(pipe, (None, waiting))
            waiting = 0

    for place, found in zip(share, collect([rows[place] for place in share], open_, advance), strict=True):
        names = {id(record): index for index, record in enumerate(rows[place])}
        failures = [(names[id(each.record)], each.error.message, each.error.hint) for each in found.failures]
        _send(pipe, (place, None if found.stats is None else astuple(found.stats), failures))


def _send(pipe: int, message: tuple[Any, ...]) -> None:
    data = marshal.dumps(message)
    data = _LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(pipe, data) :]


def _in_order(
    rows: Sequence[Sequence[TensorRecord]], pipes: dict[int, int], advance: Callable[[int], None]
) -> Iterator[RowStats]:
    known: dict[int, RowStats] = {}
    due = 0
    for message in _messages(list(pipes)):
        if message[0] is None:
            advance(message[1])
            continue
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


def _messages(pipes: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """What comes from any of the pipes, until all are closed."""
    buffers = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                buffer = buffers[key.fd] + data
                while len(buffer) >= _LENGTH.size:
                    (length,) = _LENGTH.unpack_from(buffer)
                    if len(buffer) < _LENGTH.size + length:
                        break
                    yield marshal.loads(buffer[_LENGTH.size : _LENGTH.size + length])
                    buffer = buffer[_LENGTH.size + length :]
                buffers[key.fd] = buffer
