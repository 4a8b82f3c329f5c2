"""How numbers are distributed: quantiles and histograms in one pass and bounded memory.

Numbers of at most 16 bits are counted by bit pattern, few numbers are kept and sorted: both are exact. Many numbers of
wider types are counted in cells, by the upper 16 bits of their float32: sign, exponent and 7 bits of the fraction. What
is estimated from a cell lies in the same cell as the exact answer, so it is off by less than 1/128 of it (for float64
between 1e-38 and 3e38 in magnitude; what lies outside is counted at the end of that range, and what is nearer to 0 than
1e-40 as 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from paraminspect.values.scratch import scratch

Array = np.ndarray[Any, Any]

EXACT: Final = 1 << 16
"""Numbers of a wide type up to which they are kept."""

CELLS: Final = 1 << 16
"""Cells of wider types: one for each value of the upper 16 bits of a float32."""

BINS: Final = 32
"""Bins of a histogram, from the least to the greatest number."""

QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)

_ROUNDED: Final = 4 * float(np.finfo(np.float64).eps)
"""Of a rank: as far as rounding moves a whole one; zeros beside it would be none."""

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of finite numbers in cells that do not overlap, in ascending order; a cell may be a single number.

    Attributes:
        lows: Lower end of each cell, float64.
        highs: Upper end.
        counts: int64, none of them 0.
    """

    lows: Array
    highs: Array
    counts: Array

    @classmethod
    def of_values(cls, values: Array, counts: Array) -> Distribution:
        """Of numbers, of which each occurs so often; those that are not finite are left out."""
        values = np.asarray(values, np.float64)
        known = np.flatnonzero((counts > 0) & np.isfinite(values))
        order = known[np.argsort(values[known], kind="stable")]
        numbers = values[order]
        return cls(numbers, numbers, counts[order].astype(np.int64))

    @classmethod
    def of_cells(cls, counts: Array) -> Distribution:
        """Of counts in the `CELLS` of `count_cells`."""
        lows, highs, order = _cell_edges()
        counts = counts[order]
        known = np.flatnonzero(counts)
        return cls(lows[known], highs[known], counts[known])

    @property
    def is_exact(self) -> bool:
        """Whether each cell is a single number."""
        return bool((self.lows == self.highs).all())

    def quantiles(self, shares: tuple[float, ...] = QUANTILES) -> tuple[float, ...] | None:
        """Numbers below which these shares lie, interpolated linearly as `torch.quantile` does; None if there are none."""
        if not self.counts.size:
            return None
        ends = np.cumsum(self.counts)
        ranks = np.array(shares) * float(ends[-1] - 1)
        whole = np.rint(ranks)
        ranks = np.where(np.abs(ranks - whole) <= _ROUNDED * whole, whole, ranks)
        below = np.floor(ranks)
        low, high = (self._at(rank, ends) for rank in (below, np.minimum(below + 1, ends[-1] - 1)))
        return tuple((low + (high - low) * (ranks - below)).tolist())

    def histogram(self, low: float, high: float) -> tuple[int, ...]:
        """Counts in `BINS` bins of one width; the last one holds `high` too. Equal ends: all in the middle one."""
        total = int(self.counts.sum())
        if low == high:
            return tuple(total if place == BINS // 2 else 0 for place in range(BINS))
        ends = np.concatenate([[0], np.cumsum(self.counts)])
        with np.errstate(all="ignore"):
            # of a range of which no bins that have a width can be made, numpy has no histogram
            edges = np.linspace(low, high, BINS + 1)
            if self.is_exact and np.isfinite(high - low) and (np.diff(edges) > 0).all():
                numbers = np.clip(self.lows, low, high)  # those nearest to zero are taken for it
                places = np.concatenate([np.searchsorted(numbers, edges[:-1]), [numbers.size]])
                return tuple(np.diff(ends[places]).astype(np.int64).tolist())
        edges = np.linspace(low / 2, high / 2, BINS + 1)[1:-1] * 2
        # of the cell that an edge cuts; a number on it is of the bin above, but the least, which is of the first
        place = np.where(edges > low, np.searchsorted(self.highs, edges), np.searchsorted(self.highs, edges, "right"))
        cell = np.minimum(place, self.counts.size - 1)
        width = self.highs[cell] - self.lows[cell]
        inside = np.clip((edges - self.lows[cell]) / np.where(width > 0, width, 1), 0, 1)
        below = ends[place] + np.where(place < self.counts.size, np.floor(inside * self.counts[cell] + 0.5), 0)
        return tuple(np.diff(np.concatenate([[0], below, [total]])).astype(np.int64).tolist())

    def merge(self, other: Distribution) -> Distribution:
        """Of all numbers of both, in whatever order they come together.

        Of more than `EXACT` numbers, or beside cells, single numbers are put into the cells of wide types.
        """
        if not self.counts.size or not other.counts.size:
            return self if self.counts.size else other
        lows = np.concatenate([self.lows, other.lows])
        counts = np.concatenate([self.counts, other.counts])
        if self.is_exact and other.is_exact:
            numbers, where = np.unique(lows, return_inverse=True)
            if numbers.size <= EXACT:
                return Distribution(numbers, numbers, _added(where, counts, numbers.size))
        return Distribution.of_cells(_added(_keys(lows), counts, CELLS))

    def _at(self, ranks: Array, ends: Array) -> Array:
        """The numbers of these ranks, from 0."""
        cell = np.searchsorted(ends, ranks, "right")
        counts = self.counts[cell]
        share = (ranks - (ends[cell] - counts) + 0.5) / counts
        numbers: Array = self.lows[cell] + (self.highs[cell] - self.lows[cell]) * share
        return numbers


def _added(places: Array, counts: Array, size: int) -> Array:
    """Counts of each place; not by `bincount`, whose weights are rounded above 2^53."""
    found = np.zeros(size, np.int64)
    np.add.at(found, places, counts)
    return found


def count_places(places: Array, counts: Array) -> None:
    """Add to each count how often its place occurs.

    `numpy.bincount` would take half as long again, and make counts of its own for each block.

    Args:
        places: Unsigned integers or of the size of a pointer, of one dimension, at most `BLOCK`.
        counts: int64.
    """
    if places.dtype != np.intp:
        narrow, places = places, scratch(np.intp, places.size)
        np.copyto(places, narrow, casting="unsafe")
    np.add.at(counts, places, 1)


def count_cells(block: Array, counts: Array) -> None:
    """Add numbers to the counts of `CELLS` cells; those that are not finite fall into cells that are not looked at.

    Args:
        block: float32, float64 or integers, contiguous, of one dimension, at most `BLOCK`.
        counts: int64.
    """
    count_places(_keys(block, scratch(np.intp, block.size)), counts)


def _keys(block: Array, out: Array | None = None) -> Array:
    """The cell of each number."""
    numbers = block
    if block.dtype != np.float32:
        with np.errstate(over="ignore"):
            numbers = block.astype(np.float32)
        if block.dtype == np.float64 and np.isinf(numbers).any():
            finite = np.isfinite(block)
            numbers[finite] = np.clip(block[finite], -_FLOAT32_MAX, _FLOAT32_MAX)
    return np.right_shift(numbers.view(np.uint32), np.uint32(16), out=out, casting="unsafe")


@cache
def _cell_edges() -> tuple[Array, Array, Array]:
    """Ends of the finite cells in ascending order, and which cells they are."""
    magnitudes = np.arange(0x7F80, dtype=np.uint32)
    near = (magnitudes << np.uint32(16)).view(np.float32).astype(np.float64)
    far = ((magnitudes << np.uint32(16)) | np.uint32(0xFFFF)).view(np.float32).astype(np.float64)
    far[0] = 0.0  # zeros are common, numbers that near to it are not: of a zero the answer is exact
    lows, highs = np.concatenate([0 - far[::-1], near]), np.concatenate([0 - near[::-1], far])
    return lows, highs, np.concatenate([0x8000 + magnitudes[::-1], magnitudes]).astype(np.intp)
