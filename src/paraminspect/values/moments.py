"""Count, mean, standard deviation, extremes and norm of numbers that come in pieces.

Each piece is taken a block at a time, small enough to stay in the cache of one core while it is looked at more than
once. Sums are made in float64, pairwise inside a block; the deviations are taken from the mean of each block and not
from zero. With n finite elements of root mean square r, the mean is within about 1e-15 r of the exact one, standard
deviation and norm within about 1e-13 of themselves.

The sums of each block are kept, 24 bytes for half a megabyte, and added up when somebody asks, by `math.fsum`, which
rounds once: whoever took in which blocks, and in what order they came together, the answer is the same to the last bit.
"""

from __future__ import annotations

import math
from array import array as numbers_of
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from paraminspect.values.scratch import BLOCK, scratch
from paraminspect.values.widen import widen

Array = np.ndarray[Any, Any]

ROW: Final = 1 << 13
"""Elements of one scalar product: from 10,000 on OpenBLAS would start threads of its own, which get in each other's way."""

CANCELLED: Final = 1e-3
"""Share of the sum of squares below which what is left after taking off the mean is computed anew from deviations."""


class Moments:
    """Statistics of the finite elements of everything that was added; the others are counted.

    Of complex numbers, everything is of their moduli.

    Attributes:
        count: Elements, those that are not finite included.
        nan: Elements that are no number; of complex ones, in either part.
        inf: Elements that are infinite.
        zeros: Elements that are 0 or -0.
        min: None without a finite element.
        max: The same.
    """

    def __init__(self) -> None:
        self.count = 0
        self.nan = 0
        self.inf = 0
        self.zeros = 0
        self.min: float | None = None
        self.max: float | None = None
        self._sizes = numbers_of("q")  # of blocks, in finite elements
        self._totals = numbers_of("d")
        self._squares = numbers_of("d")  # of the deviations from the mean of the block

    @property
    def finite(self) -> int:
        """Elements that are numbers and not infinite."""
        return self.count - self.nan - self.inf

    @property
    def mean(self) -> float | None:
        """None without a finite element."""
        return sum_exactly(self._totals) / self.finite if self.finite else None

    @property
    def std(self) -> float | None:
        """With Bessel's correction, as `torch.std`; None below two finite elements."""
        return math.sqrt(self._deviations() / (self.finite - 1)) if self.finite > 1 else None

    @property
    def norm(self) -> float:
        """Root of the sum of squares, 0 without a finite element."""
        if not self.finite:
            return 0.0
        total = sum_exactly(self._totals)
        return math.sqrt(self._deviations() + total * (total / self.finite))

    def _deviations(self) -> float:
        """Sum of the squares of the deviations from the mean of all."""
        if self.min == self.max:
            return 0.0  # which the mean of each block, being rounded, might not say
        within = sum_exactly(self._squares)
        if len(self._totals) == 1:
            return within
        sizes, sums = np.array(self._sizes, np.float64), np.array(self._totals)
        with np.errstate(all="ignore"):
            apart = sums / sizes - sum_exactly(self._totals) / self.finite
            return within + sum_exactly((apart * apart * sizes).tolist())

    def add(self, array: Array) -> None:
        """Take in all elements of an array of any shape, strides and type that `widen` knows. Not from two threads.

        Raises:
            TypeError: The type has no arithmetic.
        """
        if array.size == 0:
            return
        if array.flags.forc:
            flat = array.ravel("K")
            blocks: Any = (flat[begin : begin + BLOCK] for begin in range(0, flat.size, BLOCK))
        else:
            blocks = np.nditer(array, ["external_loop", "buffered"], order="K", buffersize=BLOCK)
        for block in blocks:
            self._add_block(widen(block))

    def add_counts(self, values: Array, counts: Array, nan: int = 0, inf: int = 0) -> None:
        """Take in numbers that occur several times.

        Args:
            values: Finite float64, in ascending order.
            counts: How often each occurs, int64 of the same shape, none of them 0.
            nan: How many more there are that are no number.
            inf: How many more that are infinite.
        """
        finite = int(counts.sum())
        self.count += finite + nan + inf
        self.nan += nan
        self.inf += inf
        if not finite:
            return
        times = counts.astype(np.float64)
        self.zeros += int(counts[values == 0].sum())
        low, high = float(values[0]) + 0.0, float(values[-1]) + 0.0  # 0 for -0
        total = float(np.add.reduce(values * times))
        deviations = values - total / finite
        squares = sum_of_products(deviations * deviations, times) if low != high else 0.0
        self._extend(low, high)
        self._keep(finite, total, squares)

    def merge(self, other: Moments) -> None:
        """Take in all that was added to another one."""
        self.count += other.count
        self.nan += other.nan
        self.inf += other.inf
        self.zeros += other.zeros
        if other.min is not None and other.max is not None:
            self._extend(other.min, other.max)
            self._sizes += other._sizes
            self._totals += other._totals
            self._squares += other._squares

    def repeated(self, times: int) -> Moments:
        """Those of everything that was added, so many times over."""
        found = Moments()
        for name in ("count", "nan", "inf", "zeros"):
            setattr(found, name, getattr(self, name) * times)
        found.min, found.max = self.min, self.max
        found._sizes = numbers_of("q", [each * times for each in self._sizes])
        found._totals = numbers_of("d", [each * times for each in self._totals])
        found._squares = numbers_of("d", [each * times for each in self._squares])
        return found

    def _add_block(self, block: Array) -> None:
        self.count += block.size
        with np.errstate(all="ignore"):
            if block.dtype.kind == "c":
                block = self._moduli(block)
            low, high = float(block.min()) + 0.0, float(block.max()) + 0.0  # 0 for -0
            if not math.isfinite(low + high) and not (math.isfinite(low) and math.isfinite(high)):
                block = self._leave_out(block)
                if not block.size:
                    return
                low, high = float(block.min()) + 0.0, float(block.max()) + 0.0  # 0 for -0
            if low <= 0 <= high:
                self.zeros += block.size - int(np.count_nonzero(block != 0))
            self._extend(low, high)
            total, squares = (low * block.size, 0.0) if low == high else self._sums(block)
            self._keep(block.size, total, squares)

    def _sums(self, block: Array) -> tuple[float, float]:
        """Sum, and sum of the squares of the deviations from the mean."""
        wide = scratch(np.float64, block.size)
        np.copyto(wide, block)
        total = float(np.add.reduce(wide))
        mean = total / block.size
        raw = sum_of_products(wide, wide)
        squares = raw - total * mean
        if not squares > CANCELLED * raw:
            wide -= mean
            squares = sum_of_products(wide, wide)
        return total, squares

    def _moduli(self, block: Array) -> Array:
        """Of complex numbers; one that has a part that is no number is none, whatever the other is."""
        size: Array = np.abs(block.astype(np.complex128))
        return np.where(np.isnan(block), np.nan, size)

    def _leave_out(self, block: Array) -> Array:
        """The finite elements; the others are counted."""
        nan = int(np.count_nonzero(np.isnan(block)))
        finite = block[np.isfinite(block)]
        self.nan += nan
        self.inf += block.size - finite.size - nan
        return finite

    def _extend(self, low: float, high: float) -> None:
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)

    def _keep(self, finite: int, total: float, squares: float) -> None:
        """The sums of one block of so many finite elements."""
        self._sizes.append(finite)
        self._totals.append(total)
        self._squares.append(squares)


def sum_exactly(numbers: Iterable[float]) -> float:
    """Of all, rounded once; of what is too large for that, in an order that does not depend on how they came."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return float(sum(sorted(numbers)))


def sum_of_products(one: Array, other: Array) -> float:
    """Of float64 numbers with those of another array, or with themselves; contiguous, one dimension."""
    whole = one.size - one.size % ROW
    rows, others = one[:whole].reshape(-1, 1, ROW), other[:whole].reshape(-1, ROW, 1)
    return float(np.matmul(rows, others).sum() + np.dot(one[whole:], other[whole:]))
