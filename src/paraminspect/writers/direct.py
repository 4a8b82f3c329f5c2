"""Large writes that go to the disk and not through the page cache.

The kernel copies an ordinary write into memory of its own, page by page, and writes that out later; for values that are
drawn as fast as memory takes them, the copying and the waiting at the end cost more than the disk does. Linux lets a
descriptor opened with O_DIRECT skip it, for whole blocks from aligned memory. What stands at the ends of a run of bytes,
less than a block, is written as usual.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from typing import Final

from paraminspect.writers.copying import write_at

BLOCK: Final = 4096
"""Of file offsets, lengths and memory: no disk asks for more."""

BUFFER_BYTES: Final = 4 << 20
"""Of each thread: bytes are copied here, where they are aligned."""

LEAST_BYTES: Final = 1 << 20
"""Shorter runs are written as usual."""

LEAST_OUTPUT: Final = 256 << 20
"""Smaller outputs too: they stay in memory, where the next command finds them."""

_O_DIRECT: Final = getattr(os, "O_DIRECT", 0)
_buffers = threading.local()


class DirectWriter:
    """Writes into files, past the page cache where that can be done. For several threads.

    Args:
        nbytes: Of all that will be written.
    """

    def __init__(self, nbytes: int) -> None:
        self._can = bool(_O_DIRECT) and nbytes >= LEAST_OUTPUT

    def write(self, fd: int, view: memoryview, offset: int) -> None:
        """All of `view`, at a place of a file.

        Args:
            fd: Of the file, opened as usual.
            view: Of bytes.
            offset: In the file.

        Raises:
            OSError: The system's.
        """
        before = -offset % BLOCK
        whole = (len(view) - before) // BLOCK * BLOCK
        if not self._can or whole < LEAST_BYTES:
            write_at(fd, view, offset)
            return
        try:
            direct = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC | _O_DIRECT)
        except OSError:  # a file system, or a system, that does not have it
            self._can = False
            write_at(fd, view, offset)
            return
        try:
            self._write_blocks(fd, direct, view[before : before + whole], offset + before)
        finally:
            os.close(direct)
        write_at(fd, view[:before], offset)
        write_at(fd, view[before + whole :], offset + before + whole)

    def _write_blocks(self, fd: int, direct: int, view: memoryview, offset: int) -> None:
        buffer = _buffer()
        for begin in range(0, len(view), BUFFER_BYTES):
            part = view[begin : begin + BUFFER_BYTES]
            buffer[: len(part)] = part
            written = 0
            try:
                while written < len(part) and self._can:
                    written += os.pwrite(direct, buffer[written : len(part)], offset + begin + written)
                    self._can = not written % BLOCK
            except OSError as error:
                if error.errno != errno.EINVAL:  # blocks of this size are refused
                    raise
                self._can = False
            if written < len(part):
                write_at(fd, part[written:], offset + begin + written)


def _buffer() -> memoryview:
    """Aligned memory of this thread."""
    if not hasattr(_buffers, "memory"):
        _buffers.memory = memoryview(mmap.mmap(-1, BUFFER_BYTES))
    memory: memoryview = _buffers.memory
    return memory
