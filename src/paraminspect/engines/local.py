"""This machine: threads, and processes where they were measured to win.

Reading, comparing, hashing and inflating leave the interpreter to other threads. Counting for statistics
(`numpy.add.at`) does not: two threads of it take as long as one. Processes cost 25 ms (the modules of
`multiprocessing` and two forks), or 250 ms each where a fork is not safe: where Python threads run, where torch is loaded, and on systems
other than Linux, whose own libraries do not survive it. There they are spawned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from paraminspect.engines.pool import Engine, Here, Pool, Shared
from paraminspect.files.processes import can_fork, count_processors
from paraminspect.files.system import is_nameless

if TYPE_CHECKING:
    from concurrent.futures import Executor

FORKED_BYTES: Final = 128 << 20
"""From this size on processes that are forked are worth their start."""

SPAWNED_BYTES: Final = 1 << 30
"""From this size on processes that begin anew are: they import numpy first."""

THREADED_BYTES: Final = 8 << 20
"""From this size on threads are worth theirs."""

MAX_WORKERS: Final = 8
"""More of them wait for memory, not for each other."""

CUT_BYTES: Final = 128 << 20
"""Of a larger tensor several workers read parts; so many bytes are a tenth of a second's work."""

LOT_BYTES: Final = 8 << 20
"""Of small tensors that are one task."""


class Local(Engine):
    """As many threads or processes as the machine has processors, begun when work is large enough."""

    def pool(self, files: Sequence[str], nbytes: int, *, holds_lock: bool = False) -> Pool:
        """See `Engine`."""
        workers = min(MAX_WORKERS, count_processors())
        if workers < 2 or not files or nbytes < (FORKED_BYTES if holds_lock else THREADED_BYTES):
            return Here()
        if not holds_lock:
            return threads(workers)
        method = "fork" if can_fork() else "spawn"
        if (method == "spawn" and nbytes < SPAWNED_BYTES) or any(map(is_nameless, files)):
            return Here()
        return processes(workers, method)


def threads(workers: int) -> Shared:
    """So many of them."""
    from concurrent.futures import ThreadPoolExecutor

    return Shared(
        lambda: ThreadPoolExecutor(workers), _drop, workers=workers, cut=CUT_BYTES, lot=LOT_BYTES, is_here=True
    )


def processes(workers: int, method: str) -> Shared:
    """So many of them, begun by `fork` or `spawn`."""
    from concurrent.futures import BrokenExecutor

    from paraminspect.engines.workers import LostError, Processes

    return Shared(
        lambda: Processes(workers, method), lambda pool: pool.shutdown(cancel_futures=True),
        workers=workers, cut=CUT_BYTES, lot=LOT_BYTES, is_here=False, lost=(LostError, BrokenExecutor),
    )  # fmt: skip


def _drop(executor: Executor) -> None:
    """What is under way is not waited for."""
    executor.shutdown(wait=False, cancel_futures=True)
