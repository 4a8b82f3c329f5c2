"""Statistics of single tensors, and of several together, in one pass over their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from paraminspect.values.decode import Numbers
from paraminspect.values.distribution import CELLS, EXACT, Distribution, count_cells, count_places
from paraminspect.values.dtypes import is_foreign
from paraminspect.values.moments import Moments
from paraminspect.values.patterns import of_patterns
from paraminspect.values.scratch import BLOCK
from paraminspect.values.widen import to_float64, widen

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class TensorStats:
    """Statistics of the finite values of one tensor; of complex numbers, of their moduli.

    Attributes:
        count: Values, those that are not finite included.
        mean: None without a finite value, as `min` and `max`.
        std: With Bessel's correction; None below two finite values.
        min: The least.
        max: The greatest.
        norm: Root of the sum of squares.
        zeros: How many are 0.
        nan: How many are no number.
        inf: How many are infinite.
        histogram: Counts in 32 bins of one width from `min` to `max`; None without a finite value.
        quantiles: At 1, 25, 50, 75 and 99 %, as `torch.quantile`: exact for types of at most 16 bits and for at most
            65,536 values, else off by less than 1/128 of themselves; None without a finite value.
    """

    count: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    norm: float
    zeros: int
    nan: int
    inf: int
    histogram: tuple[int, ...] | None
    quantiles: tuple[float, ...] | None

    @property
    def zero_fraction(self) -> float | None:
        """Share of the values that are 0; None if there are none."""
        return self.zeros / self.count if self.count else None

    @property
    def problems(self) -> tuple[str, ...]:
        """Of "nan", "inf", "zero" (nothing but zeros) and "constant" (several values, all equal), those that apply."""
        found = {
            "nan": self.nan > 0,
            "inf": self.inf > 0,
            "zero": self.count > 0 and self.zeros == self.count,
            "constant": self.count > 1 and self.nan + self.inf == 0 and self.min == self.max,
        }
        return tuple(name for name, applies in found.items() if applies)


class Summary:
    """Takes in values, a piece at a time, and gives their statistics. For one thread.

    Merging is exact: the answer does not depend on which summary took in which block of numbers, nor on the order in
    which summaries are merged, as long as a block is the same block.

    Args:
        expected: Values there will be at most, in all parts of a tensor; few are kept.
    """

    def __init__(self, expected: int) -> None:
        self.moments = Moments()
        self._expected = expected
        self._patterns: dict[np.dtype[Any], Array] = {}  # counts by bit pattern
        self._cells: Array | None = None
        self._kept: list[Array] = []
        self._parts = Distribution(*(np.empty(0, kind) for kind in (np.float64, np.float64, np.int64)))

    def add(self, array: Array) -> None:
        """Take in all numbers of an array of any shape, strides and type.

        Raises:
            TypeError: The type has no arithmetic.
        """
        for block in _blocks(array):
            if block.dtype.itemsize <= 2 and (block.dtype.kind in "iufb" or is_foreign(block.dtype)):
                self._count_patterns(block)
            else:
                self._add_wide(block)

    def merge(self, other: Summary) -> None:
        """Take in all that was added to another one, which may go on taking in."""
        self.moments.merge(other.moments)
        for dtype, counts in other._patterns.items():
            mine = self._patterns.get(dtype)
            self._patterns[dtype] = counts.copy() if mine is None else mine + counts
        if other._cells is not None:
            self._cells = other._cells.copy() if self._cells is None else self._cells + other._cells
        self._parts = self._kept_so_far().merge(other._kept_so_far())

    def repeat(self, times: int) -> None:
        """As if everything had been added so many times."""
        if times != 1:
            parts = self._kept_so_far()
            self.moments = self.moments.repeated(times)
            self._patterns = {dtype: counts * times for dtype, counts in self._patterns.items()}
            self._cells = None if self._cells is None else self._cells * times
            self._parts = Distribution(parts.lows, parts.highs, parts.counts * times)

    def _kept_so_far(self) -> Distribution:
        """Of the values that were kept."""
        if self._kept:
            numbers, counts = np.unique(to_float64(np.concatenate(self._kept)), return_counts=True)
            self._parts = self._parts.merge(Distribution.of_values(numbers, counts))
            self._kept = []
        return self._parts

    def __getstate__(self) -> dict[str, Any]:
        self._kept_so_far()
        return self.__dict__

    def stats(self) -> TensorStats:
        """Statistics of everything that was added."""
        moments, distribution = Moments(), self._kept_so_far()
        for dtype, counts in self._patterns.items():
            numbers, nan, inf = of_patterns(dtype, counts)
            moments.add_counts(numbers.lows, numbers.counts, nan, inf)
            distribution = distribution.merge(numbers)
        moments.merge(self.moments)
        if self._cells is not None:
            distribution = distribution.merge(Distribution.of_cells(self._cells))
        low, high = moments.min, moments.max
        histogram = quantiles = None
        if low is not None and high is not None:
            histogram = distribution.histogram(low, high)
            quantiles = tuple(min(max(each, low), high) for each in distribution.quantiles() or ())
        return TensorStats(
            moments.count,
            moments.mean,
            moments.std,
            low,
            high,
            moments.norm,
            moments.zeros,
            moments.nan,
            moments.inf,
            histogram,
            quantiles,
        )

    def _count_patterns(self, block: Array) -> None:
        bits = block.view(f"u{block.dtype.itemsize}")
        size = 1 << 8 * block.dtype.itemsize
        known = self._patterns.get(block.dtype)
        if known is None:
            known = self._patterns[block.dtype] = np.zeros(size, np.int64)
        count_places(bits, known)

    def _add_wide(self, block: Array) -> None:
        numbers = widen(block)
        if numbers.dtype.kind == "c":
            with np.errstate(all="ignore"):
                size = np.abs(numbers.astype(np.complex128))
            numbers = np.where(np.isnan(numbers), np.nan, size)
        self.moments.add(numbers)
        if self._expected <= EXACT:
            self._kept.append(numbers)
            return
        if self._cells is None:
            self._cells = np.zeros(CELLS, np.int64)
        count_cells(numbers, self._cells)


def summarise(
    numbers: Numbers, advance: Callable[[int], None] = lambda _: None, expected: int | None = None
) -> Summary:
    """Statistics of all numbers of a tensor, or of a part of one.

    Args:
        numbers: Of it.
        advance: Is told how many of them were read, each time.
        expected: How many different places the whole tensor has; None if this is the whole.

    Raises:
        ParamInspectError: They cannot be read to their end.
    """
    summary = Summary(numbers.numel // numbers.repeats if expected is None else expected)
    for chunk in numbers.chunks():
        summary.add(chunk)
        advance(chunk.size)
    summary.repeat(numbers.repeats)
    return summary


def _blocks(array: Array) -> Iterator[Array]:
    """Contiguous runs of at most `BLOCK` numbers, in whatever order is quickest."""
    if array.flags.forc:
        flat = array.ravel("K")
        for begin in range(0, flat.size, BLOCK):
            yield flat[begin : begin + BLOCK]
    elif array.size <= BLOCK:
        yield np.ascontiguousarray(array).reshape(-1)
    else:
        for part in np.array_split(array, 2, axis=int(np.argmax(array.shape))):
            yield from _blocks(part)
