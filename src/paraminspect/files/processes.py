"""Processes beside this one, and alarms, where the system has them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def count_processors() -> int:
    """Those that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)


def can_fork() -> bool:
    """Whether a fork is safe: on Linux, of a process of one Python thread that has not loaded torch."""
    return sys.platform == "linux" and "torch" not in sys.modules and threading.active_count() == 1


def leave_with_parent() -> None:
    """In a process that another one began: Ctrl-C is for that one, and when it is gone there is nothing left to do."""
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_DFL)
    if (parent := parent_process()) is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def not_interrupted(*, forks: bool = False) -> Iterator[None]:
    """Ctrl-C comes when this is over; threads and processes that are begun inside, and by those, never hear of it.

    Args:
        forks: Whether all processes that are begun inside are forks of this one.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    if not forks:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # which lets Ctrl-C through when it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
