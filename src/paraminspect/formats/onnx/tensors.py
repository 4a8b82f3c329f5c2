"""Tensors of ONNX: `TensorProto`, `SparseTensorProto` and the plain values of constants, as records."""

from __future__ import annotations

from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.files.blob import Blob
from paraminspect.formats.onnx.external import ExternalData
from paraminspect.formats.onnx.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    MAX_VARINT,
    VARINT,
    read_fields,
    read_varint,
    to_signed,
)
from paraminspect.formats.shapes import MAX_DIMENSIONS, MAX_NAME_BYTES, contiguous_stride, count_elements
from paraminspect.records import Encoding, Message, Storage, TensorRecord
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple

MAX_ONNX_PROPERTIES: Final = 1000
"""Of metadata_props that are kept, and of the description of external data."""

FLOATS, INT32S, TEXTS, INT64S, DOUBLES, UINT64S = 4, 5, 6, 7, 10, 11
"""Fields of a TensorProto that hold numbers by their type."""

RAW: Final = 9
TEXT_TYPE: Final = 8

ELEMENTS: Final[dict[int, tuple[str, int, int]]] = {
    1: ("float32", 32, FLOATS), 2: ("uint8", 8, INT32S), 3: ("int8", 8, INT32S), 4: ("uint16", 16, INT32S),
    5: ("int16", 16, INT32S), 6: ("int32", 32, INT32S), 7: ("int64", 64, INT64S), 9: ("bool", 8, INT32S),
    10: ("float16", 16, INT32S), 11: ("float64", 64, DOUBLES), 12: ("uint32", 32, UINT64S),
    13: ("uint64", 64, UINT64S), 14: ("complex64", 64, FLOATS), 15: ("complex128", 128, DOUBLES),
    16: ("bfloat16", 16, INT32S), 17: ("float8_e4m3fn", 8, INT32S), 18: ("float8_e4m3fnuz", 8, INT32S),
    19: ("float8_e5m2", 8, INT32S), 20: ("float8_e5m2fnuz", 8, INT32S), 21: ("uint4", 4, INT32S),
    22: ("int4", 4, INT32S), 23: ("float4_e2m1fn", 4, INT32S), 24: ("float8_e8m0fnu", 8, INT32S),
    25: ("uint2", 2, INT32S), 26: ("int2", 2, INT32S), 27: ("float6_e2m3fn", 6, INT32S),
    28: ("float6_e3m2fn", 6, INT32S),
}  # fmt: skip
"""Number of an element type: torch's name (or that of ml_dtypes), bits, and the typed field of its numbers."""

NEVER_TRAINED: Final = frozenset({"int64", "bool"})
"""Types of shapes, axes, indices and masks: "buffer"."""

_COUNTED: Final = frozenset({FLOATS, INT32S, INT64S, DOUBLES, UINT64S})

VALUES: Final[dict[int, tuple[str, int]]] = {2: ("float32", 1), 3: ("int64", 7), 7: ("float32", 1), 8: ("int64", 7)}
"""Fields of an attribute that are numbers: f, i, floats, ints; and what tensors they stand for."""


class Typed(NamedTuple):
    """Numbers in a typed field.

    Attributes:
        begin: Of the first part's bytes.
        nbytes: Of all parts; of numbers that are fields of their own, 0.
        singles: How many of these are single numbers.
    """

    begin: int
    nbytes: int
    parts: int
    singles: int


class Tensor(NamedTuple):
    """What a `TensorProto` says.

    Attributes:
        code: Number of the element type.
        dims: As they stand, negative ones too.
        raw: Offset and length of raw_data; None where there is none.
        typed: By field.
        external: What it says of another file; None if the data are not there.
        place: Offset and length of the message.
        is_attribute: Whether that message is an attribute with plain numbers.
    """

    name: str
    code: int
    dims: tuple[int, ...]
    numel: int
    raw: tuple[int, int] | None
    typed: dict[int, Typed]
    external: dict[str, str] | None
    place: tuple[int, int]
    is_attribute: bool = False

    @property
    def is_text(self) -> bool:
        return self.code == TEXT_TYPE


