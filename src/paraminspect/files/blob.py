"""Random access to the bytes of one file, bounded by its size: the only way readers touch data."""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from paraminspect.errors import SourceError, TruncatedError
from paraminspect.files.paths import is_far
from paraminspect.files.system import open_to_read, read_at

if TYPE_CHECKING:
    from paraminspect.files.ranged import FarFile

NEAR: Final = 4096
"""Bytes that `Blob.read_near` reads at a time."""


class Blob:
    """The bytes of a regular file, of a part of one, of a buffer, or of a file on a server.

    Reads are positioned (`pread`), so one blob may be shared between threads, and no page of the file is mapped.

    Args:
        size: Length in bytes.
        fd: Open file descriptor, closed when the blob and its parts are gone; or
        data: the bytes themselves; or
        far: what fetches them.
        path: For records; None for standard input.
        begin: Where the blob starts in the file.
    """

    def __init__(
        self,
        size: int,
        *,
        fd: int | None = None,
        data: bytes = b"",
        far: FarFile | None = None,
        path: str | None = None,
        begin: int = 0,
        parent: Blob | None = None,
    ) -> None:
        self.size = size
        self.path = path
        self.begin = begin
        self._fd = fd
        self._data = data
        self._far = far
        self._window = (0, b"")
        self._parent = parent  # keeps the descriptor open while a part is in use
        if fd is not None and parent is None:
            weakref.finalize(self, os.close, fd)

    @classmethod
    def from_bytes(cls, data: bytes, path: str | None = None) -> Blob:
        """Wrap bytes that are already in memory."""
        return cls(len(data), data=data, path=path)

    def part(self, begin: int, size: int) -> Blob:
        """The blob of `size` bytes that starts at `begin` of this one.

        Raises:
            TruncatedError: The part reaches past the end.
        """
        if begin < 0 or size < 0 or begin + size > self.size:
            raise TruncatedError(f"bytes {begin:,} to {begin + size:,} of a file of {self.size:,} bytes")
        return Blob(
            size, fd=self._fd, data=self._data, far=self._far, path=self.path, begin=self.begin + begin, parent=self
        )

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`.

        Raises:
            TruncatedError: The blob ends before.
        """
        data = self.read_up_to(offset, length)
        if len(data) != length and offset + length <= self.size:
            raise TruncatedError("the file became shorter while it was read", hint="is it being written? try again")
        if len(data) != length:
            raise TruncatedError(
                f"the file ends at byte {self.size:,}, {offset + length - self.size:,} bytes too early",
                hint="it was not written or copied to its end: fetch or save it again",
            )
        return data

    def read_near(self, offset: int, length: int) -> bytes:
        """As `read_up_to`, for a few bytes among others that will be asked for next: one read serves them all."""
        if self._far is not None:  # which keeps what it fetched
            return self.read_up_to(offset, length)
        begin, window = self._window
        if not begin <= offset <= begin + len(window) - length:
            begin, window = self._window = offset, self.read_up_to(offset, max(length, NEAR))
        return window[offset - begin : offset - begin + length]

    def read_ahead(self, offset: int, need: int, most: int) -> bytes:
        """From `offset`, `most` bytes where reading costs little; of a file far away `need` bytes, and what came along.

        Fewer than `need` only where the blob ends.
        """
        if self._far is None or offset < 0 or offset >= self.size:
            return self.read_up_to(offset, max(need, most))
        need = min(max(need, NEAR), self.size - offset)
        return self._far.read_ahead(self.begin + offset, need, max(need, most), self.begin + self.size)

    def prefetch(self, offsets: Iterable[int], length: int) -> None:
        """Have a few bytes from each of these places at hand, where a read of each would be a request."""
        if self._far is not None:
            begins = [self.begin + offset for offset in offsets if 0 <= offset < self.size]
            self._far.prefetch((begin, begin + length) for begin in begins)

    @property
    def is_far(self) -> bool:
        """Whether each read may be a request to a server."""
        return self._far is not None

    def read_up_to(self, offset: int, length: int) -> bytes:
        """As many of `length` bytes from `offset` as there are."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        start = self.begin + offset
        if self._far is not None:
            return self._far.read(start, length, self.begin + self.size, is_new=offset == 0)
        if self._fd is None:
            return self._data[start : start + length]
        data = read_at(self._fd, length, start)
        if len(data) == length:
            return data
        pieces = [data]  # a read of over 2 GiB, or from a slow file system, comes in pieces
        while data and (length := length - len(data)):
            start += len(data)
            data = read_at(self._fd, length, start)
            pieces.append(data)
        return b"".join(pieces)


def open_blob(path: str | None) -> Blob:
    """The bytes of a regular file wherever it is; None is standard input.

    Raises:
        OSError: It cannot be opened.
        FarError: The same of a URL.
        SourceError: It is no regular file.
    """
    if is_far(path) and path is not None:
        from paraminspect.files.door import open_far

        far = open_far(path)
        return Blob(far.size, far=far, path=path)
    fd = os.dup(0) if path is None else open_to_read(path)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise SourceError("not a regular file")
    return Blob(status.st_size, fd=fd, path=path)
