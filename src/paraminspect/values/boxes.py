"""The numbers of a tensor in pieces, each a box of it with numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from paraminspect.errors import CheckpointError
from paraminspect.values.decode import InOrder, Numbers

Array = np.ndarray[Any, Any]


class Boxes(InOrder):
    """A tensor in pieces, each a box of it.

    Args:
        shape: Of the whole.
        boxes: (offsets, sizes, numbers) of each; together they are the whole.
    """

    def __init__(
        self, shape: Sequence[int], boxes: Sequence[tuple[Sequence[int], Sequence[int], Numbers]], dtype: np.dtype[Any]
    ) -> None:
        shape, boxes = _long_rows_apart(shape, boxes)
        self._shape = tuple(shape)
        self._boxes = boxes
        self._dtype = dtype
        self._row = int(np.prod(shape[1:], dtype=np.int64)) if shape else 1
        self.numel = self._row * (shape[0] if shape else 1)

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`: box by box."""
        for _, _, numbers in self._boxes:
            yield from numbers.chunks()

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`: whole rows are put together."""
        if not self._shape:
            return self._boxes[0][2].read(0, 1)
        first, last = begin // self._row, -(-end // self._row)
        rows = np.empty((last - first, *self._shape[1:]), self._dtype)
        for offsets, sizes, numbers in self._boxes:
            low, high = max(first, offsets[0]), min(last, offsets[0] + sizes[0])
            if low < high:
                each = numbers.numel // sizes[0]
                part = numbers.read((low - offsets[0]) * each, (high - offsets[0]) * each)
                place = tuple(slice(at, at + size) for at, size in zip(offsets[1:], sizes[1:], strict=True))
                rows[(slice(low - first, high - first), *place)] = part.reshape(high - low, *sizes[1:])
        return rows.reshape(-1)[begin - first * self._row : end - first * self._row]


def _long_rows_apart(
    shape: Sequence[int], boxes: Sequence[tuple[Sequence[int], Sequence[int], Numbers]]
) -> tuple[Sequence[int], Sequence[tuple[Sequence[int], Sequence[int], Numbers]]]:
    """The same boxes in fewer dimensions, so that rows are as short as they can be and a few need little memory.

    Dimensions behind the last one that is divided become part of it; those of one index before it go.
    """
    if not shape:
        return shape, boxes
    divided = [dim for dim in range(len(shape)) if any(sizes[dim] != shape[dim] for _, sizes, _ in boxes)]
    last = divided[-1] if divided else 0
    inner = int(np.prod(shape[last + 1 :], dtype=np.int64))
    first = next((dim for dim in range(last) if shape[dim] != 1), last)
    if not divided:
        return [inner * shape[0]], [([0], [inner * shape[0]], numbers) for _, _, numbers in boxes]
    merged = [
        ([*offsets[first:last], offsets[last] * inner], [*sizes[first:last], sizes[last] * inner], numbers)
        for offsets, sizes, numbers in boxes
    ]
    return [*shape[first:last], shape[last] * inner], merged


def check_boxes(shape: Sequence[int], boxes: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
    """Whether boxes are the whole tensor, each element once.

    Raises:
        CheckpointError: Some are missing, or two overlap.
    """
    sizes = np.array([size for _, size in boxes], np.int64).reshape(len(boxes), len(shape))
    begins = np.array([begin for begin, _ in boxes], np.int64).reshape(len(boxes), len(shape))
    whole = int(np.prod(np.array(shape, object))) if shape else 1
    found = sum(int(np.prod(np.array(size, object))) for _, size in boxes) if shape else len(boxes)
    if found != whole:
        raise CheckpointError(f"its pieces hold {found:,} of {whole:,} elements")
    ends = begins + sizes
    for one in range(len(boxes)):
        meets = (begins[one] < ends[one + 1 :]) & (begins[one + 1 :] < ends[one])
        if meets.all(axis=1).any():
            raise CheckpointError("two of its pieces overlap")
