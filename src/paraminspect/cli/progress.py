"""How far a long piece of work is: one line on standard error, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType

from paraminspect.cli.output import Output
from paraminspect.text import format_bytes

SHOWN_AFTER_S = 0.5
"""What is done sooner needs no bar."""

REDRAWN_AFTER_S = 0.1
"""Nobody reads faster."""

CELLS = 20


class Progress:
    """A bar that is gone when the work is; used as a context, and called with (done, total).

    Args:
        output: Has the terminal.
        what: Is done, in a word or two.
        written: Makes text of either number: of bytes, as a rule.
    """

    def __init__(self, output: Output, what: str, written: Callable[[int], str] = format_bytes) -> None:
        self._output = output
        self._what = what
        self._written = written
        self._start = monotonic()
        self._drawn = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.progress("")

    def __call__(self, done: int, total: int) -> None:
        """Draw it anew."""
        now = monotonic()
        if now - self._start < SHOWN_AFTER_S or (done < total and now - self._drawn < REDRAWN_AFTER_S):
            return
        self._drawn = now
        filled = CELLS * done // max(total, 1)
        bar = "#" * filled + "." * (CELLS - filled)
        self._output.progress(f"{self._what} [{bar}] {self._written(done)} of {self._written(total)}")

    def counting(self, total: int) -> Callable[[int], None]:
        """What is to be called with the bytes that are done since the last call, of so many in total."""
        done = 0

        def advance(nbytes: int) -> None:
            nonlocal done
            done += nbytes
            self(min(done, total), total)

        return advance
