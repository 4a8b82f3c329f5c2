"""Large writes that go to the disk and not through the page cache.

The kernel copies an ordinary write into memory of its own, page by page, and writes that out later; for values that come
as fast as memory takes them, the copying and the waiting at the end cost more than the disk does. Linux lets a
descriptor of its own kind skip it, for whole blocks from aligned memory. What stands at the ends of a run of bytes,
less than a block, is written as usual.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Callable
from typing import Final

from paraminspect.files import system
from paraminspect.files.blob import Blob
from paraminspect.files.storing import lies_in_memory, open_direct
from paraminspect.writers.copying import PAGE, Sources, copy_to_file, read_into, write_at
from paraminspect.writers.layout import Copy

Fill = Callable[[memoryview, int], None]
"""Fills memory with the bytes from so many on."""

BLOCK: Final = 4096
"""Of file offsets, lengths and memory: no disk asks for more."""

BUFFER_BYTES: Final = 4 << 20
"""Of each thread: bytes are copied here, where they are aligned."""

LEAST_BYTES: Final = 1 << 20
"""Shorter runs are written as usual."""

LEAST_OUTPUT: Final = 256 << 20
"""Smaller outputs too: they stay in memory, where the next command finds them."""

_buffers = threading.local()


class DirectWriter:
    """Writes into files, past the page cache where that can be done. For several threads.

    Args:
        nbytes: Of all that will be written.
    """

    def __init__(self, nbytes: int) -> None:
        self._can = nbytes >= LEAST_OUTPUT

    def write(self, fd: int, view: memoryview, offset: int) -> None:
        """All of `view`, at a place of a file.

        Args:
            fd: Of the file, opened as usual.
            view: Of bytes.

        Raises:
            OSError: The system's.
        """
        before = -offset % BLOCK
        whole = (len(view) - before) // BLOCK * BLOCK

        def fill(memory: memoryview, begin: int) -> None:
            memory[:] = view[before + begin : before + begin + len(memory)]

        if not self._write_whole(fd, whole, offset + before, fill):
            write_at(fd, view, offset)
            return
        write_at(fd, view[:before], offset)
        write_at(fd, view[before + whole :], offset + before + whole)

    def copy(self, fd: int, content: Copy, source: Blob, offset: int) -> None:
        """Bytes of another file, to a place of a file.

        Args:
            fd: Of the file that is written, opened as usual.
            offset: In the file that is written.

        Raises:
            TruncatedError: The other file has become shorter.
            OSError: The system's.
        """
        before = -offset % BLOCK
        whole = (content.nbytes - before) // BLOCK * BLOCK
        begin = content.begin + before

        def fill(memory: memoryview, at: int) -> None:
            read_into(memory, source, content, begin + at)

        sources: Sources = {content.path: source}
        # where the pages of both line up, the kernel may have nothing to write at all
        if (content.begin - offset) % PAGE == 0 or not self._write_whole(fd, whole, offset + before, fill):
            copy_to_file(content, sources, fd, offset)
            return
        copy_to_file(Copy(content.path, content.begin, before), sources, fd, offset)
        rest = Copy(content.path, begin + whole, content.nbytes - before - whole)
        copy_to_file(rest, sources, fd, offset + before + whole)

    def _write_whole(self, fd: int, nbytes: int, offset: int, fill: Fill) -> bool:
        """Whole blocks past the page cache; False, and nothing done, where that cannot be or is not worth it."""
        if not self._can or nbytes < LEAST_BYTES:
            return False
        direct = None if lies_in_memory(fd) else open_direct(fd)
        if direct is None:
            self._can = False
            return False
        try:
            buffer = _buffer()
            for begin in range(0, nbytes, BUFFER_BYTES):
                part = buffer[: min(BUFFER_BYTES, nbytes - begin)]
                fill(part, begin)
                self._write_buffer(fd, direct, part, offset + begin)
        finally:
            os.close(direct)
        return True

    def _write_buffer(self, fd: int, direct: int, part: memoryview, offset: int) -> None:
        written = 0
        try:
            while written < len(part) and self._can:
                written += system.write_at(direct, part[written:], offset + written)
                self._can = not written % BLOCK
        except OSError as error:
            if error.errno != errno.EINVAL:  # blocks of this size are refused
                raise
            self._can = False
        if written < len(part):
            write_at(fd, part[written:], offset + written)


def _buffer() -> memoryview:
    """Aligned memory of this thread."""
    if not hasattr(_buffers, "memory"):
        _buffers.memory = memoryview(mmap.mmap(-1, BUFFER_BYTES))
    memory: memoryview = _buffers.memory
    return memory
