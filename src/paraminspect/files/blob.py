"""Random access to the bytes of one file, bounded by its size: the only way readers touch data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paraminspect.errors import TruncatedError
from paraminspect.files.door import File, place_of
from paraminspect.limits import effort

NEAR: Final = 4096
"""Bytes that `Blob.read_near` reads at a time."""


class Blob:
    """The bytes of a file, of a part of one, or of a buffer.

    Reads are positioned (`pread`), so one blob may be shared between threads, and no page of the file is mapped.

    Args:
        file: Where they are.
        path: For records; None for standard input.
        begin: Where the blob starts in the file.
        size: Length in bytes; None for the whole file, which the run may spend effort on.
    """

    def __init__(self, file: File, path: str | None = None, begin: int = 0, size: int | None = None) -> None:
        if size is None:
            effort().allow(path, file.size, file.identity)
            size = file.size - begin
        self.size = size
        self.path = path
        self.begin = begin
        self._file = file
        self._window = (0, b"")

    @classmethod
    def from_bytes(cls, data: bytes, path: str | None = None) -> Blob:
        """Wrap bytes that are already in memory."""
        return cls(_Memory(data), path, 0, len(data))

    def part(self, begin: int, size: int) -> Blob:
        """The blob of `size` bytes that starts at `begin` of this one.

        Raises:
            TruncatedError: The part reaches past the end.
        """
        if begin < 0 or size < 0 or begin + size > self.size:
            raise TruncatedError(f"bytes {begin:,} to {begin + size:,} of a file of {self.size:,} bytes")
        return Blob(self._file, self.path, self.begin + begin, size)

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
                f"the file ends at byte {self.size:,}, {offset + length - self.size:,} bytes too early"
            )
        return data

    def read_near(self, offset: int, length: int) -> bytes:
        """As `read_up_to`, for a few bytes among others that will be asked for next: one read serves them all."""
        if self._file.is_far:  # which keeps what it fetched
            return self.read_up_to(offset, length)
        begin, window = self._window
        if not begin <= offset <= begin + len(window) - length:
            begin, window = self._window = offset, self.read_up_to(offset, max(length, NEAR))
        return window[offset - begin : offset - begin + length]

    def read_ahead(self, offset: int, need: int, most: int) -> bytes:
        """From `offset`, `most` bytes where reading costs little; of a file far away `need` bytes, and what came along.

        Fewer than `need` only where the blob ends.
        """
        if offset < 0 or offset >= self.size:
            return b""
        need = min(max(need, NEAR), self.size - offset)
        return self._file.read_ahead(self.begin + offset, need, max(need, most), self.begin + self.size)

    def read_into(self, view: memoryview, offset: int, end: int | None = None) -> int:
        """Fill memory.

        Args:
            view: Of bytes.
            offset: Where they begin.
            end: Of what may be asked for next; None for the end of the blob.

        Returns:
            Bytes that were filled, less only where the file, or the blob, ends.
        """
        upto = self.size if end is None else min(end, self.size)
        view = view[: max(0, upto - offset)]
        return self._file.read_into(view, self.begin + offset, self.begin + upto)

    def prefetch(self, offsets: Iterable[int], length: int) -> None:
        """Have a few bytes from each of these places at hand, where a read of each would be a request."""
        begins = (self.begin + offset for offset in offsets if 0 <= offset < self.size)
        self._file.prefetch((begin, begin + length) for begin in begins)

    @property
    def is_far(self) -> bool:
        """Whether each read may be a request to a server."""
        return self._file.is_far

    @property
    def fd(self) -> int | None:
        """A descriptor of the file that the blob is in, for the kernel; None where there is none."""
        return self._file.fd

    def read_up_to(self, offset: int, length: int) -> bytes:
        """As many of `length` bytes from `offset` as there are."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        return self._file.read(self.begin + offset, length, self.begin + self.size, is_new=offset == 0)

    def close(self) -> None:
        """Give up what the system holds for the file and all its blobs, before the last of them is gone."""
        self._file.close()


class _Memory:
    """Bytes in memory as a file; see `door.File`."""

    is_far = False
    fd: int | None = None
    identity: object = None

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read(self, begin: int, length: int, end: int, *, is_new: bool = False) -> bytes:
        """A copy of them."""
        return self._data[begin : begin + length]

    def read_ahead(self, begin: int, need: int, most: int, end: int) -> bytes:
        """All of `most` bytes."""
        return self._data[begin : min(begin + most, end)]

    def read_into(self, view: memoryview, begin: int, end: int) -> int:
        """Copy them."""
        data = self._data[begin : begin + len(view)]
        view[: len(data)] = data
        return len(data)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """All is at hand."""

    def close(self) -> None:
        """The memory is given back with the last blob."""


def open_blob(path: str | None) -> Blob:
    """The bytes of a regular file wherever it is; None is standard input.

    Raises:
        OSError: It cannot be opened.
        FarError: The same of a URL.
        SourceError: It is no regular file.
    """
    return Blob(place_of(path).open(path), path)
