"""Processes of this machine as an executor."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

from paraminspect.files.processes import leave_with_parent, not_interrupted

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class LostError(Exception):
    """A process is gone, and so is what it was doing."""


class Processes(Executor):
    """Processes that all begin at once, each with a thread that hands it work and waits for what it makes.

    Each has a pipe of its own, so that one that is killed in the middle of an answer is noticed, and no other waits for
    the rest of it; `ProcessPoolExecutor`, whose workers share one, hangs then. No other takes its place: those that are
    left do its work.
    """

    def __init__(self, workers: int, method: str) -> None:
        context: Any = multiprocessing.get_context(method)
        self._idle: SimpleQueue[Connection | None] = SimpleQueue()
        self._processes = []
        with not_interrupted(forks=method == "fork"):  # else one that has just begun tells of it
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=serve, args=(theirs,), daemon=True)
                with warnings.catch_warnings(action="ignore"):  # numpy's own threads sleep
                    process.start()
                theirs.close()
                self._processes.append(process)
                self._idle.put(ours)
        self._left = workers
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(workers)

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `Executor`."""
        return self._threads.submit(self._hand_over, partial(work, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `Executor`; with `cancel_futures`, what is under way is ended too."""
        if cancel_futures:
            for process in self._processes:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        while not self._idle.empty():
            if (pipe := self._idle.get()) is not None:
                with suppress(OSError):
                    pipe.send(None)
                pipe.close()
        for process in self._processes:
            process.join()

    def _hand_over(self, work: Callable[[], Any]) -> Any:
        """What a process makes of it.

        Raises:
            LostError: It was lost.
            BrokenExecutor: None is left.
        """
        pipe = self._idle.get()
        if pipe is None:
            self._idle.put(None)  # for who asks next
            raise BrokenExecutor
        try:
            pipe.send(work)
            is_made, made = pipe.recv()
        except (EOFError, OSError):
            pipe.close()
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._idle.put(None)
            raise LostError from None
        except BaseException:
            self._idle.put(pipe)  # it cannot be pickled
            raise
        self._idle.put(pipe)
        if not is_made:
            raise made
        return made


def serve(pipe: Connection) -> None:
    """In a process: do what comes, until None does."""
    leave_with_parent()
    while True:
        try:
            work = pipe.recv()
        except (EOFError, OSError):
            return
        if work is None:
            return
        answer: tuple[bool, Any]
        try:
            answer = True, work()
        except Exception as error:
            answer = False, error
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
