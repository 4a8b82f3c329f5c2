"""What one command may do with files that nobody vouches for: one budget, whoever spends it.

A bound on each part is none on the sum: an archive may name one member a thousand times, and a file may hold archives in
archives. So whoever reads adds up here what it does, many at a time: opcodes of pickles, bytes that are inflated, entries
of archives, values. What is allowed grows with the bytes of the files that are open, so that no file is refused that a
program wrote; what a small file may ask for is a few seconds' work.

Work is counted, not time, so that the answer is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple, TypeVar

from paraminspect.errors import LimitExceededError

Given = TypeVar("Given")
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
    per_byte: int


OPCODES: Final = Bound("opcodes of pickles in one run", 8_000_000, 8)
"""Half a second a million. Each takes a byte at least, and `check` passes over them twice."""

MEMBERS: Final = Bound("bytes of zip members in one run", 1 << 29, 64)
"""Inflated, if they are deflated: two seconds a GiB in each process. Weights deflate to half their size; `check --deep` reads them
a few times."""

DIRECTORIES: Final = Bound("bytes of zip directories in one run", 4 << 20, 16)
"""An entry takes 47 at least. Each reader and scanner of an archive reads its directory once."""

VALUES: Final = Bound("values of tensors that repeat theirs, one by one, in one run", 1 << 26, 256)
"""Of others there are as many as bytes, or four times as many."""

MATCHES: Final = Bound("letters matched against selectors in one run", 1 << 29, 1 << 10)
"""A second a hundred million. Twenty rules on a hundred thousand names of forty letters are 144 million."""

ONE_MATCH: Final = 32
"""Letters that the call takes as long as."""

FINDINGS: Final = Bound("findings in one run", 50_000, 0)


class EffortError(LimitExceededError):
    """More work in one run than the bytes of its files justify."""


class Effort:
    """What a command has done so far.

    Attributes:
        nbytes: Of the files that it has opened.
        is_spent: Whether what looks into files gave up, and need not begin with the next part.
    """

    def __init__(self) -> None:
        self.nbytes = 0
        self.is_spent = False
        self._sizes: dict[str | None, int] = {}
        self._spent: dict[Bound, int] = {}

    def allow(self, path: str | None, size: int) -> None:
        """A file is open; opened again, it counts once."""
        self.nbytes += size - self._sizes.get(path, 0)
        self._sizes[path] = size

    def limit(self, bound: Bound) -> int:
        """Most that may be spent."""
        return bound.free + bound.per_byte * self.nbytes

    def left(self, bound: Bound) -> int:
        """What may still be spent."""
        return max(0, self.limit(bound) - self._spent.get(bound, 0))

    def spent(self, bound: Bound) -> int:
        """What was spent."""
        return self._spent.get(bound, 0)

    def spend(self, bound: Bound, count: int) -> None:
        """Add to what was done, before it is done where the count is known.

        Raises:
            EffortError: That is too much; it is not added.
        """
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
