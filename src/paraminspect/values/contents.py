"""The bytes of stored tensors in pieces, for what looks at all of them: no tensor is ever in memory as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Protocol

from paraminspect.errors import CheckpointError
from paraminspect.files.blob import Blob
from paraminspect.files.paths import is_far
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.stored_bytes import Files, open_again

PIECE_BYTES = 1 << 20
"""Read at a time."""


class Contents(Protocol):
    """Gives the bytes of the tensors of one source."""

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """All elements, row-major, in pieces of more than a block of a quantised type, but for the last one.

        Raises:
            CheckpointError: They cannot be had, and why.
        """

    def start(self, record: TensorRecord, length: int) -> bytes:
        """The first bytes of that, `length` of them if there are as many."""


class StoredContents:
    """Reads the tensors of one checkpoint; may be used from several threads.

    Tensors of any type will do, quantised blocks too, as long as their bytes lie in the file as they are.

    Args:
        checkpoint: As `formats.open_source` read it.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._blobs: dict[str | None, Blob] = {}
        self._files: Files | None = None
        self.order = checkpoint.metadata.get("byteorder", sys.byteorder)

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """As `Contents` says.

        Raises:
            CheckpointError: The bytes do not lie in the file as they are.
            TruncatedError: The file has become shorter.
        """
        if _is_decoded(record):
            yield from self._joined(record)
            return
        if not self._is_contiguous(record):
            yield from self._gathered(record)
            return
        blob, begin, nbytes = self._place(record)
        for at in range(0, nbytes, PIECE_BYTES):
            yield blob.read(begin + at, min(PIECE_BYTES, nbytes - at))

    def start(self, record: TensorRecord, length: int) -> bytes:
        """As `Contents` says; raises what `pieces` does."""
        if _is_decoded(record) or not self._is_contiguous(record):
            return next(self.pieces(record))[:length]
        blob, begin, nbytes = self._place(record)
        return blob.read(begin, min(length, nbytes))

    def _is_contiguous(self, record: TensorRecord) -> bool:
        if record.stride is None or record.shape is None:
            return True
        due = contiguous_stride(record.shape)
        return all(
            size == 1 or step == wanted for size, step, wanted in zip(record.shape, record.stride, due, strict=True)
        )

    def _place(self, record: TensorRecord) -> tuple[Blob, int, int]:
        storage, nbytes = record.storage, record.nbytes
        if storage is None:
            raise CheckpointError("where its values are is not known")
        if storage.begin is None or nbytes is None:
            raise CheckpointError("its values do not lie in the file as they are")
        if storage.path not in self._blobs:
            self._blobs[storage.path] = open_again(storage.path)
        blob, begin = self._blobs[storage.path], storage.begin + record.offset
        if blob.is_far and begin + nbytes <= blob.size:
            return blob.part(begin, nbytes), 0, nbytes
        return blob, begin, nbytes

    def _joined(self, record: TensorRecord) -> Iterator[bytes]:
        """Elements of a tensor in parts, each in a file of its own, or of one that cannot be mapped or is spelled out."""
        from paraminspect.values.dtypes import numpy_dtype  # numpy, which few files need here
        from paraminspect.values.read import open_numbers

        if numpy_dtype(record.dtype) is None:
            raise CheckpointError("its values do not lie in the file as they are")
        self._files = self._files or Files()
        numbers = open_numbers(record, self._files)
        step = PIECE_BYTES // numbers.read(0, min(1, numbers.numel)).itemsize
        for at in range(0, numbers.numel, step):
            yield numbers.read(at, min(at + step, numbers.numel)).tobytes()

    def _gathered(self, record: TensorRecord) -> Iterator[bytes]:
        """Elements that do not lie one after the other."""
        if record.storage is not None and (record.nbytes or 0) > record.storage.nbytes:
            raise CheckpointError("it repeats its elements")
        if is_far(record.storage.path if record.storage is not None else None):
            yield from self._joined(record)
            return
        from paraminspect.values.mapped import map_tensor  # numpy, as above

        array = map_tensor(record)
        if array is None:
            raise CheckpointError("its values do not lie in the file as they are")
        step = PIECE_BYTES // array.itemsize
        flat = array.flat
        for at in range(0, array.size, step):
            yield flat[at : at + step].tobytes()


def _is_decoded(record: TensorRecord) -> bool:
    """Whether its bytes are made from what the file has."""
    return record.layout == "chunked" or (record.encoding is not None and record.encoding.message is not None)
