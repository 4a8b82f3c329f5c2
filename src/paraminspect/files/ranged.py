"""A file of which only some ranges are fetched: what is near what was asked for comes along, and is kept for a while."""

from __future__ import annotations

import threading
import weakref
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import IO, Final

from paraminspect.errors import FarError
from paraminspect.files.system import read_at
from paraminspect.files.threads import side_by_side

FIRST_BYTES: Final = 64 << 10
"""Of the first request for a file: its format, and the whole header of most models."""

JUMP_BYTES: Final = 16 << 10
"""Least that is fetched elsewhere in it."""

GAP_BYTES: Final = 4 << 10
"""Between two parts of a file, such as members of an archive, that follow each other."""

AHEAD_BYTES: Final = 8 << 20
"""Most that is fetched at a time beyond what was asked for, where a file is read front to back."""

KEPT_BYTES: Final = 64 << 20
"""Of all far files, kept in memory in case they are asked for again."""

MERGE_BYTES: Final = 32 << 10
"""Ranges with no more than this between them are fetched as one."""

Fetch = Callable[[int, int], bytes]
"""Gives exactly the bytes from begin up to end of a file, or raises a `FarError`."""


class _Kept:
    """Blocks of all files, those that were used last; the sum of their sizes is bounded."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._sizes: OrderedDict[tuple[FarFile, int], int] = OrderedDict()
        self._sum = 0

    def add(self, file: FarFile, begin: int, nbytes: int) -> None:
        self._sum += nbytes - self._sizes.pop((file, begin), 0)
        self._sizes[file, begin] = nbytes
        while self._sum > KEPT_BYTES and len(self._sizes) > 1:
            (other, at), size = self._sizes.popitem(last=False)
            self._sum -= size
            other.forget(at)

    def use(self, file: FarFile, begin: int) -> None:
        self._sizes.move_to_end((file, begin))

    def remove(self, file: FarFile, begin: int) -> None:
        self._sum -= self._sizes.pop((file, begin), 0)


_kept = _Kept()


class FarFile:
    """The bytes of one far file; see `door.File`.

    Args:
        size: Of the file.
        fetch: Gets a range.
        first: Bytes of its beginning that came with the first answer.
        spool: All of it, where the server has no ranges.

    Attributes:
        size: The same.
        note: What the user should know of how it was read; "" for nothing.
        version: What tells it from another version of it; "" where that is not known.
        broken: Why a range of it could not be had; nothing more is asked for.
    """

    is_far = True
    fd: int | None = None
    identity: object = None

    def __init__(
        self,
        size: int,
        fetch: Fetch,
        *,
        first: bytes = b"",
        spool: IO[bytes] | None = None,
        note: str = "",
        version: str = "",
    ) -> None:
        self.size = size
        self.version = version
        self.note = note
        self._fetch = fetch
        self._spool = spool
        if spool is not None:
            weakref.finalize(self, spool.close)
        self._begins: list[int] = []
        self._blocks: dict[int, bytes] = {}
        self._next, self._ahead = 0, FIRST_BYTES // 2
        self.broken: FarError | None = None
        if first and spool is None:
            self._keep(0, first)
            self._next, self._ahead = len(first), JUMP_BYTES

    def read(self, begin: int, length: int, end: int, *, is_new: bool = False) -> bytes:
        """`length` bytes from `begin`.

        Args:
            begin: In the file.
            length: As many as there are, up to the end of the file.
            end: Of what may be asked for next: nothing behind it is fetched in advance, unless
            is_new: a part of the file begins here, and it follows on the last one that was read.

        Raises:
            FarError: They cannot be had.
        """
        if self._spool is not None:
            return _read_fully(self._spool.fileno(), begin, length)
        parts: list[bytes] = []
        position, stop = begin, min(begin + length, self.size)
        while position < stop:
            block = self._find(position)
            if block is None:
                follows = is_new and 0 <= begin - self._next <= GAP_BYTES
                upto = self.size if follows else min(end, self.size)
                block = self._fetch_near(position, min(stop, self._next_block(position)), upto)
            part = block[: stop - position]
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_ahead(self, begin: int, need: int, most: int, end: int) -> bytes:
        """At least `need` bytes from `begin` if there are, and up to `most` if they are at hand anyway."""
        data = self.read(begin, need, end)
        position, stop = begin + len(data), min(begin + most, end, self.size)
        parts = [data]
        while position < stop and (block := self._find(position)) is not None:
            part = block[: stop - position]
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Have these ranges (begin, end) at hand, those near each other by one request, the requests side by side."""
        if self._spool is not None:
            return
        wanted = sorted((begin, min(end, self.size)) for begin, end in ranges if 0 <= begin < min(end, self.size))
        missing = [each for each in wanted if not self._has(*each)]
        merged: list[list[int]] = []
        for begin, end in missing:
            if merged and begin - merged[-1][1] <= MERGE_BYTES:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([begin, end])
        side_by_side(lambda part: self._keep(part[0], self._get(part[0], part[1])), merged)

    def read_into(self, view: memoryview, begin: int, end: int) -> int:
        """Fill memory from `begin` on."""
        data = self.read(begin, len(view), end)
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """It stays open for who asks next."""

    def forget(self, begin: int) -> None:
        """Drop one block."""
        with _kept.lock:
            if self._blocks.pop(begin, None) is not None:
                self._begins.remove(begin)

    def drop(self) -> None:
        """Keep nothing; it can still be read."""
        with _kept.lock:
            for begin in self._begins:
                _kept.remove(self, begin)
            self._begins.clear()
            self._blocks.clear()

    def _fetch_near(self, begin: int, stop: int, end: int) -> bytes:
        """The bytes from `begin` to `stop`, and what is likely to be asked for next."""
        with _kept.lock:
            is_next = 0 <= begin - self._next <= GAP_BYTES
            self._ahead = min(2 * self._ahead, AHEAD_BYTES) if is_next else JUMP_BYTES
            upto = max(stop, min(begin + self._ahead, end, self._next_block(begin)))
        data = self._get(begin, upto)
        with _kept.lock:
            self._next = upto
            self._ahead = JUMP_BYTES if not begin else max(self._ahead, min(len(data), AHEAD_BYTES))
        self._keep(begin, data)
        return data

    def _get(self, begin: int, end: int) -> bytes:
        """A range, unless one could not be had before: each tensor of a model would wait for it anew."""
        self.raise_broken()
        try:
            return self._fetch(begin, end)
        except FarError as error:
            self.broken = error
            raise

    def raise_broken(self) -> None:
        """Say again what went wrong before.

        Raises:
            FarError: A range of the file could not be had.
        """
        if self.broken is not None:
            raise FarError(self.broken.message, hint=self.broken.hint, fault=self.broken.fault)

    def _keep(self, begin: int, data: bytes) -> None:
        if not data or len(data) > AHEAD_BYTES:
            return
        with _kept.lock:
            if begin not in self._blocks:
                insort(self._begins, begin)
            self._blocks[begin] = data
            _kept.add(self, begin, len(data))

    def _find(self, position: int) -> bytes | None:
        """What is kept from a position on."""
        with _kept.lock:
            at = bisect_right(self._begins, position) - 1
            if at < 0:
                return None
            begin = self._begins[at]
            block = self._blocks[begin]
            if position >= begin + len(block):
                return None
            _kept.use(self, begin)
        return block[position - begin :] if position > begin else block

    def _has(self, begin: int, end: int) -> bool:
        with _kept.lock:
            at = bisect_right(self._begins, begin) - 1
            return at >= 0 and self._begins[at] + len(self._blocks[self._begins[at]]) >= end

    def _next_block(self, position: int) -> int:
        """Where the next block begins."""
        with _kept.lock:
            at = bisect_right(self._begins, position)
            return self._begins[at] if at < len(self._begins) else self.size


def _read_fully(fd: int, begin: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := read_at(fd, length, begin)):
        parts.append(part)
        begin, length = begin + len(part), length - len(part)
    return b"".join(parts)
