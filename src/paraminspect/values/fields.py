"""Numbers in the fields of a protobuf message, and numbers of fewer than eight bits."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.formats.onnx.protobuf import BYTES, MAX_VARINT, VARINT, read_fields
from paraminspect.records import Message, TensorRecord
from paraminspect.values.decode import InOrder
from paraminspect.values.dtypes import numpy_dtype
from paraminspect.values.stored_bytes import ByteSource, Files

Array = np.ndarray[Any, Any]

MAX_MESSAGE: Final = 1 << 30
"""Bytes of a message whose numbers are decoded; they are in memory meanwhile. Exporters put weights elsewhere."""

NARROW_BITS: Final = {
    "uint2": 2, "int2": 2, "uint4": 4, "int4": 4, "float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6,
}  # fmt: skip
"""Types that lie several to a byte where a record's layout is "packed"."""


def decode_fields(record: TensorRecord, message: Message, files: Files) -> Array:
    """All numbers of a tensor that is spelled out in a message, of one dimension.

    Raises:
        MalformedError: There are more or fewer than its shape needs, or a number is cut off.
        LimitExceededError: The message is larger than MAX_MESSAGE.
    """
    if message.nbytes > MAX_MESSAGE:
        raise LimitExceededError("bytes of numbers that are no raw data", limit=MAX_MESSAGE, actual=message.nbytes)
    blob = files.blob(message.path).part(message.begin, message.nbytes)
    parts: list[Array] = []
    singles: list[int] = []
    loose = bytearray()
    for number, wire, at, value in read_fields(blob, 0, blob.size):
        if number != message.field:
            continue
        if wire == VARINT:
            singles.append(value)
        elif wire == BYTES and message.varints:
            parts += [np.array(singles, np.uint64), decode_varints(blob.read(at, value))]
            singles = []
        else:
            loose += blob.read(at, value)
    if message.varints:
        return _from_integers(np.concatenate([*parts, np.array(singles, np.uint64)]), record)
    dtype = numpy_dtype(record.dtype)
    assert dtype is not None
    if len(loose) != record.numel * dtype.itemsize:
        raise MalformedError(
            f"it has {len(loose):,} bytes of numbers, its shape needs {record.numel * dtype.itemsize:,}"
        )
    return np.frombuffer(bytes(loose), dtype)


def decode_varints(data: bytes) -> Array:
    """Packed varints as uint64.

    Raises:
        MalformedError: The last one is cut off, or one is longer than it can be.
    """
    encoded = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(encoded < 0x80)
    if not encoded.size:
        return np.empty(0, np.uint64)
    if not ends.size or ends[-1] != encoded.size - 1:
        raise MalformedError("its last number is cut off")
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    if int(lengths.max()) > MAX_VARINT:
        raise MalformedError(f"one of its numbers has more than {MAX_VARINT} bytes")
    values = np.zeros(ends.size, np.uint64)
    for place in range(int(lengths.max())):
        longer = lengths > place
        values[longer] |= (encoded[begins[longer] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values


def _from_integers(integers: Array, record: TensorRecord) -> Array:
    """Elements whose bits are the lowest of each integer; of 4 and 2 bits, several in the lowest byte."""
    bits = NARROW_BITS.get(record.dtype) if record.layout == "packed" else None
    needed = record.numel if bits in (None, 6) else -(-record.numel * bits // 8)
    if integers.size != needed:
        raise MalformedError(f"it has {integers.size:,} numbers, its shape needs {needed:,}")
    if bits is not None:
        codes = integers.astype(np.uint8) & np.uint8(63) if bits == 6 else unpack_bits(integers.astype(np.uint8), bits)
        return _table(record.dtype)[codes[: record.numel]]
    dtype = numpy_dtype(record.dtype)
    assert dtype is not None
    if dtype == np.bool_:
        truth: Array = integers != 0
        return truth
    array: Array = integers.astype(f"u{dtype.itemsize}").view(dtype)
    return array


class Narrow(InOrder):
    """Numbers of 2, 4 or 6 bits one after another, the first in the lowest bits.

    Args:
        source: Of the bytes.
        begin: Of the first one, in bytes.
        numel: How many.
        dtype: One of NARROW_BITS.
    """

    def __init__(self, source: ByteSource, begin: int, numel: int, dtype: str) -> None:
        self.numel = numel
        self._source = source
        self._begin = begin
        self._dtype = dtype

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        bits = NARROW_BITS[self._dtype]
        first = begin * bits // 24 * 3  # three bytes are a whole number of any of them
        last = -(-end * bits // 8)
        data = np.frombuffer(self._source.read(self._begin + first, last - first), np.uint8)
        skip = begin - first * 8 // bits
        return _table(self._dtype)[unpack_bits(data, bits)[skip : skip + end - begin]]


def unpack_bits(data: Array, bits: int) -> Array:
    """Codes of so many bits along the last dimension of bytes, the first in the lowest bits of the first."""
    if bits == 8:
        return data
    if bits in (2, 4):
        mask = np.uint8((1 << bits) - 1)
        fields = [data >> np.uint8(place) & mask for place in range(0, 8, bits)]
        return np.stack(fields, axis=-1).reshape(*data.shape[:-1], -1)
    count = data.shape[-1] * 8 // bits
    each = np.unpackbits(data, axis=-1, bitorder="little")[..., : count * bits]
    codes: Array = np.packbits(each.reshape(*data.shape[:-1], count, bits), axis=-1, bitorder="little")[..., 0]
    return codes


@cache
def float4_pairs() -> Array:
    """The two numbers of e2m1 that each byte stands for, the lower four bits first: float32 of (256, 2)."""
    numbers = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
    codes = np.arange(256)
    return np.stack([numbers[codes & 15], numbers[codes >> 4]], axis=1)


@cache
def _table(dtype: str) -> Array:
    """What each code stands for: int8, uint8 or float32."""
    bits = NARROW_BITS[dtype]
    codes = np.arange(1 << bits, dtype=np.uint8)
    if dtype.startswith("uint"):
        return codes
    if dtype.startswith("int"):
        half = 1 << (bits - 1)
        return (codes.astype(np.int8) ^ np.int8(half)) - np.int8(half)
    import ml_dtypes

    values: Array = codes.view(getattr(ml_dtypes, dtype)).astype(np.float32)
    return values
