"""The numbers of a tensor in pieces, each a box of it with numbers of its own.

They are given row by row of the whole, wherever it is divided, so that what is summed up in their order does not depend
on who saved the tensor in how many pieces.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import Any, Final

import numpy as np

from paraminspect.formats.tiling import Box
from paraminspect.values.decode import InOrder, Numbers

Array = np.ndarray[Any, Any]

MAX_KEPT: Final = 1 << 12
"""Pieces of a tensor that are not looked up anew: as many as may lie side by side in its rows."""

_Part = tuple[int, int]
"""Number of a box, and which of its numbers is the first of a row."""


class Boxes(InOrder):
    """A tensor in pieces, each a box of it.

    Args:
        shape: Of the whole.
        boxes: Where each is; together they are the whole, each element once.
        open_: Gives the numbers of a box by its number, when they are wanted.
        dtype: Of all of them.
    """

    def __init__(
        self, shape: Sequence[int], boxes: Sequence[Box], open_: Callable[[int], Numbers], dtype: np.dtype[Any]
    ) -> None:
        self._shape, merged = _long_rows_apart(shape, boxes)
        order = sorted(range(len(boxes)), key=lambda number: tuple(merged[number][0]))
        self._boxes = [merged[number] for number in order]
        self._ends = list(accumulate((offsets[0] + sizes[0] for offsets, sizes in self._boxes), max))
        self._begins = [offsets[0] for offsets, _ in self._boxes]
        self._open = lru_cache(MAX_KEPT)(lambda number: open_(order[number]))
        self._dtype = dtype
        self.numel = prod(self._shape)

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        out = np.empty(end - begin, self._dtype)
        row = prod(self._shape[1:])
        near = range(bisect_left(self._ends, begin // row + 1), bisect_left(self._begins, -(-end // row)))
        self._fill(out, 0, [(number, 0) for number in near], begin, end)
        return out

    def _fill(self, out: Array, axis: int, parts: Sequence[_Part], begin: int, end: int) -> None:
        """Numbers of one index in each dimension before `axis`: of what lies behind, from `begin` up to `end`."""
        row = prod(self._shape[axis + 1 :])
        first, last = -(-begin // row), end // row  # whole rows
        if row > 1 and first > last:
            self._fill_row(out, axis, parts, begin, end)
            return
        if begin < first * row:
            self._fill_row(out[: first * row - begin], axis, parts, begin, first * row)
        if last * row < end:
            self._fill_row(out[last * row - begin :], axis, parts, last * row, end)
        rows = out[first * row - begin : last * row - begin].reshape(last - first, *self._shape[axis + 1 :])
        for number, place in parts:
            offsets, sizes = (each[axis:] for each in self._boxes[number])
            low, high = max(first, offsets[0]), min(last, offsets[0] + sizes[0])
            if low < high:
                each = prod(sizes[1:])
                begin_there = place + (low - offsets[0]) * each
                found = self._open(number).read(begin_there, begin_there + (high - low) * each)
                inside = tuple(slice(at, at + size) for at, size in zip(offsets[1:], sizes[1:], strict=True))
                rows[(slice(low - first, high - first), *inside)] = found.reshape(high - low, *sizes[1:])

    def _fill_row(self, out: Array, axis: int, parts: Sequence[_Part], begin: int, end: int) -> None:
        """A part of one row."""
        row = prod(self._shape[axis + 1 :])
        index = begin // row
        inside = []
        for number, place in parts:
            offsets, sizes = self._boxes[number]
            if offsets[axis] <= index < offsets[axis] + sizes[axis]:
                inside.append((number, place + (index - offsets[axis]) * prod(sizes[axis + 1 :])))
        self._fill(out, axis + 1, inside, begin - index * row, end - index * row)


def _long_rows_apart(
    shape: Sequence[int], boxes: Sequence[Box]
) -> tuple[Sequence[int], Sequence[tuple[Sequence[int], Sequence[int]]]]:
    """The same boxes in fewer dimensions, so that rows are as short as they can be and a few need little memory.

    Dimensions behind the last one that is divided become part of it; those of one index before it go.
    """
    if not shape:
        return (1,), [((0,), (1,)) for _ in boxes]
    divided = [dim for dim in range(len(shape)) if any(sizes[dim] != shape[dim] for _, sizes in boxes)]
    last = divided[-1] if divided else 0
    inner = int(np.prod(shape[last + 1 :], dtype=np.int64))
    first = next((dim for dim in range(last) if shape[dim] != 1), last)
    if not divided:
        return [inner * shape[0]], [([0], [inner * shape[0]]) for _ in boxes]
    merged = [
        ([*offsets[first:last], offsets[last] * inner], [*sizes[first:last], sizes[last] * inner])
        for offsets, sizes in boxes
    ]
    return [*shape[first:last], shape[last] * inner], merged
