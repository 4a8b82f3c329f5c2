"""safetensors: a JSON header, then the bytes.

    8 bytes     little-endian length N of the header
    N bytes     JSON, padded with spaces: {"NAME": {"dtype": .., "shape": [..], "data_offsets": [begin, end]}, ..},
                and optionally "__metadata__": {text: text}, where {alias: NAME} declares another name of a tensor
    the rest    the tensors' bytes, row-major and little-endian; offsets count from here and cover it without holes
                or overlaps

The reference implementation's checks are made here too: length of the header, no hole, no overlap, sizes that agree
with shape and dtype, nothing after the last tensor. Where it keeps the last of two equal names, we refuse.

Source: README and `tensor.rs` of huggingface/safetensors 0.8.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NoReturn, cast

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import NEAR, Blob
from paraminspect.formats.brief import Brief
from paraminspect.formats.declared import declared_by_metadata, with_declared
from paraminspect.formats.json_text import parse_object, unique
from paraminspect.formats.pytorch.classify import kind_of, role_of_name
from paraminspect.formats.shapes import check_sizes, contiguous_stride, count_elements
from paraminspect.limits import ENTRIES, effort
from paraminspect.records import Checkpoint, Role, Storage, TensorRecord
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple

MAX_SAFETENSORS_HEADER: Final = 100_000_000
"""Bytes of JSON, the reference implementation's own limit."""

MAX_HEADER_TENSORS: Final = 1_000_000
"""In one safetensors header."""

DTYPES: Final[dict[str, tuple[str, int]]] = {
    "BOOL": ("bool", 8), "U8": ("uint8", 8), "I8": ("int8", 8), "I16": ("int16", 16), "U16": ("uint16", 16),
    "I32": ("int32", 32), "U32": ("uint32", 32), "I64": ("int64", 64), "U64": ("uint64", 64),
    "F16": ("float16", 16), "BF16": ("bfloat16", 16), "F32": ("float32", 32), "F64": ("float64", 64),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8), "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "C64": ("complex64", 64), "F4": ("float4_e2m1fn_x2", 4),
    "F6_E2M3": ("float6_e2m3", 6), "F6_E3M2": ("float6_e3m2", 6),
}  # fmt: skip
"""The format's dtype names: torch's name, and bits of one element as the shape counts them."""

MAX_WIDE_HEADER: Final = 24 << 20
"""Bytes of a header that is not all ASCII: one character beyond it makes Python keep four bytes for each."""

OFFSETS_KEY: Final = "DCP_SHARDING_INFO"
"""Of the metadata of a file that one rank wrote (`formats.rank_shards`)."""

PART_SAID: Final = "what one rank has of each tensor: name the folder for all of them"

_FIELDS: Final = ("dtype", "shape", "data_offsets")

_GIVEN: Final[Any] = itemgetter(0)
"""The dtype of an entry."""

