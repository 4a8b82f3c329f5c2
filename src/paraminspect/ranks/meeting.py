"""How several processes agree: on what each found, on what goes wrong, and on one status before anyone leaves.

They write small messages into a store that one of them, or torchrun, keeps; rank 0 reads them all, decides, and writes
what was decided. Nothing waits inside of a collective operation, so that work between two messages may take hours. Who
fails says so and waits until rank 0 has told the user: torchrun ends all others as soon as one process has left with an
error.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from paraminspect.errors import ParamInspectError
from paraminspect.ranks.launched import Launched
from paraminspect.tuples import NamedTuple

LOOK_S: Final = 0.5
"""How often one who works, or has waited for long, looks whether there is something new."""

PATIENCE_S: Final = 20.0
"""How long rank 0 waits for the words of a process that is known to have failed."""

_FIRST_S: Final = 0.002
"""How soon one who waits looks again; each time it is twice as long."""

_FAILED: Final = "failed"
_SAID: Final = "said"


class Store(Protocol):
    """Keys and values that the processes of one run see, and nobody else; torch's TCPStore is one."""

    def set(self, key: str, value: bytes, /) -> None:
        """Put a value."""

    def get(self, key: str, /) -> bytes:
        """A value that is there."""

    def check(self, keys: list[str], /) -> bool:
        """Whether values are there."""


class Failure(NamedTuple):
    """What went wrong where."""

    rank: int
    host: str
    message: str
    hint: str | None = None

    def error(self) -> ParamInspectError:
        """The same for the user."""
        return ParamInspectError(f"rank {self.rank} ({self.host}): {self.message}", hint=self.hint)


class EndedError(Exception):
    """Rank 0 has ended the run; there is nothing more to say."""


class Meeting:
    """Where the processes of one run meet, each the same number of times and in the same order.

    Args:
        store: Empty, or of this run alone.
    """

    def __init__(self, launched: Launched, store: Store) -> None:
        self.launched = launched
        self._store = store
        self._number = 0
        self._looked = 0.0

    def agree(self, value: Any, decide: Callable[[Sequence[Any]], Any] = lambda values: None) -> Any:
        """What rank 0 makes of everybody's values, by rank.

        Args:
            value: To be pickled.
            decide: Called on rank 0; what it raises fails the run.

        Raises:
            ParamInspectError: On rank 0: another process has failed.
            EndedError: On others: the run has.
        """
        number = self._number
        self._number += 1
        if not self.launched.is_first:
            self._put(_key(number, self.launched.rank), value)
            return self._wait(_key(number, 0))
        values = [value]
        for rank in range(1, self.launched.world):
            values.append(self._wait(_key(number, rank)))
            if isinstance(values[-1], Failure):
                raise values[-1].error()
        decided = decide(values)
        self._put(_key(number, 0), decided)
        return decided

    def look(self) -> None:
        """Called by who works: raise if another process has failed. Asks the store now and then only."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self._raise_failed()

    def fail(self, message: str, hint: str | None) -> None:
        """Tell rank 0, which this is not, that this process cannot go on; where another one said so before, that is the reason."""
        failure = Failure(self.launched.rank, self.launched.host, message, hint)
        if not self._store.check([_FAILED]):
            self._put(_FAILED, failure)
        self._put(_key(self._number, self.launched.rank), failure)

    def say(self, status: int) -> None:
        """Rank 0 has told the user all there is: everybody may leave, with this status."""
        self._put(_SAID, status)

    def wait_until_said(self) -> int:
        """Wait for that; the status."""
        for delay_s in _delays():
            if self.is_said():
                break
            time.sleep(delay_s)
        status: int = self._get(_SAID)
        return status

    def _wait(self, key: str) -> Any:
        for delay_s in _delays():
            if self._store.check([key]):
                break
            self._raise_failed()
            time.sleep(delay_s)
        return self._get(key)

    def failed(self) -> Failure | None:
        """What another process has failed of; None as far as is known."""
        failure: Failure | None = self._get(_FAILED) if self._store.check([_FAILED]) else None
        return failure

    def wait_until_failed(self) -> Failure | None:
        """The same, after as long as it may take until it says so; None of one that does not."""
        end = time.monotonic() + PATIENCE_S
        for delay_s in _delays():
            if (failure := self.failed()) is not None or time.monotonic() > end:
                return failure
            time.sleep(delay_s)
        raise AssertionError

    def is_said(self) -> bool:
        """Whether rank 0 has ended the run."""
        return self._store.check([_SAID])

    def _raise_failed(self) -> None:
        if self.launched.is_first:
            if (failure := self.failed()) is not None:
                raise failure.error()
        elif self.is_said() or self._store.check([_FAILED]):
            raise EndedError

    def _put(self, key: str, value: Any) -> None:
        self._store.set(key, pickle.dumps(value))

    def _get(self, key: str) -> Any:
        return pickle.loads(self._store.get(key))


def _delays() -> Iterator[float]:
    delay_s = _FIRST_S
    while True:
        yield delay_s
        delay_s = min(2 * delay_s, LOOK_S)


def _key(number: int, rank: int) -> str:
    return f"{number}/{rank}"