def parse_tensor(blob: Blob, at: int, size: int) -> Tensor:
    """One `TensorProto`; its data are stepped over.

    Raises:
        MalformedError: Fields that cannot be, or too many dimensions.
    """
    name, code, raw, is_external = "", 0, None, False
    dims: list[int] = []
    typed: dict[int, Typed] = {}
    entries: dict[str, str] = {}
    for number, wire, place, value in read_fields(blob, at, at + size):
        if number == 1:
            _add_dims(blob, dims, wire, place, value)
        elif number == 2 and wire == VARINT:
            code = value
        elif number == 8 and wire == BYTES:
            name = read_text(blob, place, value)
        elif number == RAW and wire == BYTES:
            raw = place, value
        elif number in _COUNTED:
            typed[number] = _count(typed.get(number), wire, place, value)
        elif number == 13 and wire == BYTES:
            key, text = read_pair(blob, place, value)
            if len(entries) < MAX_ONNX_PROPERTIES:
                entries[key] = text
        elif number == 14 and wire == VARINT:
            is_external = value == 1
    shape = tuple(dims)
    if min(shape, default=0) < 0:
        raise MalformedError(f"{quote(name)} has a negative size in its shape")
    numel = count_elements(shape)
    return Tensor(name, code, shape, numel, raw, typed, entries if is_external else None, (at, size))


def parse_value(blob: Blob, at: int, size: int, field: int, name: str) -> Tensor:
    """The number or numbers of an attribute, which lies at an offset, as a tensor.

    Args:
        field: 2 or 3 for one number, 7 or 8 for a list.
    """
    typed: Typed | None = None
    count = 0
    for number, wire, place, value in read_fields(blob, at, at + size):
        if number == field:
            typed = _count(typed, wire, place, value)
            if wire == BYTES:
                count += value // 4 if field == 7 else _count_varints(blob, place, value)
            else:
                count += 1
    dims = (count,) if field in (7, 8) else ()
    numel = count if field in (7, 8) else 1
    found = {} if typed is None else {field: typed}
    return Tensor(name, VALUES[field][1], dims, numel, None, found, None, (at, size), is_attribute=True)


