"""The numbers of one stored tensor, a piece at a time: whatever its layout and type, memory stays at a few pieces.

Each class is one way in which numbers come from bytes. All of them give any run of numbers in row-major order (`read`)
and all numbers in whatever order the file has them (`chunks`), which is what statistics need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np

from paraminspect.errors import LimitExceededError
from paraminspect.formats.gguf import GGML_TYPES
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.tuples import NamedTuple
from paraminspect.values.dtypes import is_foreign
from paraminspect.values.stored_bytes import ByteSource

Array = np.ndarray[Any, Any]

CHUNK: Final = 1 << 18
"""Numbers that are read at a time."""

BLOCK_SIZES: Final = {name: (block, nbytes) for name, block, nbytes in GGML_TYPES.values()}
"""Elements and bytes of a block, by the name of its type."""

MAX_OVERLAP: Final = 64
"""How often windows of one tensor may cover the same bytes on average; an honest tensor has none that overlap."""

WINDOW: Final = 1 << 26
"""Elements of a scattered tensor that are held where it is read in order."""

MAX_GAPS: Final = 2
"""How many places for each element are read together, gaps and all."""

FILL: Final = 1 << 22
"""Numbers that are read at a time where all of them are wanted."""


class Numbers(Protocol):
    """The numbers of one tensor.

    Attributes:
        numel: How many; of packed pairs, two for each element.
        repeats: How many of them each number that `chunks` gives stands for.
    """

    @property
    def numel(self) -> int:
        """How many numbers there are."""

    @property
    def repeats(self) -> int:
        """How many numbers each one of `chunks` stands for: of an expanded tensor, whose bytes are read once."""

    def read(self, begin: int, end: int) -> Array:
        """The numbers from `begin` up to `end` in row-major order, of one dimension.

        Raises:
            ParamInspectError: The file is shorter than it was, or damaged.
        """

    def chunks(self) -> Iterator[Array]:
        """All numbers, each once, in any order and shape. Raises what `read` does."""

    def array(self) -> Array:
        """All numbers in row-major order, of any shape, in memory of their own. Raises what `read` does."""


class Element(NamedTuple):
    """Type of an element in the file.

    Attributes:
        dtype: Native.
        swapped: Whether the bytes of each number are in big-endian order.
    """

    dtype: np.dtype[Any]
    swapped: bool = False

    def numbers(self, data: bytes) -> Array:
        """Bytes as native numbers, of one dimension."""
        array: Array = np.frombuffer(data, np.uint8)
        if self.dtype == np.bool_:
            truth: Array = array != 0  # any other byte than 0 is true
            return truth
        if self.swapped and self.dtype.itemsize > 1:
            part = self.dtype.itemsize // (2 if self.dtype.kind == "c" else 1)
            array = array.view(f">u{part}").astype(f"=u{part}")
        return array.view(self.dtype)


class InOrder:
    """What numbers that are read front to back have in common."""

    repeats = 1
    numel: int

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        raise NotImplementedError

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`."""
        for begin in range(0, self.numel, CHUNK):
            yield self.read(begin, min(begin + CHUNK, self.numel))

    def array(self) -> Array:
        """See `Numbers`."""
        first = self.read(0, min(FILL, self.numel))
        out = np.empty(self.numel, first.dtype)
        out[: first.size] = first
        for begin in range(first.size, self.numel, FILL):
            end = min(begin + FILL, self.numel)
            out[begin:end] = self.read(begin, end)
        return out


class Dense(InOrder):
    """Elements one after another.

    Args:
        source: Of the bytes.
        begin: Of the first element, in bytes.
        numel: Of elements.
        element: Type.
    """

    def __init__(self, source: ByteSource, begin: int, numel: int, element: Element) -> None:
        self._source = source
        self._begin = begin
        self.numel = numel
        self._element = element

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        size = self._element.dtype.itemsize
        return self._element.numbers(self._source.read(self._begin + begin * size, (end - begin) * size))


