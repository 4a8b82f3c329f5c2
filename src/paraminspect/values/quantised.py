"""The numbers of quantised weights that lie in several tensors, row by row, as their producers' own code gives them.

One function for each scheme of `formats.quantised.schemes`. It makes of the parts what decodes some rows of the tensor that
is meant, in float32; each result is then rounded once to the type that the producer computes in, which is where its own
code rounds. Of a weight that is stored transposed, rows are columns of the file: as many are decoded at a time as are worth
a pass over it, and kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError
from paraminspect.records import Logical, TensorRecord
from paraminspect.values.cast import cast
from paraminspect.values.decode import InOrder
from paraminspect.values.fields import float4_pairs, unpack_bits
from paraminspect.values.read import read_part, read_tensor
from paraminspect.values.stored_bytes import Files, as_bytes, is_contiguous
from paraminspect.values.widen import widen

Array = np.ndarray[Any, Any]
Decode = Callable[[int, int], Array]

HELD: Final = 1 << 21
"""Numbers that are decoded at a time."""

MAX_COLUMNS: Final = 1 << 26
"""Of one row."""

_AWQ_ORDER: Final = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where the eight integers of a word lie in it."""

_INT8_STEP: Final = np.float32(7.874015718698502e-3)
"""1 / 127, as bitsandbytes writes it."""


