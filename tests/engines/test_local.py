"""Threads and processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from paraminspect.engines import local
from paraminspect.engines.local import Local, processes, threads
from paraminspect.engines.pool import Here, Shared
from paraminspect.engines.workers import Processes
from paraminspect.errors import CheckpointError


class Task(NamedTuple):
    number: int
    marker: str = ""


def work(task: Task, advance: Callable[[int], None]) -> tuple[int, int]:
    """The number and the process; the first to find no marker at its path leaves one, and is killed."""
    if task.marker:
        try:
            os.close(os.open(task.marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return task.number, os.getpid()


def always_killed(task: Task, advance: Callable[[int], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def number_of(task: Task) -> int:
    return task.number


@pytest.fixture(params=["fork", "threads"])
def some(request: pytest.FixtureRequest) -> Shared:
    return threads(2) if request.param == "threads" else processes(2, "fork")


def test_all_work_is_done(some: Shared) -> None:
    found = dict(some.run(work, [Task(number) for number in range(50)], number_of))
    assert {place: number for place, (number, _) in found.items()} == dict(zip(range(50), range(50), strict=True))
    assert all((process == os.getpid()) == some.is_here for _, process in found.values())


def test_a_process_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    marker = str(tmp_path / "marker")
    tasks = [Task(number, marker if number == 17 else "") for number in range(30)]
    found = dict(processes(2, "fork").run(work, tasks, number_of))
    assert os.path.exists(marker)
    assert [found[place][0] for place in range(30)] == list(range(30))


def half_an_answer(task: Task, advance: Callable[[int], None]) -> bytes:
    """The first time, the process is killed when half of it is written."""
    if not os.path.exists(task.marker):
        Path(task.marker).touch()
        send = Connection._send

        def cut(pipe: Connection, data: bytes) -> None:
            send(pipe, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        Connection._send = cut
    return b"whole" * 9


def test_a_process_that_is_killed_in_the_middle_of_its_answer(tmp_path: Path) -> None:
    tasks = [Task(1, str(tmp_path / "marker"))]
    assert dict(processes(2, "fork").run(half_an_answer, tasks, number_of)) == {0: b"whole" * 9}


def test_work_that_always_kills_is_given_up() -> None:
    with pytest.raises(CheckpointError, match="ended early") as caught:
        list(processes(2, "fork").run(always_killed, [Task(1)], number_of))
    assert caught.value.hint == "is there enough memory?"


def test_processes_are_gone_when_nobody_wants_more(some: Shared) -> None:
    before = threading.active_count()
    results = some.run(work, [Task(number) for number in range(50)], number_of)
    next(results)
    results.close()
    assert multiprocessing.active_children() == []
    if not some.is_here:
        assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="the system has no mask of signals")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_begins_does_not_hear_of_ctrl_c(method: str) -> None:
    with Processes(1, method) as pool:
        masked = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    assert signal.SIGINT in masked
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # whatever other tests have left
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(local, "processes", lambda workers, method: (workers, method))


@pytest.mark.usefixtures("alone")
def test_large_files_take_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(nbytes: int, files: Any = ("a",)) -> Any:
        return Local().pool(files, nbytes, holds_lock=True)

    assert isinstance(asked(1000), Here)
    assert asked(local.FORKED_BYTES) == (local.MAX_WORKERS, "fork")
    for files in ((), ("/dev/fd/3",)):  # standard input, or a live model, and a pipe
        assert isinstance(asked(1 << 40, files), Here)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert isinstance(asked(local.FORKED_BYTES), Here)
    assert asked(local.SPAWNED_BYTES) == (local.MAX_WORKERS, "spawn")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert asked(local.SPAWNED_BYTES) == (local.MAX_WORKERS, "spawn")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert asked(local.SPAWNED_BYTES) == (local.MAX_WORKERS, "spawn")


@pytest.mark.usefixtures("alone")
def test_what_lets_the_lock_go_takes_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(Local().pool(("a",), 1000), Here)
    assert Local().pool(("a",), local.THREADED_BYTES).is_here
    assert isinstance(Local().pool(("a",), local.THREADED_BYTES), Shared)
    assert isinstance(Local().pool((), 1 << 40), Here)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert isinstance(Local().pool(("a",), 1 << 40), Here)
