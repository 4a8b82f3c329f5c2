"""What is made of bytes once in a run although both a reader and a scanner ask for it: `check` is both.

All goes by the bytes themselves, not by their place, so that neither sees what the other one read if a file changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.tuples import NamedTuple

Made = TypeVar("Made")


class Loaded(NamedTuple):
    """What a pickle stands for.

    Attributes:
        value: Inert.
        storages: It refers to, by their keys; of one key there are no two different ones.
        foreign: (module, name) of what it names that is on no allow-list.
        end: Offset of the first byte behind it.
        refers: Whether there is a persistent id in it.
    """

    value: object
    storages: dict[str, StorageRef]
    foreign: list[tuple[str, str]]
    end: int
    refers: bool


class Loader(Protocol):
    """Who looks into pickles, and knows what they stand for."""

    def load(self, blob: Blob, begin: int, *, takes_runs: bool) -> Loaded | None:
        """What the pickle stands for that begins there; None where only a `PickleMachine` can tell. Who asks may change it.

        Args:
            takes_runs: Whether it may hold a `Run` in place of what that stands for.
        """


class Once:
    """What one run has made.

    Attributes:
        loader: Reads pickles.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self._directory: tuple[bytes, int] = b"", -1
        self._entries: Any = None
        self._only: dict[object, Any] = {}

    def only(self, kind: Callable[[], Made]) -> Made:
        """The one of its kind."""
        made: Made = self._only.get(kind) or self._only.setdefault(kind, kind())
        return made

    def entries(self, data: bytes, count: int, read: Callable[[bytes, int], Any]) -> Any:
        """What `read` makes of a zip directory, the one before if that has the same bytes."""
        if self._directory != (data, count):
            self._entries = read(data, count)
            self._directory = data, count
        return self._entries


_ONCE: Final[ContextVar[Once | None]] = ContextVar("once", default=None)


def once() -> Once | None:
    """That of the run that this is part of; None where nobody asks twice."""
    return _ONCE.get()


@contextmanager
def making_once(loader: Loader) -> Iterator[None]:
    """What is read inside is read once."""
    token = _ONCE.set(Once(loader))
    try:
        yield
    finally:
        _ONCE.reset(token)