class Parts:
    """The stored tensors that a weight is made of.

    Args:
        logical: What they stand for.
        files: Of the checkpoint.
    """

    def __init__(self, logical: Logical, files: Files) -> None:
        self._records = dict(logical.parts)
        self._files = files
        self._settings = dict(logical.settings)

    def __contains__(self, part: str) -> bool:
        return part in self._records

    def setting(self, name: str) -> Any:
        """What is known of how it is packed."""
        return self._settings[name]

    def record(self, part: str) -> TensorRecord:
        """One of them."""
        return self._records[part]

    def whole(self, part: str) -> Array:
        """All numbers of one, of its shape, in a type that numpy computes with."""
        return widen(read_tensor(self._records[part], self._files))

    def part(self, part: str, *index: int | slice) -> Array:
        """Some numbers of one, in the same way."""
        return widen(read_part(self._records[part], index, self._files))

    def rows(self, part: str, begin: int, end: int) -> Array:
        """Rows of one, seen as a matrix of its last dimension."""
        record = self._records[part]
        shape = record.shape or (1,)
        if not is_contiguous(record):
            return self.whole(part).reshape(-1, shape[-1])[begin:end]
        flat = record._replace(shape=(record.numel // shape[-1], shape[-1]), stride=None)
        return widen(read_part(flat, (slice(begin, end),), self._files))

    def bytes(self, part: str, begin: int, end: int) -> Array:
        """Bytes of one, whatever its type.

        Raises:
            CheckpointError: They do not lie in the file one after another.
        """
        record = as_bytes(self._records[part])
        if record is None:
            raise CheckpointError("its bytes do not lie in the file as they are")
        return read_part(record, (slice(begin, end),), self._files)


class Rows(InOrder):
    """Numbers that are decoded by rows.

    Args:
        logical: What they are.
        decode: Gives the rows from one up to another, in float32; the last row may be longer than what is left.
        columns: Numbers of a row.
        step: Rows that are decoded together, of what is stored transposed; 0 for what lies row by row.

    Raises:
        LimitExceededError: Rows of more than MAX_COLUMNS.
    """

    def __init__(self, logical: Logical, decode: Decode, columns: int, step: int = 0) -> None:
        if columns > MAX_COLUMNS:
            raise LimitExceededError("numbers of one row", limit=MAX_COLUMNS, actual=columns)
        self.numel = logical.numel
        self._dtype = logical.dtype
        self._decode = decode
        self._columns = columns
        self._count = -(-logical.numel // columns)
        self._step = step
        most = HELD // columns
        self._most = max(1, most) if not step else max(step, most - most % step)
        self._held: tuple[int, Array] | None = None

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        row, last = begin // self._columns, -(-end // self._columns)
        skip, parts = begin - row * self._columns, []
        while row < last:
            first, rows = self._window(row, last)
            until = min(first + len(rows), last)
            parts.append(rows[row - first : until - first].reshape(-1))
            row = until
        if not parts:
            return self._window(0, 1)[1].reshape(-1)[:0]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole[skip : skip + end - begin]

    def _window(self, row: int, last: int) -> tuple[int, Array]:
        """Some rows that begin with or before one, and which is the first."""
        if not self._step:
            return row, self._rounded(row, min(last, row + self._most))
        first = row - row % self._most
        held = self._held
        if held is None or held[0] != first:
            held = self._held = first, self._rounded(first, min(first + self._most, self._count))
        return held

    def _rounded(self, begin: int, end: int) -> Array:
        with np.errstate(all="ignore"):
            return cast(self._decode(begin, end), self._dtype)


def unpack(words: Array, bits: int) -> Array:
    """Integers of so many bits along the last dimension of words of 32, the first in the lowest bits of the first."""
    data = np.ascontiguousarray(words).astype("<u4", copy=False, casting="unsafe").view(np.uint8)
    return unpack_bits(data, bits)


def _pairs(data: Array) -> Array:
    """Two numbers of e2m1 for each byte, the lower four bits first."""
    return float4_pairs()[data].reshape(*data.shape[:-1], -1)


def _spread(scales: Array, columns: int) -> Array:
    """Each scale of a row for the numbers that it is for."""
    return np.repeat(scales, -(-columns // scales.shape[1]), axis=1)[:, :columns]


def _floats(array: Array) -> Array:
    return array.astype(np.float32, copy=False)


def gptq(logical: Logical, files: Files) -> Rows:
    """(integer - zero point) * scale, those of the input's group; zero points of the first format lack one.

    Raises:
        MalformedError: An input of a group that is not there.
    """
    parts, (outputs, inputs) = Parts(logical, files), logical.shape
    bits = parts.setting("bits")
    scales, group = _floats(parts.whole("scales")), parts.whole("g_idx")
    if group.size and not 0 <= int(group.min()) <= int(group.max()) < len(scales):
        raise MalformedError(f"its g_idx names groups that are not there: it has {len(scales):,}")
    zeros = unpack(parts.whole("qzeros"), bits)[:, :outputs].astype(np.int32)
    if parts.setting("lowered"):
        zeros = zeros + 1 & (1 << bits) - 1

    def decode(begin: int, end: int) -> Array:
        codes = unpack(parts.part("qweight", slice(None), slice(begin, end)).T, bits)[:, :inputs]
        low, scale = (each[:, begin:end].T[:, group] for each in (zeros, scales))
        return _floats(codes.astype(np.int32) - low) * scale

    return Rows(logical, decode, inputs, 1)


def awq(logical: Logical, files: Files) -> Rows:
    """The same, with groups of as many inputs one after another."""
    parts, (_, inputs) = Parts(logical, files), logical.shape

    def codes(words: Array) -> Array:
        fields = unpack(words, 4).reshape(len(words), -1, 8)[:, :, _AWQ_ORDER]
        return fields.reshape(len(words), -1).astype(np.int32)

    scales, zeros = _floats(parts.whole("scales")), codes(parts.whole("qzeros"))
    group = np.arange(inputs) // (inputs // len(scales))

    def decode(begin: int, end: int) -> Array:
        numbers = codes(parts.part("qweight", slice(None), slice(begin // 8, -(-end // 8)))).T[: end - begin]
        low, scale = (each[:, begin:end].T[:, group] for each in (zeros, scales))
        return _floats(numbers - low) * scale

    return Rows(logical, decode, inputs, 8)


def four_bits(logical: Logical, files: Files) -> Rows:
    """A number of the map times the largest of its block, which may be a number of another map itself.

    Raises:
        CheckpointError: Blocks that do not end with a byte.
        MalformedError: A map that is too short, or too few blocks.
    """
    parts = Parts(logical, files)
    size, nested, offset = (parts.setting(name) for name in ("size", "nested_size", "offset"))
    if size % 2:
        raise CheckpointError(f"blocks of {size:,} numbers cannot be decoded yet")
    code = _floats(parts.whole("quant_map").reshape(-1))
    blocks = -(-logical.numel // size)
    if code.size != 16 or parts.record("absmax").numel != blocks:
        raise MalformedError("its map or its blocks are not as its state says")
    if nested:
        codes, largest = (_floats(parts.whole(name).reshape(-1)) for name in ("nested_quant_map", "nested_absmax"))
        if codes.size != 256 or largest.size != -(-blocks // nested):
            raise MalformedError("its map or its blocks are not as its state says")

    def scales(begin: int, end: int) -> Array:
        found = parts.part("absmax", slice(begin, end)).reshape(-1)
        if not nested:
            return _floats(found)
        of_blocks: Array = codes[found] * largest[np.arange(begin, end) // nested]
        return of_blocks + np.float32(offset)

    def decode(begin: int, end: int) -> Array:
        data = parts.bytes("weight", begin * size // 2, min(end * size // 2, -(-logical.numel // 2)))
        fields = np.zeros((end - begin) * size // 2, np.uint8)
        fields[: data.size] = data
        numbers = code[np.stack([fields >> np.uint8(4), fields & np.uint8(15)], axis=-1)].reshape(-1, size)
        return numbers * scales(begin, end)[:, None]

    return Rows(logical, decode, size)


def rowwise(logical: Logical, files: Files) -> Rows:
    """An integer times the largest of its row, over 127."""
    parts, (_, columns) = Parts(logical, files), logical.shape

    def decode(begin: int, end: int) -> Array:
        numbers = _floats(parts.rows("weight", begin, end)) * _floats(parts.part("SCB", slice(begin, end)))[:, None]
        return numbers * _INT8_STEP

    return Rows(logical, decode, columns)


def experts(logical: Logical, files: Files) -> Rows:
    """A pair's number times 2 to the exponent of its block of 32 inputs; each expert transposed."""
    parts, (_, inputs, outputs) = Parts(logical, files), logical.shape

    def some(expert: int, begin: int, end: int) -> Array:
        groups = slice(begin // 32, end // 32)
        blocks = parts.part("blocks", expert, slice(None), groups)
        exponents = parts.part("scales", expert, slice(None), groups).astype(np.int32) - 127
        return np.ldexp(_pairs(blocks), exponents[:, :, None]).reshape(outputs, -1).T

    def decode(begin: int, end: int) -> Array:
        found = []
        while begin < end:
            expert, row = divmod(begin, inputs)
            until = min(end - expert * inputs, inputs)
            found.append(some(expert, row, until))
            begin = expert * inputs + until
        return found[0] if len(found) == 1 else np.concatenate(found)

    return Rows(logical, decode, outputs, 32)


def mlx(logical: Logical, files: Files) -> Rows:
    """An integer * scale + bias, those of the input's group, rounded after each of the two."""
    parts, columns = Parts(logical, files), logical.shape[-1]
    bits = parts.setting("bits")

    def decode(begin: int, end: int) -> Array:
        codes = _floats(unpack(parts.rows("weight", begin, end), bits)[:, :columns])
        scale, bias = (_spread(_floats(parts.rows(name, begin, end)), columns) for name in ("scales", "biases"))
        return _floats(widen(cast(codes * scale, logical.dtype))) + bias

    return Rows(logical, decode, columns)


def packed(logical: Logical, files: Files) -> Rows:
    """(integer - zero point) * scale; both are stored without a sign."""
    parts, (outputs, columns) = Parts(logical, files), logical.shape
    bits = parts.setting("bits")
    half = 1 << (bits - 1)
    zeros: Array | None = None
    if "zero_point" in parts:
        zeros = unpack(parts.whole("zero_point").T, bits).T[:outputs].astype(np.int32) - half
        if len(zeros) != outputs:
            raise MalformedError("it has too few zero points")

    def decode(begin: int, end: int) -> Array:
        codes = unpack(parts.rows("packed", begin, end), bits)[:, :columns].astype(np.int32) - half
        if zeros is not None:
            codes = codes - _spread(zeros[begin:end], columns)
        return _floats(codes) * _spread(_floats(parts.rows("scale", begin, end)), columns)

    return Rows(logical, decode, columns)


def pairs(logical: Logical, files: Files) -> Rows:
    """A pair's number times the scale of its group, and that of the whole."""
    parts, columns = Parts(logical, files), logical.shape[-1]
    whole = np.float32(1)
    if "scale_2" in parts:
        whole = _floats(parts.whole("scale_2")).reshape(-1)[0]
    elif "global_scale" in parts:
        whole = _floats(parts.whole("global_scale")).reshape(-1)[0]

    def decode(begin: int, end: int) -> Array:
        scales = parts.rows("scale", begin, end)
        if scales.dtype == np.uint8:
            scales = np.ldexp(np.float32(1), scales.astype(np.int32) - 127)
        scales = scales / whole if "global_scale" in parts else scales * whole
        return _pairs(parts.rows("weight", begin, end)) * _spread(scales, columns)

    return Rows(logical, decode, columns)


class _Grid:
    """Scales of blocks, a row of them for each row of the weight."""

    def __init__(self, logical: Logical, parts: Parts) -> None:
        self._parts = parts
        self._rows, self._columns = logical.shape[-2:]
        self._block = parts.setting("block")

    @cached_property
    def _scales(self) -> Array:
        scales = _floats(self._parts.whole("scale"))
        return scales.reshape(-1, scales.shape[-1]) if scales.ndim > 1 else scales.reshape(-1, 1)

    @cached_property
    def _zeros(self) -> Array | None:
        if "zero_point" not in self._parts:
            return None
        return _floats(self._parts.whole("zero_point")).reshape(self._scales.shape)

    def decode(self, begin: int, end: int) -> Array:
        """(number - zero point) * scale."""
        down, across = self._block
        batch, row = np.divmod(np.arange(begin, end), self._rows)
        where = np.zeros(end - begin, int)
        if self._scales.size > 1:
            where = batch * -(-self._rows // down) + row // down
        numbers = _floats(self._parts.rows("weight", begin, end))
        if self._zeros is not None:
            numbers = numbers - self._spread(self._zeros[where], across)
        return numbers * self._spread(self._scales[where], across)

    def _spread(self, rows: Array, across: int) -> Array:
        return np.repeat(rows, across, axis=1)[:, : self._columns]


def scaled(logical: Logical, files: Files) -> Rows:
    """A number times the scale of its block of rows and columns."""
    shape = logical.shape
    grid = _Grid(logical, Parts(logical, files))
    return Rows(logical, grid.decode, math.prod(shape[-1:]))
