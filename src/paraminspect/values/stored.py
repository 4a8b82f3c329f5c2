"""Values of a checkpoint's tensors as arrays: views of the mapped file, so that only what is looked at is read."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from typing import Any

import numpy as np

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]

_STDIN = "-"


class StoredArrays:
    """Reads tensors of one checkpoint.

    Files are mapped for reading. A record's place in its file is checked against the file once more: it may have
    become shorter since.

    Args:
        checkpoint: As `formats.open_source` read it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._maps: dict[str, mmap.mmap] = {}

    def read(self, record: TensorRecord) -> Array:
        """The array of a record, of its shape, read-only.

        Raises:
            CheckpointError: The bytes do not lie in the file as numpy has them, and why.
            TruncatedError: The file is shorter than the record says.
        """
        dtype = numpy_dtype(record.dtype)
        if dtype is None or record.layout != "strided" or record.shape is None:
            raise _no_array(record)
        if record.numel == 0:
            return np.empty(record.shape, dtype)
        storage = record.storage
        if storage is None or storage.begin is None:
            raise self._not_in_file(record)
        order = self._checkpoint.metadata.get("byteorder", sys.byteorder)
        if order != sys.byteorder and dtype.itemsize > 1:
            raise CheckpointError(f"{_name(record)} is stored {order}-endian", hint="save it again on this machine")
        mapped = self._map(storage.path or _STDIN)
        begin = storage.begin + record.offset
        strides = record.stride or contiguous_stride(record.shape or ())
        span = 1 + sum((size - 1) * step for size, step in zip(record.shape, strides, strict=True))
        if begin < 0 or min(strides, default=0) < 0:
            raise CheckpointError(f"{_name(record)} has a negative offset or stride")
        end = begin + span * dtype.itemsize
        if end > len(mapped):
            raise TruncatedError(f"{_name(record)} ends at byte {end:,}, the file at byte {len(mapped):,}")
        steps = tuple(step * dtype.itemsize for step in strides)
        return np.ndarray(record.shape, dtype, mapped, begin, steps)

    def _not_in_file(self, record: TensorRecord) -> CheckpointError:
        what = self._checkpoint.format
        if record.storage is None:
            return CheckpointError(f"where the values of {_name(record)} are is not known ({what})")
        return CheckpointError(
            f"the values of {_name(record)} do not lie in the file as they are: compressed, in another byte order or "
            f"inside a pickle ({what})",
            hint="save it again with torch.save or safetensors, uncompressed",
        )

    def _map(self, path: str) -> mmap.mmap:
        if path not in self._maps:
            try:
                self._maps[path] = _map_standard_input() if path == _STDIN else _map_file(path)
            except (OSError, ValueError) as error:
                raise CheckpointError(f"cannot be mapped: {error}") from None
        return self._maps[path]


def _map_file(path: str) -> mmap.mmap:
    fd = os.open(path, os.O_RDONLY)
    try:
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(fd)


def _map_standard_input() -> mmap.mmap:
    if not stat.S_ISREG(os.fstat(0).st_mode):
        raise CheckpointError("values cannot be read from a pipe", hint="write it to a file first")
    return mmap.mmap(0, 0, access=mmap.ACCESS_READ)


def _no_array(record: TensorRecord) -> CheckpointError:
    match record.layout:
        case "gguf":
            return CheckpointError(
                f"{_name(record)} is quantised ({record.dtype}): its values are packed in blocks",
                hint="list shows its shape; show reads tensors of plain types",
            )
        case "chunked":
            return CheckpointError(
                f"{_name(record)} lies in pieces over several files",
                hint="python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE joins them",
            )
        case "strided":
            return CheckpointError(f"{_name(record)} has the type {record.dtype}, which cannot be read here")
    return CheckpointError(f"{_name(record)} is {record.layout}, not dense")


def _name(record: TensorRecord) -> str:
    return record.name or "the tensor"
