"""Where numbers stand on an axis: linear, or logarithmic in whole decades."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from paraminspect.tuples import NamedTuple

MAX_DECADES = 16
"""Decades below the largest number that a scale reaches down to; what is smaller stands at its foot."""

REACH: Final = 4
"""A linear scale is so many times as long as what is typical at most: one outlier would make slivers of the others."""

SMALLEST, LARGEST = 1e-290, 8e307
"""Of a linear scale: its steps have to be numbers too, and so has the distance between its ends."""


class Tick(NamedTuple):
    """A number on an axis.

    Attributes:
        fraction: Where it stands, 0 at the foot and 1 at the top.
        label: As it is written.
    """

    fraction: float
    label: str


class LinearScale(NamedTuple):
    """From `low` to `high`, which is above it."""

    low: float
    high: float

    def fraction(self, value: float) -> float:
        """Where a number stands, 0 at the foot and 1 at the top; one outside stands at the end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int) -> list[Tick]:
        """Round numbers at equal distances, `most` at the most (2 or more)."""
        span = self.high - self.low
        decade = 10.0 ** math.floor(math.log10(span / most))
        step = decade * next(factor for factor in (1, 2, 5, 10, 20) if span / (factor * decade) <= most - 1)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(self.fraction(number * step), f"{number * step:.3g}") for number in range(first, last + 1)]


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
        return min(max(self._place(math.log10(value)), 0.0), 1.0)

    def ticks(self, most: int) -> list[Tick]:
        """Powers of ten at equal distances, from the foot, `most` at the most (2 or more)."""
        step = max(1, math.ceil((self.high - self.low) / (most - 1)))
        return [Tick(self._place(each), f"1e{each:+03d}") for each in range(self.low, self.high + 1, step)]

    def _place(self, exponent: float) -> float:
        return (exponent - self.low) / (self.high - self.low)


Scale = LinearScale | LogScale


def log_scale(values: Iterable[float]) -> LogScale:
    """The smallest scale that holds all positive, finite numbers; a bar of the smallest still shows."""
    logs = [math.log10(value) for value in values if 0 < value < math.inf]
    if not logs:
        return LogScale(-1, 0)
    high = math.ceil(max(logs))
    low = min(math.ceil(min(logs)) - 1, high - 1)
    return LogScale(max(low, high - MAX_DECADES), high)


def linear_scale(ranges: Sequence[tuple[float, float]]) -> LinearScale:
    """A scale that holds zero and most of these ranges from a least number to a greatest."""
    reach = sorted(max(abs(low), abs(high)) for low, high in ranges)
    if not reach or reach[-1] < SMALLEST:
        return LinearScale(-1.0, 1.0)
    typical = reach[len(reach) // 2]
    most = min(reach[-1], REACH * typical if typical >= SMALLEST else reach[-1], LARGEST)
    low = max(min(0.0, *(low for low, _ in ranges)), -most)
    high = min(max(0.0, *(high for _, high in ranges)), most)
    return LinearScale(low, high) if high - low >= SMALLEST else LinearScale(-most, most)