class Strided:
    """Elements with gaps, in another order, or several at one place.

    Read in the order of rows, a window of them is held at a time.

    Args:
        source: Of the bytes.
        begin: Of the element at (0, ..., 0), in bytes.
        shape: With at least one element.
        stride: In elements, none negative.
        element: Type.
    """

    def __init__(
        self, source: ByteSource, begin: int, shape: Sequence[int], stride: Sequence[int], element: Element
    ) -> None:
        self._source = source
        self._begin = begin
        self._shape = tuple(shape)
        self._stride = tuple(stride)
        self._element = element
        self._first = self._last = 0  # what is held
        self._held: Array = np.empty(0, element.dtype)
        self.numel = math.prod(self._shape)
        self._dims = _descending(self._shape, self._stride)
        distinct, span = math.prod(size for _, size in self._dims), _span(self._dims)
        self.repeats = self.numel // distinct
        if distinct > MAX_OVERLAP * span:
            raise LimitExceededError(f"elements on {span:,} places", limit=MAX_OVERLAP * span, actual=distinct)

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        parts = []
        while begin < end:
            if not self._first <= begin < self._last:
                self._hold(begin)
            stop = min(end, self._last)
            parts.append(self._held.flat[begin - self._first : stop - self._first])
            begin = stop
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, self._held.reshape(-1)[:0]])

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`: in the order of the file, one run of bytes after the other."""
        for _, box in self._boxes(self._begin, self._dims):
            yield box

    def array(self) -> Array:
        """See `Numbers`; with the strides that it has in the file, if the gaps are small."""
        return self._gather(self._begin, self._shape, self._stride)

    def _hold(self, begin: int) -> None:
        """Have the window in which an element lies: whole rows, as many as it has room for, or all."""
        axis, each, distinct = len(self._shape), 1, 1
        while axis:
            size = self._shape[axis - 1]
            more = distinct * (size if self._stride[axis - 1] else 1)
            if more > WINDOW:
                break
            axis, each, distinct = axis - 1, each * size, more
        if not axis:
            self._first, self._last, self._held = 0, self.numel, self.array()
            return
        axis -= 1
        rows = max(1, WINDOW // distinct)
        outer, row = divmod(begin // each, self._shape[axis])
        row -= row % rows
        rows = min(rows, self._shape[axis] - row)
        self._first = (outer * self._shape[axis] + row) * each
        self._last = self._first + rows * each
        place = row * self._stride[axis]
        for size, step in zip(reversed(self._shape[:axis]), reversed(self._stride[:axis]), strict=True):
            outer, at = divmod(outer, size)
            place += at * step
        at_byte = self._begin + place * self._element.dtype.itemsize
        self._held = self._gather(at_byte, (rows, *self._shape[axis + 1 :]), self._stride[axis:])

    def _gather(self, begin: int, shape: Sequence[int], stride: Sequence[int]) -> Array:
        """Elements in memory of their own, of that shape, each byte of the file once."""
        itemsize, dims = self._element.dtype.itemsize, _descending(shape, stride)
        apart = sorted(
            (dim for dim, size in enumerate(shape) if size > 1 and stride[dim]),
            key=lambda dim: (-stride[dim], -shape[dim]),
        )
        distinct, span = math.prod(size for _, size in dims), _span(dims)
        if span <= max(CHUNK, MAX_GAPS * distinct):
            held = Dense(self._source, begin, span, self._element).array()
            return np.ndarray(shape, held.dtype, held, 0, [step * itemsize for step in stride])
        out = np.empty([size for _, size in dims], self._element.dtype)
        for place, box in self._boxes(begin, dims):
            out[place] = box
        out = out.reshape([shape[dim] for dim in apart]).transpose(np.argsort(apart))
        found = out[tuple(slice(None) if dim in apart else None for dim in range(len(shape)))]
        return _repeated(found, shape)

    def _boxes(self, begin: int, dims: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int | slice, ...], Array]]:
        """Elements in the order of the file, a box at a time, and which part of all it is."""
        size = self._element.dtype.itemsize
        span = _span(dims)
        if span <= CHUNK:
            held = self._element.numbers(self._source.read(begin, span * size))
            strides = [step * held.itemsize for step, _ in dims]
            yield (), np.ndarray([count for _, count in dims], held.dtype, held, 0, strides)
            return
        (step, count), inner = dims[0], dims[1:]
        together = max(1, (CHUNK - _span(inner)) // step + 1) if _span(inner) <= CHUNK else 1
        for first in range(0, count, together):
            number = min(together, count - first)
            rest = [(step, number), *inner] if number > 1 else inner
            for place, box in self._boxes(begin + first * step * size, rest):
                here: int | slice = slice(first, first + number) if number > 1 else first
                yield (here, *place), box


class Mapped(InOrder):
    """Numbers that a table gives for each byte: packed pairs.

    Args:
        codes: Bytes.
        table: (256, numbers of a byte).
    """

    def __init__(self, codes: Numbers, table: Array) -> None:
        self._codes = codes
        self._table = table
        self._each = table.shape[1]
        self.numel = codes.numel * self._each
        self.repeats = codes.repeats

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        first = begin // self._each
        numbers = self._table[self._codes.read(first, -(-end // self._each))].reshape(-1)
        return numbers[begin - first * self._each : end - first * self._each]

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`."""
        for codes in self._codes.chunks():
            yield self._table[codes]


class Complex32(InOrder):
    """Pairs of float16 as complex64."""

    def __init__(self, halves: Numbers) -> None:
        self._halves = halves
        self.numel = halves.numel // 2
        self.repeats = halves.repeats

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        return self._pairs(self._halves.read(2 * begin, 2 * end))

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`."""
        return map(self._pairs, self._halves.chunks())

    @staticmethod
    def _pairs(halves: Array) -> Array:
        # halves of a box stand in any shape, but pairs stay together
        return np.ascontiguousarray(halves).reshape(-1).astype(np.float32).view(np.complex64)


