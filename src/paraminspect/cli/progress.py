"""A bar on standard error, on a terminal only, for work that takes longer than half a second."""

from __future__ import annotations

import time
from typing import Literal, TextIO

from paraminspect.units import format_bytes, format_count

DELAY_S = 0.5
"""Before the bar appears."""

STEP_S = 0.1
"""Between two drawings of it."""

WIDTH = 24
"""Columns of the bar itself."""


class Progress:
    """How far the reading of so many bytes, or values, is.

    Args:
        stream: A terminal; None shows nothing.
        total: Bytes, or values; 0 where that is not known.
        unit: What is counted.
    """

    def __init__(self, stream: TextIO | None, total: int, unit: Literal["bytes", "values"] = "bytes") -> None:
        self._format = format_bytes if unit == "bytes" else format_count
        self._stream = stream
        self._total = total
        self._done = 0
        self._begun = time.monotonic()
        self._drawn = self._begun + DELAY_S - STEP_S
        self._shown = False

    def advance(self, count: int) -> None:
        """So many more are read."""
        self._done += count
        now = time.monotonic()
        if self._stream is not None and now - self._drawn >= STEP_S:
            self._drawn = now
            self._draw(now - self._begun)

    def close(self) -> None:
        """Take the bar away."""
        if self._shown and self._stream is not None:
            self._write("\r\x1b[K")

    def _draw(self, elapsed_s: float) -> None:
        share = min(self._done / self._total, 1.0) if self._total else 0.0
        bar = "#" * round(share * WIDTH)
        left = elapsed_s / share - elapsed_s if share > 0.02 else None
        ending = "" if left is None else f"  {left:.0f} s left"
        self._write(
            f"\r[{bar:<{WIDTH}}] {share:4.0%}  {self._format(self._done)} of {self._format(self._total)}{ending}\x1b[K"
        )
        self._shown = True

    def _write(self, text: str) -> None:
        try:
            assert self._stream is not None
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
