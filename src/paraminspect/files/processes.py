"""Processes beside this one and what is sent to it: forks and alarms, where the system has them."""

from __future__ import annotations

import marshal
import mmap
import os
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final

from paraminspect.limits import SHARED, together

_LENGTH: Final = struct.Struct("<q")

Send = Callable[[Any], None]
"""Takes a message of plain values, tuples and lists."""


def count_processors() -> int:
    """Those that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def can_fork() -> bool:
    """Whether a fork is there and safe: a process of one Python thread that has not loaded torch."""
    return hasattr(os, "fork") and "torch" not in sys.modules and threading.active_count() == 1


def leave_after(seconds: float) -> None:
    """End the process then, quietly and without an answer; 0 takes that back. Nothing where there are no alarms."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, seconds)


def total_memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def run_forked(works: Sequence[Callable[[Send], None]]) -> Generator[Any, None, None]:
    """Do each work in a process of its own.

    Args:
        works: Each is given what sends its messages here, and spends what all of them may. What it raises ends its process, and its messages end early.

    Yields:
        Messages, as they come. Processes that are still at work when nobody asks for more are ended.
    """
    pipes: dict[int, int] = {}  # reading end -> process
    memory = mmap.mmap(-1, 8 * len(works) * len(SHARED))
    works, take_in = together(works, memoryview(memory))
    try:
        for work in works:
            pid, pipe = _start(work, list(pipes))
            pipes[pipe] = pid
        yield from _messages(list(pipes))
    finally:
        for pipe, pid in pipes.items():
            os.close(pipe)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        take_in()


def _start(work: Callable[[Send], None], others: Sequence[int]) -> tuple[int, int]:
    """A process: its id, and the end of a pipe that its messages are read from."""
    reading, writing = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # numpy's own threads sleep
        pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
        for pipe in (reading, *others):
            os.close(pipe)
        work(lambda message: _send(writing, message))
        status = 0
    except BaseException:
        pass  # whatever it was: the parent sees that messages are missing
    finally:
        os._exit(status)


def _send(pipe: int, message: Any) -> None:
    data = marshal.dumps(message)
    data = _LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(pipe, data) :]


def _messages(pipes: Sequence[int]) -> Iterator[Any]:
    """What comes from any of the pipes, until all are closed."""
    import selectors

    buffers = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                buffer = buffers[key.fd] + data
                while len(buffer) >= _LENGTH.size:
                    (length,) = _LENGTH.unpack_from(buffer)
                    if len(buffer) < _LENGTH.size + length:
                        break
                    yield marshal.loads(buffer[_LENGTH.size : _LENGTH.size + length])
                    buffer = buffer[_LENGTH.size + length :]
                buffers[key.fd] = buffer
