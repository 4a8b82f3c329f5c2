"""Parts of tensors that lie on a server: only rows that are looked at are fetched.

A tensor of a file here is mapped, and what is not touched is not read; this does the same by ranges.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paraminspect.files.paths import is_far
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import TensorRecord
from paraminspect.values.dtypes import numpy_dtype
from paraminspect.values.read import open_numbers, read_tensor
from paraminspect.values.slices import take_slice
from paraminspect.values.stored_bytes import Files

Array = np.ndarray[Any, Any]


def read_part(record: TensorRecord, index: tuple[Any, ...], files: Files) -> Array:
    """What `take_slice` takes of a tensor.

    Args:
        record: Of a checkpoint.
        index: As `parse_slice` gives it; () for the whole.
        files: Kept open between calls.

    Raises:
        ParamInspectError: As `read_tensor` and `take_slice`.
    """
    first = index[0] if index else Ellipsis
    if first is Ellipsis or not _has_far_rows(record):
        return take_slice(read_tensor(record, files), index)
    shape = record.shape or ()
    take_slice(np.broadcast_to(np.int8(0), shape), index)  # complains of what is past the end
    if isinstance(first, int):
        begin = first % shape[0]
        return take_slice(_read_rows(record, begin, begin + 1, files), (0, *index[1:]))
    begin, end, step = first.indices(shape[0])
    return take_slice(_read_rows(record, begin, max(begin, end), files), (slice(None, None, step), *index[1:]))


def read_edges(record: TensorRecord, edge: int, files: Files) -> Array:
    """A tensor of whose first dimension only so many rows at both ends have their values, the others none in particular.

    Raises:
        ParamInspectError: As `read_tensor`.
    """
    if not _has_far_rows(record) or record.shape is None or record.shape[0] <= 2 * edge:
        return read_tensor(record, files)
    last = record.shape[0] - edge
    head, tail = _read_rows(record, 0, edge, files), _read_rows(record, last, record.shape[0], files)
    array = np.zeros(record.shape, head.dtype)  # memory that is not touched is not taken
    array[:edge], array[last:] = head, tail
    return array


def _has_far_rows(record: TensorRecord) -> bool:
    """Whether it lies row by row in a file on a server."""
    storage, shape = record.storage, record.shape
    if storage is None or not is_far(storage.path) or storage.begin is None or not shape or not record.numel:
        return False
    is_plain = record.layout == "strided" and record.encoding is None and numpy_dtype(record.dtype) is not None
    return is_plain and record.stride in (None, contiguous_stride(shape))


def _read_rows(record: TensorRecord, begin: int, end: int, files: Files) -> Array:
    shape = record.shape or ()
    each = record.numel // shape[0]
    numbers = open_numbers(record, files)
    return numbers.read(begin * each, end * each).reshape(end - begin, *shape[1:])
