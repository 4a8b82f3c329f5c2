"""Tasks go out, results come back, whatever happens in between."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.engines import open_engine, pool
from paraminspect.engines.pool import Errand, Here, Shared, carry_out, kept, paths_in
from paraminspect.errors import (
    ChangedError,
    CheckpointError,
    FarError,
    LimitExceededError,
    ParamInspectError,
    SpecError,
    TruncatedError,
)  # fmt: skip
from paraminspect.files.blob import open_blob
from paraminspect.files.faults import fault
from paraminspect.files.seen import reading
from paraminspect.limits import MEMBERS, NUMBERS, EffortError, effort, one_effort
from paraminspect.records import Encoding, Piece, Storage, TensorRecord


class Task(NamedTuple):
    path: str
    size: int = 0


def double(task: int, advance: Callable[[int], None]) -> int:
    advance(task)
    return 2 * task


def shared(executor: Callable[[], Executor], *, is_here: bool = True, **given: Any) -> Shared:
    def drop(pool: Executor) -> None:
        pool.shutdown(wait=False, cancel_futures=True)

    return Shared(executor, drop, workers=2, cut=1 << 20, lot=1 << 10, is_here=is_here, **given)


def threads() -> Shared:
    return shared(lambda: ThreadPoolExecutor(2))


@given(st.lists(st.integers(0, 99), max_size=30))
def test_all_results_come_with_their_places(tasks: list[int]) -> None:
    for each in (Here(), threads()):
        told: list[int] = []
        found = dict(each.run(double, iter(tasks), lambda task: task, told.append))
        assert found == {place: 2 * task for place, task in enumerate(tasks)}
        assert sum(told) == sum(tasks)


def test_the_largest_go_first() -> None:
    order = []

    def note(task: int, advance: Callable[[int], None]) -> None:
        order.append(task)

    list(shared(lambda: ThreadPoolExecutor(1)).run(note, [1, 9, 5, 7], lambda task: task))
    assert order == [9, 7, 5, 1]


def test_in_this_thread_work_is_done_when_its_result_is_wanted() -> None:
    done = []

    def note(task: int, advance: Callable[[int], None]) -> None:
        done.append(task)

    results = Here().run(note, [3, 4], lambda task: task)
    next(results)
    assert done == [3]


def test_an_error_ends_it_all() -> None:
    def fail(task: int, advance: Callable[[int], None]) -> None:
        raise CheckpointError("no")

    with pytest.raises(CheckpointError, match="no"):
        list(threads().run(fail, [1, 2, 3], lambda task: task))


def test_a_pool_that_breaks_is_made_anew() -> None:
    opened: list[Executor] = []

    class Fragile(ThreadPoolExecutor):
        taken = 0

        def submit(self, *given: Any, **more: Any) -> Any:
            self.taken += 1
            if self.taken > 3 and len(opened) == 1:
                raise BrokenProcessPool("gone")
            return super().submit(*given, **more)

    def open_() -> Executor:
        opened.append(Fragile(1))
        return opened[-1]

    found = dict(shared(open_, lost=(BrokenProcessPool,)).run(double, list(range(9)), lambda task: task))
    assert found == {place: 2 * place for place in range(9)}
    assert len(opened) == 2


def test_a_task_that_always_takes_its_worker_along_is_given_up() -> None:
    tried = []

    def fall(task: int, advance: Callable[[int], None]) -> None:
        tried.append(task)
        raise BrokenProcessPool("gone")

    with pytest.raises(CheckpointError, match="ended early"):
        list(shared(lambda: ThreadPoolExecutor(1), lost=(BrokenProcessPool,)).run(fall, [1], lambda task: task))
    assert len(tried) == pool.TRIES


def test_who_answers_no_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Executor):
        def submit(self, *given: Any, **more: Any) -> Any:
            return Future[int]()

    def check() -> None:
        raise CheckpointError("gone")

    monkeypatch.setattr(pool, "CHECKED_S", 0)
    with pytest.raises(CheckpointError, match="gone"):
        list(shared(Silent, check=check).run(double, [1, 2], lambda task: task))


@pytest.mark.parametrize(("error", "times"), [("silent", pool.TRIES), ("missing", 1), ("truncated", 1)])
def test_a_server_is_asked_again_and_a_damaged_file_is_not(tmp_path: Path, error: str, times: int) -> None:
    log = tmp_path / "log"
    results = shared(lambda: ThreadPoolExecutor(1), is_here=False).run(
        report, [Task(str(log), 1)], lambda task: task.size, errors=lambda made: [made(error)]
    )
    assert [place for place, _ in results] == [0]
    assert log.read_text() == "x" * times


def report(task: Task, advance: Callable[[int], None]) -> Callable[[str], ParamInspectError]:
    with open(task.path, "a") as file:
        file.write("x")
    return lambda name: TruncatedError("short") if name == "truncated" else fault(name, host="h", seconds=1, url="u")


# --- what goes to other processes ----------------------------------------------------------------------------------


def read(task: Task, advance: Callable[[int], None]) -> bytes:
    effort().spend(NUMBERS, task.size)
    kept(list).append(task.path)
    return open_blob(task.path).read(0, 3)


def errand(task: Task, versions: Any = (), run: str = "") -> Errand:
    return Errand(read, task, 1000, "", dict(versions), {}, run)


def test_what_was_spent_comes_along(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    answer = carry_out(errand(Task(str(tmp_path / "f"), 5)))
    assert answer.made == b"abc"
    assert sum(answer.spent) == 5
    with one_effort() as run:
        list(shared(lambda: ThreadPoolExecutor(1), is_here=False).run(read, [Task(str(tmp_path / "f"), 5)], len))
        assert run.spent(NUMBERS) == 5
        assert run.spent(MEMBERS) == 0
        far = [Task(str(tmp_path / "f"), NUMBERS.free - 100)] * 2
        with pytest.raises(EffortError):
            list(shared(lambda: ThreadPoolExecutor(1), is_here=False).run(read, far, len))


def test_paths_begin_in_the_folder_of_who_asks(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert carry_out(errand(Task("f"))._replace(folder=str(tmp_path))).made == b"abc"


def test_another_file_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    with reading() as seen:
        open_blob(str(path))
        version = seen.get(str(path))
    assert version is not None
    moved = version._replace(inode=0)
    assert carry_out(errand(Task(str(path)), {str(path): moved})).made == b"abc"
    path.write_bytes(b"abcd")
    for each in (version, moved):
        with pytest.raises(ChangedError, match="3 bytes, and has 4"):
            carry_out(errand(Task(str(path)), {str(path): each}))


def test_what_is_kept_is_kept_for_few_runs(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    for run in "aabcdef":
        carry_out(errand(Task(str(tmp_path / "f")), run=run))
    assert len(pool._KEPT) <= pool.MAX_RUNS
    assert [len(things[list]) for things in pool._KEPT.values() if list in things] == [1] * pool.MAX_RUNS


def test_all_paths_of_a_record_are_found() -> None:
    inner = TensorRecord("b", (2,), "float32", 2, 8, storage=Storage("b", 8, "two"))
    pieces = (Piece((0,), (2,), "one", 0, 8), Piece((2,), (2,), "one", 8, 8, inner))
    record = TensorRecord("a", (4,), "float32", 4, 16, layout="chunked", encoding=Encoding(pieces=pieces))
    assert paths_in(((record, 0), Storage("c", 1, "three"), Storage("d", 1))) == {"one", "two", "three"}


@pytest.mark.parametrize(
    "error",
    [
        LimitExceededError("things", limit=3, actual=9, hint="fewer"),
        EffortError("opcodes", limit=1, actual=2),
        FarError("no answer", fault="silent", wait_s=3.0, hint="later"),
        SpecError("what", line=3, column=4, source="x"),
        CheckpointError("odd", fault="truncated"),
    ],
)
def test_errors_survive_the_way(error: ParamInspectError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert vars(back) == vars(error)
    assert str(back) == str(error)


def test_the_ordinary_engine_needs_no_name() -> None:
    with open_engine() as engine:
        assert isinstance(engine.pool((), 1 << 40), Here)
