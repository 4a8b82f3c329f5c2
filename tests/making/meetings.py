"""Several processes' worth of work, each in a thread of this one, and the store that they meet in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from paraminspect.ranks.launched import Launched
from paraminspect.ranks.meeting import EndedError, Meeting


class MemoryStore:
    """What torch's store does, without one."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def set(self, key: str, value: bytes) -> None:
        self._values[key] = value

    def get(self, key: str) -> bytes:
        return self._values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)


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
