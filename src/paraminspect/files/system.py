"""What an operating system may lack, looked up once: reads at an offset, names of descriptors, waiting for a pipe.

Windows has none of these names; what takes their place is here, and nobody else asks. What only writers need is in
`storing`, what processes do to each other in `processes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from paraminspect.errors import SourceError

_DESCRIPTORS: Final = "/dev/fd/"
_OWN: Final = r"/(?:dev|proc/self)/fd/([0-9]{1,6})"
_STANDARD: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

BINARY: Final = getattr(os, "O_BINARY", 0)
"""Without it, Windows changes the ends of lines."""

_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)


_FOLDER: Final[ContextVar[str]] = ContextVar("folder", default="")


@contextmanager
def working_in(folder: str) -> Iterator[None]:
    """Paths that are read inside begin in this folder, not in that of the process."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def in_folder(path: str) -> str:
    """Where a path leads, for whoever works on behalf of somebody elsewhere."""
    return os.path.join(folder, path) if (folder := _FOLDER.get()) else path


def open_to_read(path: str) -> int:
    """A descriptor of a file; a pipe in its place does not block.

    Raises:
        OSError: It cannot be opened.
    """
    return os.open(in_folder(path), os.O_RDONLY | _NONBLOCK | BINARY)


if not (hasattr(os, "pread") and hasattr(os, "pwrite")):
    import threading

    _moving = threading.Lock()

    @contextmanager
    def _moved(fd: int, offset: int) -> Iterator[None]:
        """A descriptor that is at another place for a while, for one thread at a time."""
        with _moving:
            before = os.lseek(fd, 0, os.SEEK_CUR)
            os.lseek(fd, offset, os.SEEK_SET)
            try:
                yield
            finally:
                os.lseek(fd, before, os.SEEK_SET)


if hasattr(os, "pread"):

    def read_at(fd: int, length: int, offset: int) -> bytes:
        """At most so many bytes from an offset; the position of the descriptor stays where it is."""
        return os.pread(fd, length, offset)

else:

    def read_at(fd: int, length: int, offset: int) -> bytes:
        """At most so many bytes from an offset; the position of the descriptor stays where it is."""
        with _moved(fd, offset):
            return os.read(fd, length)


if hasattr(os, "preadv"):

    def read_into(fd: int, view: memoryview, offset: int) -> int:
        """Bytes that were read into memory from an offset; 0 at the end of the file."""
        return os.preadv(fd, [view], offset)

else:

    def read_into(fd: int, view: memoryview, offset: int) -> int:
        """Bytes that were read into memory from an offset; 0 at the end of the file."""
        data = read_at(fd, len(view), offset)
        view[: len(data)] = data
        return len(data)


if hasattr(os, "pwrite"):

    def write_at(fd: int, data: memoryview, offset: int) -> int:
        """Bytes that were written at an offset."""
        return os.pwrite(fd, data, offset)

else:

    def write_at(fd: int, data: memoryview, offset: int) -> int:
        """Bytes that were written at an offset."""
        with _moved(fd, offset):
            return os.write(fd, data)


def descriptor_in(path: str) -> int | None:
    """The number of one of our own descriptors that a path names, as /dev/stdout and /dev/fd/3 do; None for others."""
    if path in _STANDARD:
        return _STANDARD[path]
    match = re.fullmatch(_OWN, path) if path.startswith(("/dev/", "/proc/")) else None
    return int(match[1]) if match else None


def name_of(fd: int) -> str:
    """A path under which an open file without a name can be opened again.

    Raises:
        SourceError: This system has none.
    """
    if not os.path.isdir(_DESCRIPTORS):
        raise SourceError("this system cannot read a pipe twice", hint="write it to a file first")
    return f"{_DESCRIPTORS}{fd}"


def is_nameless(path: str) -> bool:
    """Whether a path is one that `name_of` gives, which lies in no folder of a model."""
    return path.startswith(_DESCRIPTORS)


def open_pipe(path: str, wait_ms: int) -> int | None:
    """A named pipe that somebody writes into; None if nobody does for so long."""
    fd = open_to_read(path)
    if not _NONBLOCK:  # opening it has waited already
        return fd
    import select

    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        is_written = bool(poller.poll(wait_ms))
        if is_written:
            os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    if not is_written:
        os.close(fd)
        return None
    return fd


_ENDED: Final[list[int]] = []


def heed_end(ended: list[int]) -> None:
    """Have a request to end (of Ctrl-C, `kill`, a closed terminal, a batch system) clean up, and be remembered.

    Args:
        ended: Takes the signals that come.
    """
    import signal

    def end(number: int, _: object) -> None:
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)  # cleaning up is not ended twice, but for Ctrl-C
        ended.append(number)
        _ENDED.append(number)
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)  # nohup ignores one


def is_ending() -> bool:
    """Whether this process was asked to end: what fails from then on fails of that."""
    return bool(_ENDED)
