"""Values of a checkpoint's tensors as torch tensors: views of the mapped file, nothing of it executed."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Mapping

import torch
from torch import Tensor

from paraminspect.errors import CheckpointError, TruncatedError
from paraminspect.files.blob import open_blob
from paraminspect.files.paths import is_far
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import Checkpoint, TensorRecord


class StoredTensors:
    """Reads tensors of one checkpoint.

    The files are mapped, private to the process: a tensor costs memory only where it is touched, and writing into it
    does not reach the file. Of a file on a server the bytes of a tensor are fetched each time.

    Args:
        checkpoint: As `formats.open_source` read it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._maps: dict[str | None, mmap.mmap] = {}
        if checkpoint.metadata.get("byteorder", sys.byteorder) != sys.byteorder:
            raise CheckpointError(
                f"its values are stored {checkpoint.metadata['byteorder']}-endian", hint="save it on this machine"
            )

    def read(self, record: TensorRecord) -> Tensor:
        """The tensor of a record, a view of the file, or of what was fetched of it.

        Raises:
            CheckpointError: Its bytes do not lie in the file as torch has them (compressed, quantised, in a pickle),
                or not in a file at all.
            TruncatedError: The file has become shorter.
        """
        storage = record.storage
        dtype = getattr(torch, record.dtype, None)
        if not isinstance(dtype, torch.dtype) or record.layout != "strided" or record.shape is None:
            raise CheckpointError(
                f"{record.name}: torch has no tensor of {record.dtype} ({record.layout})",
                hint="load a checkpoint that is not quantised",
            )
        if storage is None or storage.begin is None:
            raise CheckpointError(
                f"{record.name}: its values do not lie in a file as they are ({self._checkpoint.format})",
                hint="save it again with torch.save or safetensors, uncompressed, and name the file",
            )
        if record.numel == 0:
            return torch.empty(record.shape, dtype=dtype)
        strides = record.stride or contiguous_stride(record.shape)
        span = 1 + sum((size - 1) * step for size, step in zip(record.shape, strides, strict=True))
        begin = storage.begin + record.offset
        if min(strides, default=0) < 0:
            raise CheckpointError(f"{record.name}: a negative stride")
        if is_far(storage.path):
            fetched = bytearray(
                open_blob(storage.path).part(begin, span * dtype.itemsize).read(0, span * dtype.itemsize)
            )
            return torch.frombuffer(fetched, dtype=dtype).as_strided(record.shape, strides)
        mapped = self._map(storage.path)
        if begin + span * dtype.itemsize > len(mapped):
            raise TruncatedError(f"{record.name} ends at byte {begin + span * dtype.itemsize:,} of {len(mapped):,}")
        flat = torch.frombuffer(mapped, dtype=dtype, count=span, offset=begin)
        return flat.as_strided(record.shape, strides)

    def _map(self, path: str | None) -> mmap.mmap:
        """The bytes of a file, or of standard input, which must be one too."""
        if path not in self._maps:
            try:
                fd = os.dup(0) if path is None else os.open(path, os.O_RDONLY)
                try:
                    self._maps[path] = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
                finally:
                    os.close(fd)
            except (OSError, ValueError) as error:
                raise CheckpointError(f"{path or 'standard input'} cannot be mapped: {error}") from None
        return self._maps[path]


def by_name(checkpoint: Checkpoint) -> Mapping[str, TensorRecord]:
    """The model's tensors by name; of two equal names the last one."""
    return {record.name: record for record in checkpoint.tensors if record.role == "model"}
