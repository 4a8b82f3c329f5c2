"""Tensors whose bytes are values as they are: views of the mapped file, so that only what is looked at is read."""

from __future__ import annotations

import mmap
import os
import stat
from typing import Any

import numpy as np

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.files.paths import is_far
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import TensorRecord
from paraminspect.values.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]


def map_tensor(record: TensorRecord) -> Array | None:
    """The array of a record, of its shape and strides, read-only; None where its values are not the bytes as they lie.

    None too where they lie on a server, which cannot be mapped.

    Raises:
        TruncatedError: The file is shorter than the record says.
        CheckpointError: It cannot be mapped.
    """
    dtype, storage = numpy_dtype(record.dtype), record.storage
    if dtype is None or record.layout != "strided" or record.shape is None or record.encoding is not None:
        return None
    if record.numel == 0:
        return np.empty(record.shape, dtype)
    strides = record.stride or contiguous_stride(record.shape)
    if storage is None or storage.begin is None or min(strides, default=0) < 0 or is_far(storage.path):
        return None
    span = 1 + sum((size - 1) * step for size, step in zip(record.shape, strides, strict=True))
    begin = storage.begin + record.offset
    end = begin + span * dtype.itemsize
    mapped = _map(storage.path)
    if begin < 0 or end > len(mapped):
        name = record.name or "the tensor"
        raise TruncatedError(f"{name} ends at byte {end:,}, the file at byte {len(mapped):,}")
    return np.ndarray(record.shape, dtype, mapped, begin, tuple(step * dtype.itemsize for step in strides))


def _map(path: str | None) -> mmap.mmap:
    """The whole file; mapped as long as an array needs it."""
    try:
        fd = os.dup(0) if path is None else os.open(path, os.O_RDONLY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise CheckpointError("values cannot be read from a pipe", hint="write it to a file first")
            return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be mapped: {error}") from None
