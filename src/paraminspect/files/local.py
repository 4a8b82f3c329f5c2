"""This machine as a place: files by their paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from time import monotonic
from typing import Final

from paraminspect.errors import SourceError
from paraminspect.files.door import Given, Listing, Look, Made
from paraminspect.files.seen import note_opened, note_read, version_of
from paraminspect.files.system import open_to_read, read_at, read_into

MAX_READERS: Final = 8
"""Files that are read at one time."""


_CLOSED: Final = -1


class LocalFile:
    """See `door.File`. No page of the file is mapped: one that becomes shorter is an error, not a signal.

    Args:
        size: Of the file.
        fd: Its descriptor, closed when nobody has this any more.
        status: What the system says of it, where it was asked already.
    """

    is_far = False

    def __init__(self, size: int, fd: int, status: os.stat_result | None = None) -> None:
        self.size = size
        self.fd: int | None = fd
        self._fd = fd
        status = status or os.fstat(fd)
        self.identity: object = (status.st_dev, status.st_ino)

    def read(self, begin: int, length: int, end: int, *, is_new: bool = False) -> bytes:
        """Bytes from an offset."""
        data = read_at(self._fd, length, begin)
        note_read()
        if len(data) == length:
            return data
        pieces = [data]  # a read of over 2 GiB, or from a slow file system, comes in pieces
        while data and (length := length - len(data)):
            begin += len(data)
            data = read_at(self._fd, length, begin)
            pieces.append(data)
        note_read()
        return b"".join(pieces)

    def read_ahead(self, begin: int, need: int, most: int, end: int) -> bytes:
        """All of `most` bytes, which cost little here."""
        return self.read(begin, min(most, end - begin), end)

    def read_into(self, view: memoryview, begin: int, end: int) -> int:
        """Fill memory from an offset."""
        filled = 0
        while filled < len(view) and (done := read_into(self._fd, view[filled:], begin + filled)):
            filled += done
        note_read()
        return filled

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """A read of each is no request."""

    def close(self) -> None:
        """Close the descriptor, if it is not closed yet."""
        self.fd = None
        self.__del__()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        fd, self._fd = self._fd, _CLOSED  # once, for the number may be another file's by then
        if fd != _CLOSED:
            close(fd)


class Local:
    """See `door.Place`."""

    is_writable = True
    has_code = True

    def look(self, path: str) -> Look:
        """What the system says."""
        return _look_of(os.stat(path))

    def is_there(self, path: str) -> bool:
        """Whether the name is taken."""
        return os.path.lexists(path)

    def is_folder(self, path: str) -> bool:
        """False too where that cannot be known."""
        return os.path.isdir(path)

    def list_folder(self, path: str) -> Listing:
        """Files and folders."""
        files: list[str] = []
        folders: list[str] = []
        with os.scandir(path or ".") as entries:
            for entry in entries:
                try:
                    is_folder = entry.is_dir()
                except OSError:
                    is_folder = False
                (folders if is_folder else files).append(entry.name)
        return Listing(sorted(files), sorted(folders))

    def find_in_folder(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those that the list of the folder has."""
        return sorted(frozenset(names).intersection(os.listdir(folder or ".")))

    def open(self, path: str | None) -> LocalFile:
        """A regular file.

        Raises:
            SourceError: It is something else.
        """
        fd = os.dup(0) if path is None else open_to_read(path)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise SourceError("not a regular file")
        file = LocalFile(status.st_size, fd, status)
        note_opened(path, status)
        return file

    def presence(self, paths: Sequence[str]) -> Sequence[Look | None]:
        """One look at each."""
        found: list[Look | None] = []
        for path in paths:
            try:
                found.append(_look_of(os.stat(path)))
            except PermissionError:
                found.append(Look("denied"))
            except (OSError, ValueError):
                found.append(None)
        return found

    def is_inside(self, path: str, folders: Sequence[str]) -> bool:
        """By the real paths of all."""
        real = os.path.realpath(path)
        roots = [os.path.realpath(folder or ".") for folder in folders]
        return any(os.path.commonpath([real, root]) == root for root in roots)

    def each(
        self, work: Callable[[Given], Made], items: Sequence[Given], patience_s: float = float("inf")
    ) -> list[Made]:
        """One after the other until two in a row are slow: for what is at hand, threads would take longer."""
        made: list[Made] = []
        slow = 0
        for item in items:
            start = monotonic()
            made.append(work(item))
            slow = slow + 1 if monotonic() - start > patience_s else 0
            if slow > 1:  # the first is slow that imports its reader
                break
        left = items[len(made) :]
        if left:
            from concurrent.futures import ThreadPoolExecutor  # 10 ms that most sources do not need

            contexts = [copy_context() for _ in left]  # what is read there is part of what is read here
            with ThreadPoolExecutor(min(MAX_READERS, len(left))) as pool:
                made += pool.map(lambda context, item: context.run(work, item), contexts, left)
        return made

    def forget(self, path: str) -> None:
        """Nothing is known of a file that was opened before."""

    def raise_broken(self, path: str) -> None:
        """What cannot be read is an error at once."""

    def notes(self, paths: Iterable[str]) -> list[str]:
        """There is nothing to say."""
        return []


def _look_of(status: os.stat_result) -> Look:
    if stat.S_ISREG(status.st_mode):
        return Look("file", status.st_size, version_of(status))
    if stat.S_ISDIR(status.st_mode):
        return Look("folder")
    return Look("pipe" if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) else "other")


PLACE = Local()
