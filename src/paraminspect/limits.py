"""What one command may do with files that nobody vouches for: one budget, whoever spends it.

A bound on each part is none on the sum: an archive may name one member a thousand times, and a file may hold archives in
archives. So whoever reads adds up here what it does, many at a time: opcodes of pickles, bytes that are inflated, entries
of archives, values. What is allowed grows with the bytes of the files that are open, so that no file is refused that a
program wrote; what a small file may ask for is a few seconds' work.

Work is counted, not time, so that the answer is the same on every machine.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from paraminspect.errors import LimitExceededError
from paraminspect.tuples import NamedTuple

Given = TypeVar("Given")
Asked = ParamSpec("Asked")
Made = TypeVar("Made")


class Bound(NamedTuple):
    """How much of one kind of work a command may do.

    Attributes:
        what: It counts, in the plural.
        free: How many, whatever the size of the files.
        per_byte: How many more for each byte of them: every pass of a command over a file counts.
    """

    what: str
    free: int
    per_byte: float


OPCODES: Final = Bound("opcodes of pickles in one run", 8_000_000, 8)
"""Half a second a million. Each takes a byte at least, and `check` passes over them twice."""

WINDOWS: Final = Bound("bytes of pickles read in one run", 1 << 30, 64)
"""A pickle is read through a window, which reaches over those behind it."""

STRINGS: Final = Bound("strings that may be pickles in one run", 5_000, 1 / 16)
"""A twentieth of a second a thousand, those inside them not counted."""

MEMBERS: Final = Bound("bytes of zip members in one run", 1 << 29, 64)
"""Inflated, if they are deflated: two seconds a GiB in each process. Weights deflate to half their size; `check --deep` reads them
a few times."""

DIRECTORIES: Final = Bound("bytes of zip directories in one run", 4 << 20, 16)
"""An entry takes 47 at least. Each reader and scanner of an archive reads its directory once."""

ENTRIES: Final = Bound("entries of headers in one run", 1 << 18, 1)
"""Two seconds a million. What stands in headers of safetensors, GGUF and ONNX: a field or a piece of JSON is one, a key with
its value a few, a tensor `ONE_RECORD`. Of a header that a program writes each takes several bytes, and of a file there is more
than the header; what is more comes of many names for one file, or of a file that is read again and again."""

ONE_RECORD: Final = 8
"""Entries that a tensor takes as long as, and as much memory: a kilobyte. Of none a file has less than fourteen bytes."""

NUMBERS: Final = Bound("numbers read of tensors in one run", 1 << 26, 256)
"""Some five seconds a thousand million. A byte of a file holds eight at most, or deflated a few more; a tensor may be a view
of bytes that others have too, or repeat a few of its own."""

ONE_TENSOR: Final = 1 << 13
"""Numbers that opening one takes as long as; of none a file has less than 60 bytes."""

SHOWN: Final = Bound("numbers shown in one run", 1 << 20, 2)
"""A second a million, and a hundred bytes each until its tensor is written. A byte of a file holds two, or with blocks of
few bits more, of which nobody reads all."""

MATCHES: Final = Bound("letters matched against selectors in one run", 1 << 29, 1 << 10)
"""A second a hundred million. Twenty rules on a hundred thousand names of forty letters are 144 million."""

ONE_MATCH: Final = 32
"""Letters that the call takes as long as."""

FINDINGS: Final = Bound("findings in one run", 50_000, 0)

SHARED: Final = (OPCODES, WINDOWS, STRINGS, MEMBERS, DIRECTORIES, ENTRIES, NUMBERS)
"""What other processes count, and tell with what they have made."""


class EffortError(LimitExceededError):
    """More work in one run than the bytes of its files justify."""


class Effort:
    """What a command has done so far, in all its threads, and in processes whose work is done.

    Attributes:
        nbytes: Of the files that it has opened.
        is_spent: Whether what looks into files gave up, and need not begin with the next part.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.is_spent = False
        self._sizes: dict[object, int] = {}
        self._names: dict[object, str | None] = {}
        self._spent: dict[Bound, int] = {}
        self._lock = allocate_lock()

    def allow(self, path: str | None, size: int, identity: object = None) -> None:
        """A file is open; opened again, it counts once.

        Args:
            identity: The same for each name of one file; None where it is not known.
        """
        with self._lock:
            if identity is not None and self._names.setdefault(identity, path) != path:
                size = 0  # it has another name already
            self.nbytes += size - self._sizes.get(path, 0)
            self._sizes[path] = size

    def allow_opened(self, paths: tuple[str, ...], size: int) -> None:
        """So many bytes were open before the run began; those of a file that it has opened itself count once."""
        if self._sizes.keys().isdisjoint(paths):
            with self._lock:
                self.nbytes += size - self._sizes.get(paths, 0)
                self._sizes[paths] = size

    def limit(self, bound: Bound) -> int:
        """Most that may be spent."""
        return bound.free + int(bound.per_byte * self.nbytes)

    def left(self, bound: Bound) -> int:
        """What may still be spent."""
        return max(0, self.limit(bound) - self.spent(bound))

    def spent(self, bound: Bound) -> int:
        """What was spent."""
        return self._spent.get(bound, 0)

    def spend(self, bound: Bound, count: int) -> None:
        """Add to what was done, before it is done where the count is known.

        Raises:
            EffortError: That is too much; it is not added.
        """
        with self._lock:
            total = self._spent.get(bound, 0) + count
            if total > self.limit(bound):
                raise EffortError(bound.what, limit=self.limit(bound), actual=total)
            self._spent[bound] = total


_CURRENT: Final[ContextVar[Effort | None]] = ContextVar("effort", default=None)


def effort() -> Effort:
    """That of the run that this is part of; one of its own where none has begun."""
    return _CURRENT.get() or Effort()


@contextmanager
def one_effort(*, afresh: bool = False) -> Iterator[Effort]:
    """All that happens inside is one run.

    Args:
        afresh: Inside of another run too: what is said of one source must not depend on those before. Else it is part of
            that one.
    """
    current = None if afresh else _CURRENT.get()
    token = _CURRENT.set(current or Effort())
    try:
        yield effort()
    finally:
        _CURRENT.reset(token)


def one_run(work: Callable[Asked, Made]) -> Callable[Asked, Made]:
    """A function each of whose calls is a run, or part of the one that it is called in."""

    @wraps(work)
    def called(*args: Asked.args, **kwargs: Asked.kwargs) -> Made:
        with one_effort():
            return work(*args, **kwargs)

    return called


def shared_effort(work: Callable[[Given], Made]) -> Callable[[Given], Made]:
    """The same work, that spends in other threads what is spent here."""
    mine = _CURRENT.get()

    def work_together(item: Given) -> Made:
        token = _CURRENT.set(mine)
        try:
            return work(item)
        finally:
            _CURRENT.reset(token)

    return work_together
