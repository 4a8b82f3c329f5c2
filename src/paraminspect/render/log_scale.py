"""A logarithmic scale of whole decades, for numbers that span many of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

MAX_DECADES = 16
"""Decades below the largest number that a scale reaches down to; what is smaller stands at its foot."""


class LogScale(NamedTuple):
    """From 10^low to 10^high.

    Attributes:
        low: Exponent at the foot.
        high: Exponent at the top, above `low`.
    """

    low: int
    high: int

    def fraction(self, value: float) -> float:
        """Where a number stands, 0 at the foot and 1 at the top; one outside stands at the end."""
        if math.isnan(value) or value <= 0:
            return 0.0
        if math.isinf(value):
            return 1.0
        return min(max(self.place(math.log10(value)), 0.0), 1.0)

    def place(self, exponent: float) -> float:
        """Where a power of ten stands."""
        return (exponent - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[int]:
        """Exponents at equal distances, from the foot, `most` at the most (2 or more)."""
        step = max(1, math.ceil((self.high - self.low) / (most - 1)))
        return list(range(self.low, self.high + 1, step))


def scale_of(values: Iterable[float]) -> LogScale:
    """The smallest scale that holds all positive, finite numbers; a bar of the smallest still shows."""
    logs = [math.log10(value) for value in values if 0 < value < math.inf]
    if not logs:
        return LogScale(-1, 0)
    high = math.ceil(max(logs))
    low = min(math.ceil(min(logs)) - 1, high - 1)
    return LogScale(max(low, high - MAX_DECADES), high)
