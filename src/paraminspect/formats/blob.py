"""Random access to the bytes of one file, bounded by its size: the only way readers touch data."""

from __future__ import annotations

import os
import weakref

from paraminspect.errors import TruncatedError


class Blob:
    """The bytes of a regular file, of a part of one, or of a buffer.

    Reads are positioned (`pread`), so one blob may be shared between threads, and no page of the file is mapped.

    Args:
        size: Length in bytes.
        fd: Open file descriptor, closed when the blob and its parts are gone; or
        data: the bytes themselves.
        path: For records; None for standard input.
        begin: Where the blob starts in the file.
    """

    def __init__(
        self,
        size: int,
        *,
        fd: int | None = None,
        data: bytes = b"",
        path: str | None = None,
        begin: int = 0,
        parent: Blob | None = None,
    ) -> None:
        self.size = size
        self.path = path
        self.begin = begin
        self._fd = fd
        self._data = data
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
        return Blob(size, fd=self._fd, data=self._data, path=self.path, begin=self.begin + begin, parent=self)

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

    def read_up_to(self, offset: int, length: int) -> bytes:
        """As many of `length` bytes from `offset` as there are."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        start = self.begin + offset
        if self._fd is None:
            return self._data[start : start + length]
        data = os.pread(self._fd, length, start)
        if len(data) == length:
            return data
        pieces = [data]  # a read of over 2 GiB, or from a slow file system, comes in pieces
        while data and (length := length - len(data)):
            start += len(data)
            data = os.pread(self._fd, length, start)
            pieces.append(data)
        return b"".join(pieces)
