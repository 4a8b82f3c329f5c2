"""The numbers of a sparse tensor, zeros and all, as `to_dense()` gives them; what is not stored is made as it is read.

    sparse_coo              indices (d, n), values (n, ...): the place in the first d dimensions; equal places add up
    sparse_csr, sparse_csc  of each row (column) where it begins, then the column (row) of each value, values (n, ...)
    sparse_bsr, sparse_bsc  the same of blocks, values (n, rows of a block, columns of a block)

Source: `torch.sparse`, "Sparse tensors" in torch's documentation; held against `to_dense()`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from typing import Any, Final

import numpy as np

from paraminspect.errors import MalformedError
from paraminspect.records import TensorRecord
from paraminspect.values.decode import InOrder

Array = np.ndarray[Any, Any]

_BY_COLUMNS: Final = ("sparse_csc", "sparse_bsc")


class Sparse(InOrder):
    """See the module.

    Args:
        record: Whose encoding has the parts.
        dtype: Of its numbers.
        read: Gives all values of a part.
    """

    def __init__(self, record: TensorRecord, dtype: np.dtype[Any], read: Callable[[TensorRecord], Array]) -> None:
        self._record = record
        self._read_part = read
        self._shape = record.shape or ()
        self._dtype = dtype
        self.numel = record.numel

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`.

        Raises:
            MalformedError: Places that are not in the tensor, or not as many as values.
        """
        places, runs = self._stored
        each = runs.shape[1]
        out = np.zeros(-(-end // each) * each - begin // each * each, self._dtype)
        first, last = np.searchsorted(places, [begin // each, -(-end // each)])
        out.reshape(-1, each)[places[first:last] - begin // each] = runs[first:last]
        skip = begin % each
        return out[skip : skip + end - begin]

    @cached_property
    def _stored(self) -> tuple[Array, Array]:
        """The places of runs of numbers, in ascending order, in runs; and the runs (n, numbers of one)."""
        *where, values = (self._read_part(part) for _, part in self._record.sparse)
        if any(each.dtype.kind != "i" for each in where):
            raise MalformedError("its indices are no integers")
        at = [each.astype(np.int64, copy=False) for each in where]
        is_coo = len(at) == 1
        places, runs = _of_coordinates(self._shape, at[0], values) if is_coo else self._of_compressed(at, values)
        order = np.argsort(places, kind="stable")
        places, runs = places[order], runs[order]
        fresh = np.append(True, places[1:] != places[:-1])[: places.size]
        summed = np.zeros((np.count_nonzero(fresh), runs.shape[1]), runs.dtype)
        with np.errstate(all="ignore"):
            if fresh.all():
                summed += runs  # of a zero with a sign 0, as in torch
            else:
                np.add.at(summed, np.cumsum(fresh) - 1, runs)
        return places[fresh], summed

    def _of_compressed(self, where: list[Array], values: Array) -> tuple[Array, Array]:
        """Row by row, or column by column."""
        begins, others = where
        by_columns = self._record.layout in _BY_COLUMNS
        is_blocks = self._record.layout.startswith("sparse_bs")
        down, across = values.shape[1:] if is_blocks else (1, 1)
        if is_blocks and (not down or not across or self._shape[0] % down or self._shape[1] % across):
            raise MalformedError("its blocks do not fit its shape")
        if not is_blocks and values.shape[1:] != self._shape[2:]:
            raise MalformedError("its values do not fit its shape")
        rows, columns = self._shape[0] // down, self._shape[1] // across
        lines, most = (columns, rows) if by_columns else (rows, columns)
        counts = np.diff(begins)
        if begins.size != lines + 1 or begins[0] != 0 or (counts < 0).any() or begins[-1] != others.size:
            raise MalformedError("its rows are not where they begin")
        if others.shape != values.shape[:1] or ((others < 0) | (others >= most)).any():
            raise MalformedError("it has values outside of its shape")
        line = np.repeat(np.arange(lines), counts)
        row, column = (others, line) if by_columns else (line, others)
        # each row of a block is a run of as many numbers as it is wide
        places = (row[:, None] * down + np.arange(down)) * columns + column[:, None]
        return places.reshape(-1), values.reshape(places.size, across * prod(self._shape[2:]))


def _of_coordinates(shape: tuple[int, ...], indices: Array, values: Array) -> tuple[Array, Array]:
    """By the place of each value in the first dimensions."""
    depth, count = indices.shape if indices.ndim == 2 else (len(shape) + 1, 0)
    if depth > len(shape) or values.shape != (count, *shape[depth:]):
        raise MalformedError("its indices and values do not fit its shape")
    places = np.zeros(count, np.int64)
    for size, index in zip(shape[:depth], indices, strict=True):
        if ((index < 0) | (index >= size)).any():
            raise MalformedError("it has values outside of its shape")
        places = places * size + index
    return places, values.reshape(count, prod(shape[depth:]))
