"""The one reader of stored values: from a record to its numbers, whatever the format and encoding of the file.

Everything that wants values comes here: `show`, statistics, `diff`, `convert`, `--weights`, `init`, the library. Files
are read by position, never mapped: one that becomes shorter meanwhile is an error, not the end of the process. What
needs no numpy, where bytes lie as they are, is in `values.stored_bytes`; the ways in which numbers come from bytes are
in `values.decode` and `values.boxes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from paraminspect.errors import CheckpointError, LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import PACKED
from paraminspect.formats.quantised.schemes import DECODERS as OF_SCHEMES
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.formats.table import resolve
from paraminspect.formats.tiling import flaw_of
from paraminspect.limits import NUMBERS, ONE_TENSOR, effort
from paraminspect.records import PAIRS, Encoding, Logical, Piece, Quantizer, TensorRecord
from paraminspect.values.blocks import DECODERS
from paraminspect.values.boxes import Boxes
from paraminspect.values.decode import (
    BLOCK_SIZES,
    CHUNK,
    Blocks,
    Complex32,
    Dense,
    Element,
    Flipped,
    InMemory,
    Mapped,
    Numbers,
    Quantised,
    Strided,
    is_dense,
)
from paraminspect.values.dtypes import numpy_dtype, why_no_numbers
from paraminspect.values.fields import NARROW_BITS, Narrow, decode_fields, float4_pairs
from paraminspect.values.slices import check_slice, fill_slice, take_slice
from paraminspect.values.sparse import Sparse
from paraminspect.values.split import open_split
from paraminspect.values.stored_bytes import QUANTISED, Files
from paraminspect.values.widen import to_float64

Array = np.ndarray[Any, Any]

MAX_AXIS: Final = 1 << 24
"""Scales of one quantised tensor."""

_BIT_TYPES: Final = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
"""Types in which elements keep their bits whatever they are, by their size."""


def open_numbers(record: TensorRecord, files: Files) -> Numbers:
    """What reads the numbers of a tensor.

    Args:
        record: Of a checkpoint.
        files: Shared by all tensors of a run.

    Raises:
        CheckpointError: They cannot be had, and why: the layout is not dense, the type has no arithmetic or is packed
            in a way we cannot decode, the bytes are not in the file.
        LimitExceededError: Elements that overlap more often than any honest tensor's, too many pieces, more numbers in
            this run than the bytes of its files justify.
    """
    if record.logical is not None:
        return _open_logical(record.logical, files)
    if record.layout == "chunked":
        return _open_pieces(record, files)
    numbers = _open(record, files)
    effort().spend(NUMBERS, numbers.numel // numbers.repeats + ONE_TENSOR)
    return numbers


def _open(record: TensorRecord, files: Files) -> Numbers:
    if record.sparse:
        dtype = element_type(record.dtype) or np.dtype(np.float32)
        return (
            Sparse(record, dtype, lambda part: read_tensor(part, files))
            if record.numel
            else InMemory(np.empty(0, dtype))
        )
    if record.shape is None or record.layout not in ("strided", "gguf", "packed"):
        hint = "torch.load it and save its to_dense()" if record.layout.startswith("sparse") else None
        raise CheckpointError(f"it is {record.layout}, not dense", hint=hint)
    if record.numel == 0:
        return InMemory(np.empty(0, element_type(record.dtype) or np.float32))
    if record.storage is None:
        raise CheckpointError("the file has no bytes for it")
    if record.layout == "gguf":
        return _open_blocks(record, files)
    if record.encoding is not None and record.encoding.message is not None:
        return InMemory(decode_fields(record, record.encoding.message, files))
    if record.layout == "packed":
        return Narrow(files.locate(record.storage).source, record.offset, record.numel, record.dtype)
    numbers = _open_elements(record, files)
    encoding = record.encoding or Encoding()
    if encoding.negated or encoding.conjugated:
        return Flipped(numbers, negated=encoding.negated, conjugated=encoding.conjugated)
    return numbers


def open_elements(record: TensorRecord, files: Files) -> Numbers:
    """The same with all their bits, for what writes or compares them: as unsigned integers, where that is possible.

    Raises:
        ParamInspectError: As `open_numbers`.
    """
    if record.layout == "chunked":
        return _open_pieces(record, files, as_bits=True)
    return open_numbers(as_bits(record), files)


def as_bits(record: TensorRecord) -> TensorRecord:
    """The record with elements of as many bits that have no meaning; itself where they are more than their bits."""
    if record.layout != "strided" or record.encoding is not None or not record.numel or record.nbytes is None:
        return record
    if record.dtype in QUANTISED or record.dtype in PACKED or record.dtype.startswith("complex"):
        return record  # the parts of a complex number may be swapped, each by itself
    size, rest = divmod(record.nbytes, record.numel)
    return record if rest else record._replace(dtype=_BIT_TYPES.get(size, record.dtype))


def read_tensor(record: TensorRecord, files: Files | None = None) -> Array:
    """All values of a tensor, of its shape, in memory of their own; those of an expanded tensor once.

    Of packed pairs (`float4_e2m1fn_x2`) the last dimension is twice that of the record.

    Args:
        record: Of a checkpoint.
        files: Kept open between calls; None opens its own.

    Raises:
        ParamInspectError: As `open_numbers`; the file has become shorter.

    Example:
        >>> read_tensor(open_source("model.safetensors").tensors[0]).mean()
        0.00012
    """
    with _naming(record):
        numbers = open_numbers(record, files or Files())
        return numbers.array().reshape(_shape_of(record, numbers))


def read_part(record: TensorRecord, index: tuple[Any, ...], files: Files) -> Array:
    """What `take_slice` takes of a tensor. Only that is read; of blocks and scaled integers the rows that it is in.

    Args:
        record: Of a checkpoint.
        index: As `parse_slice` gives it; () for the whole.
        files: Kept open between calls.

    Raises:
        ParamInspectError: As `read_tensor` and `take_slice`.
    """
    record = record.as_meant
    if not index or not record.numel or not record.shape:
        return take_slice(read_tensor(record, files), index)
    if _has_places(record):
        return read_tensor(_narrowed(record, index), files)
    with _naming(record):
        numbers = open_numbers(record, files)
        shape = _shape_of(record, numbers)
        check_slice(shape, index)
        (rows, *rest), is_one = fill_slice(index, len(shape)), False
        if isinstance(rows, int):
            rows, is_one = slice(rows, rows % shape[0] + 1), True
        chosen = range(shape[0])[rows]
        each = numbers.numel // shape[0]
        begin, end = (chosen[0], chosen[-1] + 1) if chosen else (0, 0)
        array = numbers.read(begin * each, end * each).reshape(end - begin, *shape[1:])
        return take_slice(array, (0 if is_one else slice(None, None, chosen.step), *rest))


def read_summary(
    record: TensorRecord, index: tuple[Any, ...], files: Files, *, edge: int, above: int
) -> tuple[Array, tuple[int, ...]]:
    """The same part and its shape; of more than `above` elements only the ends of each dimension, and one in between.

    Args:
        record: Of a checkpoint.
        index: As of `read_part`.
        files: Kept open between calls.
        edge: Indices of a dimension that are wanted at each end; one with more than two of them is cut to one more.
        above: Of so many elements all are wanted.

    Raises:
        ParamInspectError: As `read_part`.
    """
    record = record.as_meant
    if _has_places(record) and record.numel and record.shape:
        part = _narrowed(record, index)
        array = read_tensor(part, files) if part.numel <= above else _ends(part, 0, edge, files)
        return array, part.shape or ()
    if not index and record.shape and record.numel > above and record.shape[0] > 2 * edge:
        array = np.concatenate([read_part(record, (rows,), files) for rows in _both_ends(record.shape[0], edge)])
        return array, (record.shape[0], *array.shape[1:])
    array = read_part(record, index, files)
    return array, array.shape


def _ends(record: TensorRecord, axis: int, edge: int, files: Files) -> Array:
    """The ends of each dimension from one on."""
    shape = record.shape or ()
    if record.numel <= CHUNK or axis == len(shape):
        return _cut(read_tensor(record, files), axis, edge)
    if shape[axis] <= 2 * edge:
        return _ends(record, axis + 1, edge, files)
    whole = (slice(None),) * axis
    ends = [_narrowed(record, (*whole, part)) for part in _both_ends(shape[axis], edge)]
    return np.concatenate([_ends(each, axis + 1, edge, files) for each in ends], axis)


def _both_ends(size: int, edge: int) -> tuple[slice, slice]:
    return slice(0, edge + 1), slice(size - edge, size)


def _cut(array: Array, axis: int, edge: int) -> Array:
    for each in range(axis, array.ndim):
        if array.shape[each] > 2 * edge + 1:
            array = np.concatenate(
                [array[(slice(None),) * each + (part,)] for part in _both_ends(array.shape[each], edge)], each
            )
    return array


def _has_places(record: TensorRecord) -> bool:
    """Whether each of its elements lies in a place of its own, at its stride."""
    encoding = record.encoding or Encoding()
    is_coded = record.dtype in QUANTISED or record.dtype in PACKED or record.dtype == PAIRS
    is_plain = encoding.message is None and encoding.logical is None
    return record.layout == "strided" and is_plain and not is_coded and record.nbytes is not None


def _narrowed(record: TensorRecord, index: tuple[Any, ...]) -> TensorRecord:
    """The record of a part of a tensor with places."""
    shape = record.shape or ()
    check_slice(shape, index)
    place, sizes, steps = 0, [], []
    strides = contiguous_stride(shape) if record.stride is None else record.stride
    for part, size, step in zip(fill_slice(index, len(shape)), shape, strides, strict=True):
        chosen = range(size)[part]
        if isinstance(chosen, int):
            place += chosen * step
            continue
        place += (chosen.start if chosen else 0) * step
        sizes.append(len(chosen))
        steps.append(step * chosen.step)
    itemsize = (record.nbytes or 0) // record.numel
    numel = math.prod(sizes)
    offset = record.offset + place * itemsize
    return record._replace(shape=tuple(sizes), stride=tuple(steps), numel=numel, nbytes=numel * itemsize, offset=offset)


def _shape_of(record: TensorRecord, numbers: Numbers) -> tuple[int, ...]:
    """The shape of its numbers: of packed pairs the last dimension is longer, others stand for something else."""
    shape = record.as_meant.shape or ()
    if record.logical is not None:
        return shape
    if shape and record.numel and numbers.numel != record.numel:
        return (*shape[:-1], shape[-1] * (numbers.numel // record.numel))
    return shape


@contextmanager
def _naming(record: TensorRecord) -> Iterator[None]:
    """Say of which tensor an error is."""
    try:
        yield
    except ParamInspectError as error:
        error.message = f"{record.name or 'the tensor'}: {error.message}"
        raise


def element_type(dtype: str) -> np.dtype[Any] | None:
    """What numpy calls the numbers of a type, packed and quantised ones included; None where they are unknown to us."""
    if dtype in QUANTISED or dtype in PACKED or dtype == PAIRS or dtype in BLOCK_SIZES:
        return numpy_dtype(dtype) or np.dtype(np.float32)
    if dtype in NARROW_BITS:
        return np.dtype({"u": np.uint8, "i": np.int8}.get(dtype[0], np.float32))
    return np.dtype(np.complex64) if dtype == "complex32" else numpy_dtype(dtype)


def _open_logical(logical: Logical, files: Files) -> Numbers:
    """What reads the numbers of a tensor that several stored ones stand for.

    Raises:
        CheckpointError: They cannot be had, and why.
    """
    decoder = OF_SCHEMES[logical.scheme]
    if logical.problem or not decoder:
        raise CheckpointError(
            logical.problem or f"values of {logical.label} cannot be decoded yet", hint=logical.hint or None
        )
    if not logical.numel:
        return InMemory(np.empty(0, element_type(logical.dtype) or np.float32))
    numbers: Numbers = resolve(decoder)(logical, files)
    return numbers


def _open_blocks(record: TensorRecord, files: Files) -> Numbers:
    if record.dtype not in DECODERS or record.storage is None:
        raise CheckpointError(f"values of {record.dtype} cannot be decoded yet")
    source, order = files.locate(record.storage)
    if order == ">":
        raise CheckpointError(f"values of {record.dtype} in a big-endian file cannot be decoded yet")
    return Blocks(source, record.offset, record.numel, record.dtype)


def _open_elements(record: TensorRecord, files: Files) -> Numbers:
    dtype = record.dtype
    match dtype:
        case "complex32":
            return Complex32(_open_plain(_halves(record), files, "float16"))
        case "float4_e2m1fn_x2":
            return Mapped(_open_plain(record, files, "uint8"), float4_pairs())
        case "quint4x2" | "quint2x4":
            return _open_packed(record, files)
        case "qint8" | "quint8" | "qint32":
            return _dequantise(record, _open_plain(record, files, QUANTISED[dtype]), files)
    if numpy_dtype(dtype) is None:
        message, hint = why_no_numbers(dtype)
        raise CheckpointError(message, hint=hint)
    return _open_plain(record, files, dtype)


def _open_plain(record: TensorRecord, files: Files, dtype: str) -> Numbers:
    """The elements as if they were of that type."""
    assert record.storage is not None
    element = numpy_dtype(dtype)
    assert element is not None
    source, order = files.locate(record.storage)
    shape = record.shape or ()
    if record.stride is None or is_dense(shape, record.stride):
        return Dense(source, record.offset, record.numel, Element(element, order == ">"))
    if min(record.stride) < 0:
        raise CheckpointError("it has a negative stride")
    return Strided(source, record.offset, shape, record.stride, Element(element, order == ">"))


def _halves(record: TensorRecord) -> TensorRecord:
    """A tensor of complex32 as one of float16 with a last dimension of two."""
    stride = None if record.stride is None else (*(2 * step for step in record.stride), 1)
    return record._replace(shape=(*(record.shape or ()), 2), stride=stride, numel=2 * record.numel)


def _open_packed(record: TensorRecord, files: Files) -> Numbers:
    """Integers of 4 or 2 bits, the lowest first; each row begins with a byte of its own."""
    each = PACKED[record.dtype]
    bits = 8 // each
    last = record.shape[-1] if record.shape else 1
    if last % each:
        raise CheckpointError(f"values of {record.dtype} whose rows do not end with a byte cannot be decoded yet")
    codes = np.arange(256, dtype=np.uint8)
    table = np.stack([codes >> np.uint8(bits * at) & np.uint8((1 << bits) - 1) for at in range(each)], axis=1)
    packed = record._replace(numel=record.numel // each, stride=None)
    return _dequantise(record, Mapped(_open_plain(packed, files, "uint8"), table), files)


def _dequantise(record: TensorRecord, integers: Numbers, files: Files) -> Numbers:
    quantizer = record.encoding.quantizer if record.encoding is not None else None
    if quantizer is None:
        raise CheckpointError(f"the file does not say what the integers of its {record.dtype} stand for")
    scales, zero_points = (_parameters(each, files) for each in (quantizer.scale, quantizer.zero_point))
    inner = 1
    if quantizer.axis is None:
        scales = scales.astype(np.float32)
    else:
        shape = record.shape or ()
        _check_axis(quantizer, shape, scales, zero_points)
        inner = int(np.prod(shape[quantizer.axis + 1 :], dtype=np.int64))
    return Quantised(integers, scales, zero_points, inner)


def _parameters(value: float | TensorRecord, files: Files) -> Array:
    """Scales or zero points as float64."""
    if not isinstance(value, TensorRecord):
        return np.array([value], np.float64)
    if value.numel > MAX_AXIS:
        raise LimitExceededError("scales of a quantised tensor", limit=MAX_AXIS, actual=value.numel)
    numbers = open_numbers(value, files)
    return to_float64(numbers.read(0, numbers.numel))


def _check_axis(quantizer: Quantizer, shape: tuple[int, ...], scales: Array, zero_points: Array) -> None:
    axis = quantizer.axis or 0
    if not 0 <= axis < len(shape) or scales.size != shape[axis] or zero_points.size != shape[axis]:
        raise CheckpointError(f"its {scales.size:,} scales do not fit axis {axis} of its shape")


def _open_pieces(record: TensorRecord, files: Files, *, as_bits: bool = False) -> Numbers:
    """Pieces of a chunked tensor, each a tensor of a file, or in a torch zip of its own.

    Args:
        as_bits: Whether elements keep their bits, and their type does not matter.

    Raises:
        CheckpointError: Pieces are missing or overlap, or hold something else than the metadata say.
    """
    bits = _BIT_TYPES.get((record.nbytes or 0) // max(record.numel, 1)) if as_bits else None
    dtype = np.dtype(bits) if bits else element_type(record.dtype) or np.dtype(np.float32)
    flaw = flaw_of(record)
    if flaw is not None:
        raise CheckpointError(flaw.message)
    if record.encoding is None or not (record.encoding.split or record.encoding.pieces):
        raise CheckpointError("where its pieces are is not known")
    if not record.numel:
        return InMemory(np.empty(0, dtype))
    if record.encoding.split is not None:
        return open_split(record, record.encoding.split, dtype, files)
    pieces = [piece for piece in record.encoding.pieces if 0 not in piece.sizes]
    boxes = [(piece.offsets, piece.sizes) for piece in pieces]

    def open_piece(number: int) -> Numbers:
        stored = _find_piece(record, pieces[number], files)
        return open_numbers(stored if bits is None else stored._replace(dtype=bits), files)

    if len(pieces) == 1:
        return open_piece(0)
    shape = record.shape or ()
    if record.dtype == PAIRS and bits is None:  # two numbers for each element
        shape, boxes = _pairs(shape), [(_pairs(begin), _pairs(sizes)) for begin, sizes in boxes]
    return Boxes(shape, boxes, open_piece, dtype)


def _pairs(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return (*sizes[:-1], 2 * sizes[-1])


def _find_piece(record: TensorRecord, piece: Piece, files: Files) -> TensorRecord:
    """The tensor that a piece is in its file."""
    if piece.stored is not None:
        return piece.stored
    from paraminspect.formats.pytorch.archive import read_torch_zip
    from paraminspect.formats.zip_file import read_zip_directory

    blob = files.blob(piece.path).part(piece.begin, piece.nbytes)
    tensors = read_torch_zip(read_zip_directory(blob)).tensors
    if len(tensors) != 1 or tensors[0].shape != piece.sizes or tensors[0].dtype != record.dtype:
        raise CheckpointError(f"the piece at {list(piece.offsets)} is not the tensor that the metadata say")
    if tensors[0].storage is not None and tensors[0].storage.begin is None:
        raise CheckpointError("a piece is compressed")
    return tensors[0]
