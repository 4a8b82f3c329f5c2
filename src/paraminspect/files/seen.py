"""Whether the files that are read stay what they are: the one place that decides it.

What is open is no mixture of two versions if no file was another one at the end than when it was first opened: the same
inode, of the same size, last written at the same time. A change that leaves all three as they were, within one tick of
the file system's clock, is not seen. As long as nothing more is read, one look at a file tells as much as another one would,
and serves whoever asks. Of a server each answer is held against the first (ETag, time or size), so far
files need no look at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from paraminspect.errors import ChangedError
from paraminspect.files.paths import scheme_of, shown
from paraminspect.files.system import in_folder, is_nameless
from paraminspect.tuples import NamedTuple

_HINT: Final = "is it being written? try again when that is done"


class Version(NamedTuple):
    """What tells a file from another one, and from what it was.

    Attributes:
        inode: Its number in the file system; 0 where that is not known, which is any.
        size: In bytes.
        written_ns: When it was last written, in nanoseconds.
    """

    inode: int
    size: int
    written_ns: int


_make: Final = tuple.__new__


def version_of(status: os.stat_result) -> Version:
    """The version of a file that has this status."""
    return _make(Version, (status.st_ino, status.st_size, status.st_mtime_ns))  # one for each look at each shard


def _version_at(path: str | None) -> Version | None:
    """The version that a path leads to now; None where it leads nowhere."""
    try:
        return version_of(os.fstat(0) if path is None else os.stat(path))
    except (OSError, ValueError):
        return None


class _Looks:
    """What paths lead to, kept until something is read."""

    def __init__(self) -> None:
        self._known: dict[str | None, Version | None] = {}

    def look(self, path: str | None) -> Version | None:
        """What a path leads to now; None where it leads nowhere."""
        known = self._known  # a look that began before a read is not kept behind it
        place = path and in_folder(path)
        if place not in known:
            known[place] = _version_at(place)
        return known[place]

    def forget(self) -> None:
        self._known = {}


_LOOKS: Final = _Looks()


def note_read() -> None:
    """Bytes of some file of this machine were read, of which looks at it before that tell nothing."""
    _LOOKS.forget()


class Seen:
    """Files that are read for one purpose, each as it was when it was first opened. For several threads.

    Args:
        versions: What is known of some of them already.
    """

    def __init__(self, versions: Mapping[str | None, Version] | None = None) -> None:
        self._versions: dict[str | None, Version] = dict(versions or {})

    def note(self, path: str | None, version: Version) -> None:
        """A file is open; None is standard input.

        Raises:
            ChangedError: It was another one before.
        """
        before = self._versions.setdefault(path, version)
        if not _is_same(version, before):
            raise _changed(path, before, version)

    def get(self, path: str | None) -> Version | None:
        """A file as it was; None where it is not known."""
        return self._versions.get(path)

    def note_all(self, paths: Iterable[str], known: Mapping[str, Version]) -> None:
        """The same of files that will be opened; those that are not there are left to whoever opens them."""
        for path in paths:
            if path not in self._versions and (version := known.get(path) or _version_at(in_folder(path))) is not None:
                self._versions[path] = version

    def raise_changed(self) -> None:
        """See that all files are what they were.

        Raises:
            ChangedError: One is not.
        """
        for path, before in list(self._versions.items()):
            if not _is_same(now := _LOOKS.look(path), before):
                raise _changed(path, before, now)

    def clear(self) -> None:
        """What happens to them from here on does not matter."""
        self._versions.clear()


def _is_same(now: Version | None, before: Version) -> bool:
    return now is not None and (now if before.inode else now._replace(inode=0)) == before


def _changed(path: str | None, before: Version, now: Version | None) -> ChangedError:
    message = f"the file changed while it was read: {_describe(before, now)}"
    return ChangedError(message, hint=_HINT, source="-" if path is None else shown(path))


def _describe(before: Version, now: Version | None) -> str:
    if now is None:
        return "it is gone"
    if before.inode and now.inode != before.inode:
        return "another file has its name now"
    if now.size != before.size:
        return f"it had {before.size:,} bytes, and has {now.size:,}"
    return "somebody wrote into it"


_READING: Final[ContextVar[tuple[list[Seen], ...]]] = ContextVar("reading", default=())
"""Of everything that is being read, the outermost first: what is opened meanwhile, then what was opened earlier."""


def note_opened(path: str | None, status: os.stat_result) -> None:
    """A file of this machine is open, for whatever is being read; copies that have no name do not count.

    Raises:
        ChangedError: It was another one when it was opened before.
    """
    if path is None or not is_nameless(path):
        version = version_of(status)
        for group in _READING.get():
            for seen in group:
                seen.note(path, version)


def note_all(paths: Iterable[str], known: Mapping[str, Version] = MappingProxyType({})) -> None:
    """Files of what is being read, which may be opened later.

    Args:
        paths: Of all of them.
        known: Some as they were when they were looked at before.
    """
    local = [path for path in paths if not scheme_of(path) and not is_nameless(path)]
    for group in _READING.get():
        for seen in group:
            seen.note_all(local, known)


def versions_of(paths: Iterable[str]) -> dict[str | None, Version]:
    """Those of the files of what is being read, as they were when they were first opened."""
    groups = [seen for group in _READING.get() for seen in group]
    found = {path: next((v for seen in groups if (v := seen.get(path)) is not None), None) for path in paths}
    return {path: version for path, version in found.items() if version is not None}


@contextmanager
def reading(*earlier: Seen) -> Iterator[Seen]:
    """Files that are opened inside stay what they are until the end.

    Args:
        earlier: Files that were opened before and are read again.

    Yields:
        Those that are opened inside. They count for what is around as well.

    Raises:
        ChangedError: One has changed; said in the place of an error that may come of it.
    """
    around = _READING.get()
    if earlier or not around:
        _LOOKS.forget()  # those of another run
    group = [Seen(), *earlier]
    token = _READING.set((*around, group))
    try:
        yield group[0]
    except BrokenPipeError:
        raise
    except Exception:
        _raise_changed(group)
        raise
    else:
        _raise_changed(group)
    finally:
        _READING.reset(token)


@contextmanager
def reading_back() -> Iterator[None]:
    """Files that are opened inside are our own, and nobody else writes them."""
    token = _READING.set(())
    try:
        yield
    finally:
        _READING.reset(token)


def raise_changed() -> None:
    """See that all files of what is being read are what they were, before anything is said of them.

    Raises:
        ChangedError: One has changed.
    """
    _raise_changed(seen for group in _READING.get() for seen in group)


def settle() -> None:
    """The same, when all has been read: what happens to the files from here on, perhaps by our own hand, is no matter.

    Raises:
        ChangedError: One has changed.
    """
    raise_changed()
    for group in _READING.get():
        group[0].clear()
        del group[1:]


def _raise_changed(several: Iterable[Seen]) -> None:
    """As `Seen.raise_changed`, once: what is said of a file by whoever reads it is not said by all around it."""
    try:
        for seen in several:
            seen.raise_changed()
    except ChangedError:
        for group in _READING.get():
            group[0].clear()
        raise
