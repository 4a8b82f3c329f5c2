"""Tensors of ONNX as nearly all exporters write them, read in one step: a model may have 100,000.

Such a message is, and is nothing else: dims one by one, an element type that is known, a name of fewer than 128 bytes,
raw_data of the size that these ask for. Whatever differs is left to `tensors`, which also says what is wrong.
"""

from __future__ import annotations

import re
from typing import Final

from paraminspect.files.blob import Blob
from paraminspect.formats.onnx.protobuf import read_varint
from paraminspect.formats.onnx.tensors import ELEMENTS, NEVER_TRAINED
from paraminspect.formats.pytorch.classify import kind_of
from paraminspect.formats.shapes import MAX_DIMENSIONS, contiguous_stride, count_elements
from paraminspect.records import Storage, TensorRecord
from paraminspect.tuples import NamedTuple

_HEAD: Final = re.compile(rb"((?:\x08[\x80-\xff]{0,4}[\x00-\x7f])*\x10[\x01-\x1f])\x42([\x00-\x7f])")
"""Dims and element type; length of the name."""

_HEAD_BYTES: Final = 512
MAX_KNOWN: Final = 4096
"""Shapes that are remembered."""


class _Shape(NamedTuple):
    """What follows from dims and element type."""

    shape: tuple[int, ...]
    dtype: str
    numel: int
    nbytes: int
    stride: tuple[int, ...]


class OnnxShortcut:
    """Reads tensors of one file."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._known: dict[bytes, _Shape | None] = {}

    def record(self, at: int, size: int, prefix: str) -> TensorRecord | None:
        """The record of the `TensorProto` at an offset; None where it is not of the usual form.

        Raises:
            LimitExceededError: More elements than torch can address.
        """
        data = self._blob.read_near(at, min(size, _HEAD_BYTES))
        head = _HEAD.match(data)
        if head is None:
            return None
        begin = head.end()
        end = begin + head[2][0]
        key = head[1]
        known = self._known.get(key)
        if known is None:
            known = self._measure(key)
        if known is None or data[end : end + 1] != b"\x4a":
            return None
        try:
            nbytes, place = read_varint(data, end + 1)
        except IndexError:
            return None
        shape, dtype, numel, needed, stride = known
        if nbytes != needed or place + nbytes != size:
            return None
        name = prefix + data[begin:end].decode("utf-8", "backslashreplace")
        kind = "buffer" if dtype in NEVER_TRAINED else kind_of(name, shape, dtype)
        blob = self._blob
        # what Storage(..) and TensorRecord(..) do, in half the time
        storage = tuple.__new__(Storage, (name, nbytes, blob.path, blob.begin + at + place, None, None))
        fields = (
            name, shape, dtype, numel, nbytes, kind, None, "model", "", None, "strided", storage, 0, stride, None, False,
            None, (), (),
        )  # fmt: skip
        return tuple.__new__(TensorRecord, fields)

    def _measure(self, key: bytes) -> _Shape | None:
        """Shape and size; None of elements of fewer than eight bits, or of no known type."""
        dims, at = [], 0
        while key[at] == 0x08:
            size, at = read_varint(key, at + 1)
            dims.append(size)
        known = ELEMENTS.get(key[at + 1])
        if known is None or known[1] < 8 or len(dims) > MAX_DIMENSIONS:
            return None
        shape = tuple(dims)
        numel = count_elements(shape)
        found = _Shape(shape, known[0], numel, numel * known[1] // 8, contiguous_stride(shape))
        if len(self._known) < MAX_KNOWN:
            self._known[key] = found
        return found
