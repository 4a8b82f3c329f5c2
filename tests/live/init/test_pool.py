from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from paraminspect.live.init import pool as pools
from paraminspect.live.init.pool import Pool, StoppedError, count_workers

LONG_S = 20.0
"""How long a job waits for what has to happen; it never takes that long."""


class Meter:
    """Counts what all running jobs take together, and the order in which they begin and end."""

    def __init__(self, costs: list[int]) -> None:
        self.costs = costs
        self.lock = threading.Lock()
        self.used = self.peak = self.running = self.most = 0
        self.begun: list[int] = []
        self.done: list[int] = []

    def __call__(self, job: int) -> None:
        with self.lock:
            self.begun.append(job)
            self.used += self.costs[job]
            self.running += 1
            self.peak, self.most = max(self.peak, self.used), max(self.most, self.running)
        threading.Event().wait(0.002)
        with self.lock:
            self.used -= self.costs[job]
            self.running -= 1
            self.done.append(job)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_memory_stays_below_the_bound(workers: int) -> None:
    costs = [(7 * job) % 10 + 1 for job in range(60)]
    meter = Meter(costs)
    Pool(costs, workers=workers, room=15).run(meter)
    assert sorted(meter.done) == list(range(60))
    assert meter.peak <= 15
    assert 1 <= meter.most <= workers


def test_a_job_larger_than_the_room_runs_alone() -> None:
    costs = [1, 1, 100, 1, 1]
    meter = Meter(costs)
    Pool(costs, workers=5, room=10).run(meter)
    assert meter.peak == 100
    assert meter.begun[2] == 2


def test_jobs_run_side_by_side() -> None:
    met = threading.Barrier(3, timeout=LONG_S)
    Pool([1, 1, 1], workers=3, room=3).run(lambda job: met.wait() and None)


def test_the_end_is_told_even_if_there_was_nothing_to_do() -> None:
    told: list[int] = []
    Pool([], workers=2, room=0).run(lambda job: None, lambda: told.append(1))
    assert told == [1]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("costs", [[3, 3, 2, 2, 2, 3, 3, 1, 1, 1] * 6, [0, 0, 1, 100, 1, 0] * 5])
def test_turns_come_in_order_and_never_wait_for_each_other(workers: int, costs: list[int]) -> None:
    """A later job that took the room of an earlier one would wait for it for ever."""
    meter, order = Meter(costs), []
    pool = Pool(costs, workers=workers, room=6)

    def work(job: int) -> None:
        meter(job)
        pool.wait_for_turn(job)
        order.append(job)
        pool.end_turn()

    runner = threading.Thread(target=pool.run, args=(work,), daemon=True)
    runner.start()
    runner.join(LONG_S)
    assert order == list(range(len(costs)))


def test_a_job_waits_behind_an_earlier_one_that_needs_more_room() -> None:
    begun, release = [], threading.Event()
    first, third = threading.Event(), threading.Event()
    costs = [4, 4, 1]
    pool = Pool(costs, workers=3, room=5)

    def work(job: int) -> None:
        begun.append(job)
        (first if job == 0 else third).set()
        if job == 0:
            release.wait(LONG_S)

    runner = threading.Thread(target=pool.run, args=(work,), daemon=True)
    runner.start()
    assert first.wait(LONG_S)
    assert not third.wait(0.1)
    release.set()
    runner.join(LONG_S)
    assert begun == [0, 1, 2]


def failing(pool: Pool, started: list[int]) -> Callable[[int], None]:
    """Job 1 fails while job 0 goes on in pieces; the others wait for their turn."""
    running = threading.Event()

    def work(job: int) -> None:
        started.append(job)
        if job == 0:
            running.set()
            while True:
                threading.Event().wait(0.001)
                pool.check()
        if job == 1:
            running.wait(LONG_S)
            raise OSError("no space left")
        pool.wait_for_turn(job)

    return work


def test_a_failure_stops_the_others_and_surfaces() -> None:
    started: list[int] = []
    pool = Pool([1] * 100, workers=4, room=4)
    with pytest.raises(OSError, match="no space left"):
        pool.run(failing(pool, started))
    assert len(started) <= 4
    with pytest.raises(StoppedError):
        pool.check()
    assert threading.active_count() < 10


def test_jobs_that_wait_for_room_are_not_begun_after_a_failure() -> None:
    started: list[int] = []
    pool = Pool([4, 4, 4], workers=3, room=4)

    def work(job: int) -> None:
        started.append(job)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        pool.run(work)
    assert started == [0]


def test_an_interrupt_of_the_caller_stops_the_jobs() -> None:
    pool = Pool([1, 1], workers=2, room=2)
    left = []

    def work(job: int) -> None:
        try:
            while True:
                threading.Event().wait(0.001)
                pool.check()
        finally:
            left.append(job)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(work, interrupt)
    assert sorted(left) == [0, 1]


def test_an_interrupted_run_waits_for_all_its_threads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    join = threading.Thread.join
    monkeypatch.setattr(pools, "PATIENCE_S", 0.01)
    monkeypatch.setattr(
        threading.Thread, "join", lambda thread, timeout=None: (waits.append(timeout), join(thread, timeout))[1]
    )
    stuck = threading.Event()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pool([1] * 3, workers=3, room=3).run(lambda job: stuck.wait(LONG_S) and None, interrupt)
    stuck.set()
    assert sum(each or 0 for each in waits) <= 0.03
    assert waits[-1] == 0


def test_progress_is_told_by_the_caller_s_own_thread() -> None:
    told: list[int] = []
    Pool([1], workers=1, room=1).run(
        lambda job: threading.Event().wait(0.3) and None, lambda: told.append(threading.get_ident())
    )
    assert set(told) == {threading.get_ident()}


def test_each_thread_computes_on_its_own() -> None:
    found: list[int] = []
    before = torch.get_num_threads()
    try:
        Pool([1, 1], workers=2, room=2).run(lambda job: found.append(torch.get_num_threads()))
    finally:
        torch.set_num_threads(before)
    assert found == [1, 1]


def test_workers_are_the_processors_there_are() -> None:
    assert 1 <= count_workers() <= pools.MAX_WORKERS
