"""Several processes' worth of work, each in a thread of this one, and the store that they meet in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from paraminspect.ranks.launched import Launched
from paraminspect.ranks.meeting import EndedError, Meeting


class MemoryStore:
    """What torch's store does, without one; whoever waits is woken by every value."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._changed = threading.Condition()

    def set(self, key: str, value: bytes) -> None:
        with self._changed:
            self._values[key] = value
            self._changed.notify_all()

    def get(self, key: str) -> bytes:
        return self._values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)

    def wait(self, keys: list[str], timeout: timedelta) -> None:
        with self._changed:
            before = len(self._values)
            self._changed.wait_for(lambda: self.check(keys) or len(self._values) > before, timeout.total_seconds())
            if not self.check(keys):
                raise RuntimeError("not there yet")


def by_ranks(world: int, work: Callable[[Meeting], Any]) -> list[Any]:
    """What each of so many ranks returns, or the error that it ends with, by rank; rank 0 tells the others when it ends."""
    store = MemoryStore()

    def run(rank: int) -> Any:
        meeting = Meeting(Launched(rank, world, f"host{rank}"), store)
        try:
            return work(meeting)
        except Exception as error:
            if rank and not isinstance(error, EndedError):
                meeting.fail(str(error), getattr(error, "hint", None))
            return error
        finally:
            if rank:
                meeting.wait_until_said()
            else:
                meeting.say(0)

    with ThreadPoolExecutor(world) as threads:
        return list(threads.map(run, range(world)))
