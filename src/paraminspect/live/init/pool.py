"""Work on many tensors side by side, with a bound on the memory that is in use at one time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import torch

from paraminspect.files.processes import count_processors
from paraminspect.limits import shared_effort

TICK_S = 0.1
"""How often the waiting thread looks up: for Ctrl-C, and to show progress."""

PATIENCE_S = 5.0
"""How long a stopped run waits for its threads, which look up after each piece of a tensor."""

MAX_WORKERS = 16


class StoppedError(Exception):
    """Raised inside a job after another one has failed."""


def count_workers() -> int:
    """Threads to use: the processors that this process may run on."""
    return min(count_processors(), MAX_WORKERS)


class Pool:
    """Runs jobs in several threads. Jobs start in their order; one waits until there is room for its memory.

    Args:
        costs: Bytes that each job takes while it runs.
        workers: Threads.
        room: Bytes that all running jobs may take together; a job that is larger runs alone.
    """

    def __init__(self, costs: Sequence[int], *, workers: int, room: int) -> None:
        self._costs = costs
        self._workers = workers
        self._room = room
        self._condition = threading.Condition()
        self._next = 0
        self._started = 0
        self._used = 0
        self._turn = 0
        self._error: BaseException | None = None
        self._running = 0

    def run(self, work: Callable[[int], None], tick: Callable[[], None] = lambda: None) -> None:
        """Do all jobs; returns when the last one is done.

        Args:
            work: Does the job of that number. It may call `wait_for_turn` and should call `check` now and then.
            tick: Called several times a second and at the end, by the calling thread.

        Raises:
            Exception: What the first job that failed raised; KeyboardInterrupt of the calling thread.
        """
        threads = [
            threading.Thread(target=shared_effort(self._serve), args=(work,), daemon=True)
            for _ in range(min(self._workers, len(self._costs)))
        ]
        self._running = len(threads)
        try:
            for thread in threads:
                thread.start()
            with self._condition:
                while self._running:
                    self._condition.wait(TICK_S)
                    tick()
            tick()
        except BaseException as error:
            self._stop(error)
            deadline = time.monotonic() + PATIENCE_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, deadline - time.monotonic()))
            raise
        if self._error is not None:
            raise self._error

    def check(self) -> None:
        """Leave a job early.

        Raises:
            StoppedError: Another one has failed, or the run was interrupted.
        """
        if self._error is not None:
            raise StoppedError

    def wait_for_turn(self, job: int) -> None:
        """Wait until all earlier jobs have called `end_turn`.

        Raises:
            StoppedError: One of them will not.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._turn == job or self._error is not None)
        self.check()

    def end_turn(self) -> None:
        """Let the next job write."""
        with self._condition:
            self._turn += 1
            self._condition.notify_all()

    def _serve(self, work: Callable[[int], None]) -> None:
        torch.set_num_threads(1)
        try:
            while (job := self._take()) is not None:
                try:
                    work(job)
                finally:
                    self._give_back(job)
        except StoppedError:
            pass
        except BaseException as error:
            self._stop(error)
        with self._condition:
            self._running -= 1
            self._condition.notify_all()

    def _take(self) -> int | None:
        """The next job, once all before it have started and there is room for it; None if there is none to do.

        A later job that would fit waits as well: it could hold the room that this one needs, and wait for its turn.
        """
        with self._condition:
            if self._next == len(self._costs):
                return None
            job, cost = self._next, self._costs[self._next]
            self._next += 1
            self._condition.wait_for(lambda: self._error is not None or (self._started == job and self._fits(cost)))
            if self._error is not None:
                return None
            self._started += 1
            self._used += cost
            self._condition.notify_all()
            return job

    def _fits(self, cost: int) -> bool:
        return not self._used or self._used + cost <= self._room

    def _give_back(self, job: int) -> None:
        with self._condition:
            self._used -= self._costs[job]
            self._condition.notify_all()

    def _stop(self, error: BaseException) -> None:
        with self._condition:
            self._error = self._error or error
            self._condition.notify_all()
