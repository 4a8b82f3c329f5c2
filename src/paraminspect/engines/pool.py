"""The one seam for work that is shared out: tasks go to an executor, results come back as they are ready.

A task is a plan of reading: records, which say in which file and from which byte on. It can be pickled, and holds neither
open files nor secrets: who does it opens what it names, with credentials of its own. A result is numbers that can be put
together in any order; so nobody has to know who did what. Executors have the shape of `concurrent.futures.Executor`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from paraminspect.errors import CheckpointError, FarError, ParamInspectError
from paraminspect.files.door import place_of
from paraminspect.files.far import expect
from paraminspect.files.far import versions_of as versions_of_far
from paraminspect.files.paths import scheme_of
from paraminspect.files.seen import Seen, Version, reading, versions_of
from paraminspect.files.system import working_in
from paraminspect.limits import SHARED, effort, one_effort
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:  # threads and processes, which most commands do without
    from concurrent.futures import Executor, Future

Task = TypeVar("Task")
Made = TypeVar("Made")
Kept = TypeVar("Kept")
Advance = Callable[[int], None]
Work = Callable[[Any, Advance], Made]
"""A function of a module: of a task, and what is told of the bytes that are done, it makes a result."""

TRIES: Final = 3
"""Of a task whose worker was lost, or whose server did not answer."""

MAX_RUNS: Final = 4
"""Of whose files some are kept open in one process."""

CHECKED_S: Final = 2.0
"""Without an answer, after which it is seen whether one can still come."""

AHEAD: Final = 4
"""Tasks for each worker that wait in the executor."""


def tell_nobody(nbytes: int) -> None:
    """Nobody asked."""


class Errand(NamedTuple):
    """What goes to another process: all that it has to know.

    Attributes:
        work: See `Work`.
        task: See `Work`.
        allowed: Bytes of files that are open, on which it depends how much may be done.
        folder: In which paths begin.
        versions: The local files that the task names, as they were when they were opened first.
        far: What tells its far files from other versions of them.
        run: Name of the run that it is part of: what is open for one is not for another.
        again: Whether it was tried before: then what is known of a server is forgotten.
    """

    work: Work[Any]
    task: Any
    allowed: int
    folder: str
    versions: Mapping[str | None, Version]
    far: Mapping[str, str]
    run: str
    again: bool = False


class Answer(NamedTuple):
    """What comes back.

    Attributes:
        made: The result.
        spent: How much of each of `limits.SHARED` was done.
    """

    made: Any
    spent: tuple[int, ...]


def carry_out(errand: Errand) -> Answer:
    """Do it, in another process.

    Raises:
        ChangedError: A file is not what it was.
        EffortError: It takes more than a run may do.
    """
    token = _RUN.set(errand.run)
    try:
        known = kept(set)
        for path in paths_in(errand.task):
            if scheme_of(path) and (errand.again or path not in known):
                known.add(path)
                place_of(path).forget(path)
        with one_effort(afresh=True) as run, working_in(errand.folder), reading(Seen(errand.versions)):
            run.nbytes = errand.allowed
            if errand.far:
                expect(errand.far)
            made = errand.work(errand.task, tell_nobody)
            return Answer(made, tuple(run.spent(bound) for bound in SHARED))
    finally:
        _RUN.reset(token)


_RUN: Final[ContextVar[str]] = ContextVar("run", default="")
_KEPT: Final[OrderedDict[str, dict[Callable[[], Any], Any]]] = OrderedDict()


def kept(make: Callable[[], Kept]) -> Kept:
    """What is made once for all errands of a run in this process."""
    things = _KEPT.setdefault(_RUN.get(), {})
    _KEPT.move_to_end(_RUN.get())
    if len(_KEPT) > MAX_RUNS:
        _KEPT.popitem(last=False)
    if make not in things:
        things[make] = make()
    found: Kept = things[make]
    return found


def paths_in(value: object) -> set[str]:
    """All files that a task names: what stands in fields called `path`, however deep."""
    found: set[str] = set()
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            path = getattr(each, "path", None)
            if isinstance(path, str):
                found.add(path)
            pending += [part for part in each if isinstance(part, tuple)]
    return found


class Pool(ABC):
    """Takes tasks; for one use.

    Attributes:
        cut: Bytes of a tensor above which it is read in parts, by whoever is free.
        lot: Bytes up to which small tensors are one task.
        is_here: Whether work is done in this process, so that it may be any function.
    """

    cut: int
    lot: int
    is_here: bool

    @abstractmethod
    def run(
        self,
        work: Work[Made],
        tasks: Iterable[Any],
        size_of: Callable[[Any], int],
        advance: Advance = tell_nobody,
        errors: Callable[[Made], Iterable[ParamInspectError]] = lambda _: (),
        *,
        in_order: bool = False,
    ) -> Generator[tuple[int, Made], None, None]:
        """Do all tasks.

        Args:
            work: Does one.
            tasks: What it is given.
            size_of: Tells of a task how many bytes it reads: the largest come first.
            advance: Is told of every so many bytes that are done.
            errors: Those in a result: where they are of a server that may answer yet, the task is tried again.
            in_order: Whether tasks are begun, and results come, in the order of the tasks.

        Yields:
            Places of tasks with their results, as they are ready. Who asks no more ends what is under way.
        """


class Here(Pool):
    """One task after the other, in their order, in this thread, each when its result is asked for."""

    cut = 1 << 62
    lot = 0
    is_here = True

    def run(
        self,
        work: Work[Made],
        tasks: Iterable[Any],
        size_of: Callable[[Any], int],
        advance: Advance = tell_nobody,
        errors: Callable[[Made], Iterable[ParamInspectError]] = lambda _: (),
        *,
        in_order: bool = False,
    ) -> Generator[tuple[int, Made], None, None]:
        """See `Pool`."""
        for place, task in enumerate(tasks):
            yield place, work(task, advance)


class Shared(Pool):
    """By the workers of an executor.

    Args:
        open_: Makes the executor.
        abandon: Ends it without waiting.
        workers: That it has.
        cut: See `Pool`.
        lot: See `Pool`.
        is_here: See `Pool`.
        lost: Exceptions that say that a worker is gone, not what is wrong with its task.
        any_inode: Whether files have other numbers where work is done.
        name: Of the run, where its workers do those of others too.
        check: Raises an error where no answer can come any more; asked while none comes.
    """

    def __init__(
        self,
        open_: Callable[[], Executor],
        abandon: Callable[[Executor], None],
        *,
        workers: int,
        cut: int,
        lot: int,
        is_here: bool,
        lost: tuple[type[BaseException], ...] = (),
        any_inode: bool = False,
        name: str = "",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._open = open_
        self._abandon = abandon
        self._workers = workers
        self._lost = lost
        self._any_inode = any_inode
        self._name = name
        self._check = check
        self.cut = cut
        self.lot = lot
        self.is_here = is_here

    def run(
        self,
        work: Work[Made],
        tasks: Iterable[Any],
        size_of: Callable[[Any], int],
        advance: Advance = tell_nobody,
        errors: Callable[[Made], Iterable[ParamInspectError]] = lambda _: (),
        *,
        in_order: bool = False,
    ) -> Generator[tuple[int, Made], None, None]:
        """See `Pool`."""
        from concurrent.futures import BrokenExecutor

        executor = self._open()
        tries = [0] * len(tasks := list(tasks))
        sizes = [size_of(task) for task in tasks]
        due = deque(range(len(tasks)) if in_order else sorted(range(len(tasks)), key=lambda place: -sizes[place]))
        held: dict[int, Made] = {}
        next_ = 0
        waiting: dict[Future[Any], int] = {}
        try:
            while due or waiting:
                is_broken = False
                while due and len(waiting) + len(held) < AHEAD * self._workers and not is_broken:
                    place = due.popleft()
                    try:
                        waiting[self._submit(executor, work, tasks[place], again=tries[place] > 0)] = place
                        tries[place] += 1
                    except BrokenExecutor:
                        due.appendleft(place)
                        is_broken = True
                for future in self._wait(waiting):
                    place = waiting.pop(future)
                    try:
                        made = self._take(future)
                    except self._lost as error:
                        self._check()
                        is_broken = is_broken or isinstance(error, BrokenExecutor)
                        if tries[place] >= TRIES:
                            raise _given_up() from None
                        due.appendleft(place)
                        continue
                    if tries[place] < TRIES and not self.is_here and any(map(_may_go_better, errors(made))):
                        due.append(place)
                        continue
                    advance(sizes[place])
                    if not in_order:
                        yield place, made
                        continue
                    held[place] = made
                    while next_ in held:
                        yield next_, held.pop(next_)
                        next_ += 1
                if is_broken:  # with all that it had
                    due.extendleft(waiting.values())
                    waiting.clear()
                    self._abandon(executor)
                    executor = self._open()
        except BaseException:
            self._abandon(executor)
            raise
        executor.shutdown()

    def _wait(self, waiting: Iterable[Future[Any]]) -> set[Future[Any]]:
        """Some of these that are done; none of none."""
        from concurrent.futures import FIRST_COMPLETED, wait

        waiting = list(waiting)
        while not (done := wait(waiting, CHECKED_S, FIRST_COMPLETED).done) and waiting:
            self._check()
        return done

    def _submit(self, executor: Executor, work: Work[Made], task: Any, *, again: bool) -> Future[Any]:
        if self.is_here:
            return executor.submit(copy_context().run, work, task, tell_nobody)
        paths = paths_in(task)
        versions = versions_of(path for path in paths if not scheme_of(path))
        far = versions_of_far(paths) if any(map(scheme_of, paths)) else {}
        if self._any_inode:
            versions = {path: version._replace(inode=0) for path, version in versions.items()}
        errand = Errand(work, task, effort().nbytes, os.getcwd(), versions, far, self._name, again)
        return executor.submit(partial(carry_out, errand))  # Dask looks into arguments

    def _take(self, future: Future[Any]) -> Any:
        answer = future.result()
        if self.is_here:
            return answer
        for bound, count in zip(SHARED, answer.spent, strict=True):
            effort().spend(bound, count)
        return answer.made


def _may_go_better(error: ParamInspectError) -> bool:
    if not isinstance(error, FarError):
        return False
    from paraminspect.files.faults import may_go_better

    return may_go_better(error)


def _given_up() -> CheckpointError:
    return CheckpointError("a process that read it ended early", hint="is there enough memory?")


class Engine(ABC):
    """Where pools come from; a context that ends what it began."""

    @abstractmethod
    def pool(self, files: Sequence[str], nbytes: int, *, holds_lock: bool = False) -> Pool:
        """For work on files that reads so many bytes.

        Args:
            files: Of the source; none of standard input, and of what is no file.
            nbytes: In all.
            holds_lock: Whether it keeps the interpreter to itself, so that threads would wait for each other.

        Raises:
            ParamInspectError: Others cannot read them.
        """

    def close(self) -> None:  # noqa: B027 - there may be nothing to end
        """End what was begun."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