_make: Final = tuple.__new__


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether the length is plausible of a file that has the begin of JSON behind it.

    Args:
        head: The first eight bytes or more.
    """
    return 2 <= int.from_bytes(head[:8], "little") <= min(size, MAX_SAFETENSORS_HEADER)


def refuse_length(head: bytes, size: int | None) -> None:
    """Say what is wrong with what `is_safetensors` did not take, where JSON that lists tensors begins behind the length.

    Args:
        head: The first ten bytes or more.
        size: Of the file; None of a stream, which may have any.

    Raises:
        TruncatedError: The header would be longer than the file.
        LimitExceededError: It is longer than any that safetensors reads.
    """
    if re.match(rb"\{\s*(\"|$)", head[8:]):
        _check_length(int.from_bytes(head[:8], "little"), size)


def _check_length(length: int, size: int | None) -> None:
    if size is not None and length > size - 8:
        raise TruncatedError(
            f"the safetensors header claims {length:,} bytes, the file has {size - 8:,} after the length",
            hint="it was not copied to its end, or is no safetensors file",
        )
    if length > MAX_SAFETENSORS_HEADER:
        raise LimitExceededError(
            "bytes of safetensors header",
            limit=MAX_SAFETENSORS_HEADER,
            actual=length,
            hint="no library reads a longer one: write shards, or is it no safetensors file?",
        )


def read_safetensors(blob: Blob) -> Checkpoint:
    """Tensors of a safetensors file, in the order of their bytes, and behind them the names that it only declares.

    Raises:
        TruncatedError: The header or the data are not all there.
        MalformedError: The header is no JSON of this form, or the ranges have holes or overlaps.
        LimitExceededError: A header of over 100 MB, too many tensors, dimensions or declared ties.
    """
    header = _read_header(blob)
    metadata = _metadata(header.entries.pop("__metadata__", None))
    reader = _Entries(blob, header)
    records = []
    for name, entry in header.entries.items():
        records.append(reader.record(name, entry))
        header.entries[name] = None  # its memory is wanted for the next record
    tensors: Sequence[TensorRecord] = [records[index] for index in reader.check_ranges()]
    declared = declared_by_metadata(metadata, header.entries) if metadata else ()
    if declared:
        tensors = with_declared(tensors, declared)
    notes = (PART_SAID,) if OFFSETS_KEY in metadata else ()
    return Checkpoint("safetensors", tensors, metadata, notes, declared=declared)


def read_brief(blob: Blob) -> Brief | None:
    """Its names; None where some are only declared, or an entry is none that every writer writes.

    Raises:
        ParamInspectError: As `read_safetensors`, for a header that is no JSON or not all there.
    """
    header = _read_header(blob)
    entries = header.entries
    metadata = _metadata(entries.pop("__metadata__", None))
    if set(map(type, entries.values())) - {tuple} or (metadata and declared_by_metadata(metadata, entries)):
        return None
    try:
        dtypes = [DTYPES[given][0] for given in set(map(_GIVEN, entries.values()))]
    except (KeyError, TypeError):
        return None
    reader = _Entries(blob, header)
    return Brief(entries.keys(), dtypes, lambda name: reader.record(name, entries[name]))


class _Header(NamedTuple):
    """The header, parsed.

    Attributes:
        entries: Names and what stands under them, not looked into yet.
        data_begin: Offset of the data in the file.
        has_booleans: Whether there may be a `true` or `false`, which Python takes for 1 and 0.
    """

    entries: dict[str, object]
    data_begin: int
    has_booleans: bool


class _Fraction(str):
    """A number that is no integer, as it stands there: it is wanted nowhere, and refused as it would be as text."""

    __slots__ = ()


def _read_header(blob: Blob) -> _Header:
    if blob.size < 8:
        raise TruncatedError(f"{blob.size} bytes are too few for a safetensors file")
    length = int.from_bytes(blob.read_near(0, 8), "little")
    _check_length(length, blob.size)
    data = blob.read_near(8, length) if length < NEAR else b""
    if len(data) != length:
        data = blob.read(8, length)
    # an entry is one object and two lists; anything denser would take more memory than a model's header needs
    containers = data.count(b"[") + data.count(b"{")
    commas = data.count(b",")
    if containers > 3 * MAX_HEADER_TENSORS + 2 or commas > 12 * MAX_HEADER_TENSORS:
        raise LimitExceededError("tensors in one header", limit=MAX_HEADER_TENSORS, actual=None)
    effort().spend(ENTRIES, containers + commas)  # seven and more for a tensor
    if length > MAX_WIDE_HEADER and not data.isascii():
        raise LimitExceededError("bytes of header beyond ASCII", limit=MAX_WIDE_HEADER, actual=length)
    has_booleans = b"true" in data or b"false" in data
    return _Header(_parse_header(data), 8 + length, has_booleans)


def _parse_header(data: bytes) -> dict[str, object]:
    what = "the safetensors header"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8: {error.reason} at byte {error.start + 8:,}") from None
    # a fraction is kept as text, lest 2.0 passes for 2
    header = parse_object(text, what, parse_constant=_no_constant, parse_float=_Fraction, object_pairs_hook=_as_entry)
    if b"\\" in data and (b"\\ud" in data or b"\\uD" in data):
        try:
            json.dumps(header, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise MalformedError(f"{what} holds half a surrogate pair") from None  # which is no text
    return header


_Entry = tuple[object, tuple[object, ...], object, object]
"""Dtype, shape, and where the bytes begin and end, as the header has them."""


def _as_entry(pairs: list[tuple[str, object]]) -> _Entry | dict[str, object]:
    """What stands under a name, with its fields in the order of every writer; any other object as it is.

    Dictionaries of them all, kept until the last is read, would take more memory than the records.
    """
    if len(pairs) == 3:
        (first, dtype), (second, dims), (third, offsets) = pairs
        if (
            first == "dtype"
            and second == "shape"
            and third == "data_offsets"
            and type(dims) is list
            and type(offsets) is list
            and len(offsets) == 2
        ):
            return dtype, tuple(dims), offsets[0], offsets[1]
    return unique(pairs)


def _no_constant(text: str) -> NoReturn:
    raise MalformedError(f"the safetensors header holds {text}, which is no JSON")


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(type(item) is str for item in value.values()):
        raise MalformedError("__metadata__ of the safetensors header is no mapping of text to text")
    return cast("dict[str, str]", value)


class _Form(NamedTuple):
    """What tensors have in common that have one dtype and shape in the header.

    Attributes:
        dtype: torch's name.
        shape: As torch has it.
        stride: In elements; None where they do not begin at whole bytes.
        numel: Number of elements.
        nbytes: Of their bytes; -1 where that is no whole number.
    """

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None
    numel: int
    nbytes: int


@lru_cache(maxsize=1 << 10)
def _measure(given: str, dims: tuple[int, ...]) -> _Form:
    """What is known of a dtype and a shape as the header has them; the same ones come in every layer and shard."""
    dtype, bits = DTYPES[given]
    shape = check_sizes(dims)
    numel = count_elements(shape)
    nbytes, rest = divmod(numel * bits, 8)
    if rest:
        return _Form(dtype, shape, None, numel, -1)
    if bits == 4:  # torch has two in one, along the last dimension
        if not shape or shape[-1] % 2:
            raise MalformedError(f"4-bit elements in the odd shape {reprlib.repr(list(shape))}")
        shape, numel = (*shape[:-1], shape[-1] // 2), numel // 2
    elif bits % 8:
        return _Form(dtype, shape, None, numel, nbytes)
    return _Form(dtype, shape, contiguous_stride(shape), numel, nbytes)


class _Entries:
    """Turns header entries into records, and remembers their ranges."""

    def __init__(self, blob: Blob, header: _Header) -> None:
        self._size = blob.size
        self._path = blob.path
        self._begin = header.data_begin
        self._data_begin = blob.begin + header.data_begin
        self._measure = _measure.__wrapped__ if header.has_booleans else _measure
        self._ranges: list[tuple[int, int]] = []
        self._roles: dict[str, Role] = {}

    def record(self, name: str, entry: object) -> TensorRecord:
        given, dims, begin, end = entry if type(entry) is tuple else self._reordered(name, entry)
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
            raise self._explain(name, given, dims, [begin, end])
        try:
            form = self._measure(given, dims)
        except (KeyError, TypeError):
            raise self._explain(name, given, dims, [begin, end]) from None
        except (MalformedError, LimitExceededError) as error:
            error.message += f" (tensor {quote(name)})"
            raise
        dtype, shape, stride, numel, nbytes = form
        if end - begin != nbytes:
            raise MalformedError(
                f"tensor {quote(name)} of dtype {given} and shape {reprlib.repr(list(dims))} takes "
                f"{count_elements(dims) * DTYPES[given][1] / 8:,.1f} bytes, "
                f"its data_offsets span {reprlib.repr(end - begin)}"
            )
        self._ranges.append((begin, end))
        # what Storage(..) and TensorRecord(..) do, in half the time
        storage = _make(Storage, (name, nbytes, self._path, self._data_begin + begin, None, None))
        head = name[: name.find(".") + 1]  # with its dot, for alone it tells nothing
        role = self._roles.get(head) or self._roles.setdefault(head, role_of_name(name))
        kind = kind_of(name, shape, dtype)
        return _make(
            TensorRecord,
            (name, shape, dtype, numel, nbytes, kind, None, role, "", None, "strided", storage, 0, stride, None, False, None, (), ()),
        )  # fmt: skip

    def _reordered(self, name: str, entry: object) -> _Entry:
        """An entry whose fields are in another order, or that has more."""
        if not isinstance(entry, dict):
            raise MalformedError(f"the header's entry {quote(name)} is no object")
        for field in _FIELDS:
            if field not in entry:
                raise MalformedError(f"tensor {quote(name)} has no {field}")
        dtype, shape, offsets = (entry[field] for field in _FIELDS)
        if type(shape) is list and type(offsets) is list and len(offsets) == 2:
            return dtype, tuple(shape), offsets[0], offsets[1]
        raise self._explain(name, dtype, shape, offsets)

    @staticmethod
    def _explain(name: str, dtype: object, shape: object, offsets: object) -> MalformedError:
        if not isinstance(dtype, str) or dtype not in DTYPES:
            found = f"the unknown dtype {reprlib.repr(dtype)}"
        elif not isinstance(shape, list | tuple) or not all(type(size) is int for size in shape):
            found = f"the shape {reprlib.repr(list(shape) if isinstance(shape, tuple) else shape)}, expected a list of sizes"
        else:
            found = f"the data_offsets {reprlib.repr(offsets)}, expected [begin, end]"
        return MalformedError(f"tensor {quote(name)} has {found}")

    def check_ranges(self) -> list[int]:
        """The ranges cover the data without holes or overlaps, to the end of the file; their order by offset."""
        ranges = self._ranges
        order = sorted(range(len(ranges)), key=ranges.__getitem__)
        position = 0
        for index in order:
            begin, end = ranges[index]
            if begin != position:
                word, fault = ("overlap", "overlap") if begin < position else ("leave a hole", "hole")
                raise MalformedError(
                    f"the data ranges {word} at byte {self._begin + min(begin, position):,}", fault=fault
                )
            position = end
        have = self._size - self._begin
        if position > have:
            raise TruncatedError(f"the header declares {position:,} bytes of data, the file has {have:,}")
        if position < have:
            raise MalformedError(f"{have - position:,} bytes after the last tensor belong to none", fault="extra-bytes")
        return order