def parse_sparse(blob: Blob, at: int, size: int, prefix: str) -> TensorRecord:
    """A `SparseTensorProto` as a record without a place: its values and indices are two tensors."""
    parts: dict[int, Tensor] = {}
    dims: list[int] = []
    for number, wire, place, value in read_fields(blob, at, at + size):
        if number in (1, 2) and wire == BYTES:
            parts[number] = parse_tensor(blob, place, value)
        elif number == 3:
            _add_dims(blob, dims, wire, place, value)
    if 1 not in parts or min(dims, default=0) < 0:
        raise MalformedError("a sparse tensor without values, or with a negative size in its shape")
    values = parts[1]
    dtype, bits, _ = ELEMENTS.get(values.code, (f"unknown({values.code})", 0, 0))
    nbytes = -(-values.numel * bits // 8) + (8 * parts[2].numel if 2 in parts else 0)
    shape = tuple(dims)
    return TensorRecord(
        prefix + values.name, shape, dtype, count_elements(shape), nbytes if bits else None, layout="sparse_coo"
    )


def make_record(blob: Blob, tensor: Tensor, prefix: str, external: ExternalData) -> TensorRecord:
    """The record of a tensor of numbers.

    Raises:
        MalformedError: Its data are not as long as shape and type need, or it has none.
        ParamInspectError: As `ExternalData.place`.
    """
    name, shape, numel = prefix + tensor.name, tensor.dims, tensor.numel
    known = ELEMENTS.get(tensor.code)
    if known is None:
        if not tensor.code:
            raise MalformedError(f"{quote(name)} has no element type")
        return TensorRecord(name, shape, f"unknown({tensor.code})", numel, None)
    dtype, bits, field = known
    nbytes = -(-numel * bits // 8)
    packed = bits < 8
    storage: Storage | None = None
    offset, encoding = 0, None
    if tensor.external is not None:
        storage, offset = external.place(name, tensor.external, nbytes)
    elif tensor.raw is not None:
        begin, length = tensor.raw
        if length != nbytes:
            raise MalformedError(f"{quote(name)} has {length:,} bytes of raw_data, its shape and type need {nbytes:,}")
        storage = Storage(name, nbytes, blob.path, blob.begin + begin)
    elif numel:
        storage, encoding = _place_typed(blob, tensor, name, field, bits)
    return TensorRecord(
        name,
        shape,
        dtype,
        numel,
        nbytes,
        layout="packed" if packed else "strided",
        storage=storage,
        offset=offset,
        stride=None if packed else contiguous_stride(shape),
        encoding=encoding,
    )


def _place_typed(blob: Blob, tensor: Tensor, name: str, field: int, bits: int) -> tuple[Storage, Encoding | None]:
    """Where the numbers of a typed field are: as they are stored if that is in one piece, else to be decoded."""
    if tensor.is_attribute:
        (field,) = tensor.typed
    typed = tensor.typed.get(field)
    if typed is None:
        raise MalformedError(f"{quote(name)} has no data")
    fixed = field in (FLOATS, DOUBLES) and not tensor.is_attribute
    nbytes = tensor.numel * bits // 8
    count = (
        nbytes // (4 if field == FLOATS else 8) if fixed else -(-tensor.numel * bits // 8) if bits < 6 else tensor.numel
    )
    if fixed and typed.nbytes == nbytes and typed.parts == 1:
        return Storage(name, nbytes, blob.path, blob.begin + typed.begin), None
    least = typed.singles + typed.nbytes // ((4 if field == FLOATS else 8) if fixed else MAX_VARINT)
    most = typed.singles + (typed.nbytes // (4 if field == FLOATS else 8) if fixed else typed.nbytes)
    if not tensor.is_attribute and not least <= count <= most:
        raise MalformedError(f"{quote(name)} has {least:,} numbers or more, its shape needs {count:,}")
    at, size = tensor.place
    varints = field in (3, 8) if tensor.is_attribute else not fixed
    message = Message(blob.path, blob.begin + at, size, field, varints=varints)
    return Storage(name, size, blob.path), Encoding(message=message)


def read_text(blob: Blob, at: int, size: int) -> str:
    """A name.

    Raises:
        LimitExceededError: Longer than MAX_NAME_BYTES.
    """
    if size > MAX_NAME_BYTES:
        raise LimitExceededError("bytes of one name", limit=MAX_NAME_BYTES, actual=size)
    return blob.read_near(at, size).decode("utf-8", "backslashreplace")


def read_pair(blob: Blob, at: int, size: int) -> tuple[str, str]:
    pair = {1: "", 2: ""}
    for number, wire, place, length in read_fields(blob, at, at + size):
        if wire == BYTES and number in pair:
            pair[number] = read_text(blob, place, length)
    return pair[1], pair[2]


def _add_dims(blob: Blob, dims: list[int], wire: int, place: int, value: int) -> None:
    """Sizes come one by one, or packed."""
    if wire == VARINT:
        dims.append(to_signed(value))
    elif wire == BYTES:
        if value > MAX_DIMENSIONS * MAX_VARINT:
            raise LimitExceededError("dimensions of a tensor", limit=MAX_DIMENSIONS, actual=None)
        data, at = blob.read_near(place, value), 0
        try:
            while at < len(data):
                size, at = read_varint(data, at)
                dims.append(to_signed(size))
        except IndexError:
            raise MalformedError("a shape ends inside a number") from None
    else:
        raise MalformedError("a shape holds something that is no integer")
    if len(dims) > MAX_DIMENSIONS:
        raise LimitExceededError("dimensions of a tensor", limit=MAX_DIMENSIONS, actual=len(dims))


def _count(known: Typed | None, wire: int, place: int, value: int) -> Typed:
    begin, nbytes, parts, singles = known or (place, 0, 0, 0)
    if wire == BYTES:
        return Typed(begin, nbytes + value, parts + 1, singles)
    return Typed(begin, nbytes, parts + 1, singles + (wire in (VARINT, FIXED32, FIXED64)))


def _count_varints(blob: Blob, at: int, size: int) -> int:
    """How many numbers end in so many bytes."""
    low = bytes(range(0x80))
    total = 0
    for begin in range(at, at + size, 1 << 20):
        data = blob.read(begin, min(1 << 20, at + size - begin))
        total += len(data) - len(data.translate(None, low))
    return total