class Blocks(InOrder):
    """Blocks of ggml.

    Args:
        source: Of the bytes.
        begin: Of the first block.
        numel: Of elements, a whole number of blocks.
        dtype: Name of the block type.
    """

    def __init__(self, source: ByteSource, begin: int, numel: int, dtype: str) -> None:
        self._source = source
        self._begin = begin
        self.numel = numel
        self._dtype = dtype
        self._block, self._nbytes = BLOCK_SIZES[dtype]

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        from paraminspect.values.blocks import decode_blocks

        first, last = begin // self._block, -(-end // self._block)
        data = self._source.read(self._begin + first * self._nbytes, (last - first) * self._nbytes)
        numbers = decode_blocks(self._dtype, np.frombuffer(data, np.uint8).reshape(-1, self._nbytes)).reshape(-1)
        return numbers[begin - first * self._block : end - first * self._block]


class Quantised(InOrder):
    """Integers with a scale and a zero point, as `torch.dequantize` has them: in float32.

    torch multiplies by one scale for all in float32, by scales of an axis in their own type.

    Args:
        integers: As stored.
        scales: One float32, or as many float64 as indices of the axis.
        zero_points: float64, the same.
        inner: Elements of one index of the axis.
    """

    def __init__(self, integers: Numbers, scales: Array, zero_points: Array, inner: int = 1) -> None:
        self._integers = integers
        self._scales = scales
        self._zero_points = zero_points
        self._inner = inner
        self.numel = integers.numel

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        integers = self._integers.read(begin, end).astype(np.float64)
        if self._scales.size == 1:
            scale, zero = self._scales[0], self._zero_points[0]
        else:
            index = np.arange(begin, end) // self._inner % self._scales.size
            scale, zero = self._scales[index], self._zero_points[index]
        with np.errstate(all="ignore"):
            numbers: Array = ((integers - zero).astype(self._scales.dtype) * scale).astype(np.float32)
        return numbers


class Flipped:
    """Numbers with the other sign, or complex ones with the other sign of their imaginary parts."""

    def __init__(self, numbers: Numbers, *, negated: bool, conjugated: bool) -> None:
        self._numbers = numbers
        self._negated = negated
        self._conjugated = conjugated
        self.numel = numbers.numel
        self.repeats = numbers.repeats

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        return self._flip(self._numbers.read(begin, end))

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`."""
        return map(self._flip, self._numbers.chunks())

    def array(self) -> Array:
        """See `Numbers`."""
        array = self._numbers.array()
        once = array[tuple(slice(None) if step else slice(1) for step in array.strides)]
        return _repeated(self._flip(once), array.shape)

    def _flip(self, array: Array) -> Array:
        flipped: Array = np.conj(array) if self._conjugated else array
        return np.negative(flipped) if self._negated else flipped


class InMemory(InOrder):
    """An array that is at hand."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.numel = array.size

    def read(self, begin: int, end: int) -> Array:
        """See `Numbers`."""
        if self._array.flags.c_contiguous:
            return self._array.reshape(-1)[begin:end]
        return self._array.flat[begin:end]

    def chunks(self) -> Iterator[Array]:
        """See `Numbers`."""
        if self._array.flags.forc:
            flat = self._array.ravel("K")
            yield from (flat[begin : begin + CHUNK] for begin in range(0, flat.size, CHUNK))
        else:
            yield from super().chunks()


def is_dense(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether elements lie one after another in row-major order."""
    expected = contiguous_stride(shape)
    return all(size < 2 or step == usual for size, step, usual in zip(shape, stride, expected, strict=True))


def _repeated(array: Array, shape: Sequence[int]) -> Array:
    """A view in which what has one index of a dimension has all."""
    steps = [step if size == whole else 0 for step, size, whole in zip(array.strides, array.shape, shape, strict=True)]
    bits = array.view(f"u{array.itemsize}") if is_foreign(array.dtype) else array  # which numpy does not know by name
    return np.lib.stride_tricks.as_strided(bits, shape, steps).view(array.dtype)


def _descending(shape: Sequence[int], stride: Sequence[int]) -> list[tuple[int, int]]:
    """(step, size) of the dimensions along which the place changes, by descending step, joined where they can be."""
    return _joined(
        sorted(((step, size) for size, step in zip(shape, stride, strict=True) if size > 1 and step), reverse=True)
    )


def _joined(dims: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(step, size) by descending step, with those that continue each other made one."""
    joined: list[tuple[int, int]] = []
    for step, size in dims:
        if joined and joined[-1][0] == step * size:
            joined[-1] = step, joined[-1][1] * size
        else:
            joined.append((step, size))
    return joined


def _span(dims: Sequence[tuple[int, int]]) -> int:
    """Places from the first to the last element."""
    return 1 + sum(step * (size - 1) for step, size in dims)
