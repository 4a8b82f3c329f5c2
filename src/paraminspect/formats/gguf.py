"""GGUF, versions 2 and 3: the file of llama.cpp and all that is built on ggml.

A file is, without padding between the parts:

    magic           4 bytes "GGUF", in this order whatever the byte order of the rest
    version         uint32; its low half is zero when read in the wrong byte order, which is how that is known
    tensor count    uint64
    key count       uint64
    key-values      key (string), type (uint32), value
    tensor infos    name (string), n (uint32), n dimensions (uint64) innermost first, type (uint32), offset (uint64)
    padding         up to the next multiple of `general.alignment` (uint32, a power of two; 32 where it is absent)
    data            of each tensor, `offset` bytes further

A string is its length (uint64) and UTF-8 bytes. An array is the type of its elements (uint32), their number (uint64)
and the elements, which may be arrays again. A tensor's type fixes how many elements make a block and how many bytes a
block takes; a row (the innermost dimension) is a whole number of blocks.

Nothing a count or length announces is believed before it is held against the bytes that are left, and arrays are
stepped over, never built: a vocabulary of 260,000 strings costs their lengths only.

Source:
    The GGUF specification (ggml, `docs/gguf.md`); type ids and block sizes after `enum ggml_type` and
    `ggml-common.h`, which agree with `GGML_QUANT_SIZES` of the gguf package but for `q8_1`: 36 bytes since its two
    scales became half precision, where the package still says 40.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.shapes import MAX_DIMENSIONS, MAX_NAME_BYTES, MAX_NUMEL, contiguous_stride
from paraminspect.limits import ENTRIES, ONE_RECORD, effort
from paraminspect.records import Checkpoint, Storage, TensorRecord
from paraminspect.text import counted, quote

MAX_NESTING: Final = 400
"""Arrays inside each other, in metadata."""
MAX_GGUF_KEYS: Final = 65_536

MAX_GGUF_TEXT: Final = 64 << 20
"""Bytes of one GGUF metadata value that may be skipped over element by element."""

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

MAX_GGUF_TENSORS = 200_000
"""In one file; real ones hold some hundreds, mixtures of experts some thousands."""

MAX_HEADER_BYTES = 128 << 20
"""Of key-values and tensor infos that are read, not skipped; the largest vocabularies take some 15 MB."""

MAX_WALKED_STRINGS = 4_000_000
"""Strings inside arrays, all key-values together: their lengths must be read one by one to find what follows."""

MAX_INNER_ARRAYS = 250_000
"""Arrays inside arrays, all key-values together."""

MAX_KEPT_TEXT = 1 << 20
"""Bytes of one string value that is kept; of a longer one only its length."""

KEY_ENTRIES = 4
"""That a key-value takes as long as."""

STRINGS_AN_ENTRY = 16
"""Of an array, which are stepped over."""

WINDOW_BYTES = 256 << 10
"""Read at a time."""

GGML_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("float32", 1, 4), 1: ("float16", 1, 2), 28: ("float64", 1, 8), 30: ("bfloat16", 1, 2),
    24: ("int8", 1, 1), 25: ("int16", 1, 2), 26: ("int32", 1, 4), 27: ("int64", 1, 8),
    2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22), 7: ("q5_1", 32, 24),
    8: ("q8_0", 32, 34), 9: ("q8_1", 32, 36),
    10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110), 12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176),
    14: ("q6_k", 256, 210), 15: ("q8_k", 256, 292),
    16: ("iq2_xxs", 256, 66), 17: ("iq2_xs", 256, 74), 22: ("iq2_s", 256, 82), 18: ("iq3_xxs", 256, 98),
    21: ("iq3_s", 256, 110), 19: ("iq1_s", 256, 50), 29: ("iq1_m", 256, 56), 20: ("iq4_nl", 32, 18),
    23: ("iq4_xs", 256, 136),
    31: ("q4_0_4_4", 32, 18), 32: ("q4_0_4_8", 32, 18), 33: ("q4_0_8_8", 32, 18),  # of 2024, no longer written
    34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66),
    36: ("iq4_nl_4_4", 32, 18), 37: ("iq4_nl_4_8", 32, 18), 38: ("iq4_nl_8_8", 32, 18),
    39: ("mxfp4", 32, 17), 40: ("nvfp4", 64, 36), 41: ("q1_0", 128, 18), 42: ("q2_0", 64, 18),
}  # fmt: skip
"""Type id: name, elements of a block, bytes of a block."""

UINT32, BOOL, STRING, ARRAY = 4, 7, 8, 9
SCALARS: dict[int, tuple[str, str]] = {
    0: ("uint8", "B"), 1: ("int8", "b"), 2: ("uint16", "H"), 3: ("int16", "h"), UINT32: ("uint32", "I"),
    5: ("int32", "i"), 6: ("float32", "f"), BOOL: ("bool", "B"), 10: ("uint64", "Q"), 11: ("int64", "q"),
    12: ("float64", "d"),
}  # fmt: skip
"""Value type id of a metadata scalar: name, `struct` code."""

MIN_KEY_BYTES = 8 + 4 + 1
MIN_INFO_BYTES = 8 + 4 + 4 + 8
MIN_ELEMENT_BYTES = {STRING: 8, ARRAY: 12, **{kind: struct.calcsize("<" + code) for kind, (_, code) in SCALARS.items()}}

SPLIT_NUMBER = re.compile("[0-9]{1,5}")


_Info = tuple[str, tuple[int, ...], int, int]  # name, dimensions innermost first, type id, offset


def read_gguf(blob: Blob) -> Checkpoint:
    """Read the tensors and key-values of a GGUF file, none of its data.

    Returns:
        Shapes are row-major. Plain types are "strided"; blocks have `layout` "gguf", no stride, and the block type as
        `dtype`. A type id that is not known gives "unknown(ID)" without a size. Tensors of the same bytes share one
        `Storage`; of a big-endian file it has no `begin`, because the values cannot be taken as they lie there.
        `metadata` has scalars and strings as text, of arrays only "[string x 32000]".

    Raises:
        UnknownFormatError: No GGUF, or a version that is not 2 or 3.
        TruncatedError: The file ends before what it declares, by how much.
        MalformedError: It contradicts its format: duplicate names, a row that is no whole number of blocks.
        LimitExceededError: A count, depth or length is past its bound.
    """
    order, version = _find_byte_order(blob)
    header = _Header(blob, order)
    tensor_count, key_count = header.uint64(), header.uint64()
    metadata, alignment = _read_metadata(header, key_count)
    infos = _read_infos(header, tensor_count)
    data_begin = -(-header.position // alignment) * alignment
    tensors = _place_tensors(blob, infos, data_begin, mappable=header.order == "<")
    return Checkpoint(
        "gguf",
        tensors,
        metadata,
        tuple(_remarks(header.order, infos, alignment, metadata)),
        nbytes=blob.size,
        files=(blob.path,) if blob.path is not None else (),
        stored=_count_stored(tensors, blob.begin + data_begin, blob.begin + blob.size, alignment),
        version=str(version),
    )


def describe_split(metadata: Mapping[str, str]) -> str | None:
    """One line on which part of a split model this file is, None for a whole one."""
    number, count = metadata.get("split.no", ""), metadata.get("split.count", "")
    if not SPLIT_NUMBER.fullmatch(number) or not SPLIT_NUMBER.fullmatch(count) or int(count) < 2:
        return None
    return f"part {int(number) + 1} of {count}: the other tensors are in other files"


class _Header:
    """Reads the header front to back through a window, so that neither the file nor a long value is held whole.

    Args:
        order: "<" or ">".
    """

    def __init__(self, blob: Blob, order: str) -> None:
        self.order = order
        self._blob = blob
        self._begin = len(MAGIC) + 4  # of the window in the file
        self._at = 0  # in the window, possibly past its end
        self._window = b""
        self._fetched = 0
        self._strings = 0
        self._inner_arrays = 0
        self._uint32 = struct.Struct(order + "I")
        self._uint64 = struct.Struct(order + "Q")
        self._array = struct.Struct(order + "IQ")

    @property
    def position(self) -> int:
        """Of the next byte in the file."""
        return self._begin + self._at

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        begin = self._at
        if begin + layout.size > len(self._window):
            self._fetch(layout.size)
            begin = 0
        self._at = begin + layout.size
        return layout.unpack_from(self._window, begin)

    def uint32(self) -> int:
        return self.unpack(self._uint32)[0]

    def uint64(self) -> int:
        return self.unpack(self._uint64)[0]

    def text(self, length: int) -> str:
        begin = self._at
        if begin + length > len(self._window):
            self._fetch(length)
            begin = 0
        self._at = begin + length
        return self._window[begin : self._at].decode("utf-8", "backslashreplace")

    def name(self, what: str) -> str:
        length = self.uint64()
        self.require(length, what)
        if length > MAX_NAME_BYTES:
            raise LimitExceededError(f"bytes of {what}", limit=MAX_NAME_BYTES, actual=length)
        return self.text(length)

    def require(self, nbytes: int, what: str = "the header") -> None:
        end = self.position + nbytes
        if end > self._blob.size:
            raise TruncatedError(
                f"{what} would end at byte {end:,} or later, the file ends at byte {self._blob.size:,}"
            )

    def skip(self, nbytes: int) -> None:
        self.require(nbytes)
        self._at += nbytes

    def skip_array(self) -> str:
        """Step over an array and say what it is: "[float32 x 32000]"."""
        kind, count = self.unpack(self._array)
        summary = f"[{_value_type(kind)} x {count}]"
        open_arrays: list[int] = []  # elements still to come, outermost first
        while True:
            name = _value_type(kind)
            self.require(count * MIN_ELEMENT_BYTES[kind], f"{count:,} elements of type {name}")
            effort().spend(ENTRIES, 1 + (count // STRINGS_AN_ENTRY if kind == STRING else 0))
            if kind in SCALARS:
                self._at += count * MIN_ELEMENT_BYTES[kind]
            elif kind == STRING:
                self._skip_strings(count)
            else:
                self._inner_arrays += count
                if self._inner_arrays > MAX_INNER_ARRAYS:
                    raise LimitExceededError("arrays inside arrays", limit=MAX_INNER_ARRAYS, actual=self._inner_arrays)
                if len(open_arrays) == MAX_NESTING:
                    raise LimitExceededError("levels of arrays", limit=MAX_NESTING, actual=None)
                open_arrays.append(count)
            while open_arrays and not open_arrays[-1]:
                open_arrays.pop()
            if not open_arrays:
                return summary
            open_arrays[-1] -= 1
            kind, count = self.unpack(self._array)

    def _skip_strings(self, count: int) -> None:
        self._strings += count
        if self._strings > MAX_WALKED_STRINGS:
            raise LimitExceededError("strings in arrays", limit=MAX_WALKED_STRINGS, actual=self._strings)
        length_at = self._uint64.unpack_from
        window, at, begin = self._window, self._at, self.position
        strings = iter(range(count))
        while True:
            try:
                for _ in strings:
                    at += 8 + length_at(window, at)[0]
            except (struct.error, OverflowError):  # the window ends: go on with that string in the next one
                self._at = at
                self._fetch(8)
                if self.position - begin > MAX_GGUF_TEXT:
                    raise LimitExceededError(
                        "bytes of one array of strings", limit=MAX_GGUF_TEXT, actual=self.position - begin
                    ) from None
                window = self._window
                at = 8 + length_at(window, 0)[0]
            else:
                self._at = at  # past the end, if the last length lies: what is read next finds out
                return

    def _fetch(self, nbytes: int) -> None:
        """Move the window to the next byte and have at least `nbytes` in it."""
        self.require(nbytes)
        begin = self.position
        window = self._blob.read_ahead(begin, nbytes, WINDOW_BYTES)
        if len(window) < nbytes:
            raise TruncatedError(f"the file ends at byte {begin + len(window):,} while it is read")
        self._fetched += len(window)
        if self._fetched > MAX_HEADER_BYTES:
            raise LimitExceededError("bytes of GGUF header", limit=MAX_HEADER_BYTES, actual=None)
        self._begin, self._at, self._window = begin, 0, window


def _find_byte_order(blob: Blob) -> tuple[str, int]:
    """Byte order, and the version."""
    start = blob.read_up_to(0, 8)
    if start[:4] != MAGIC[: len(start)]:
        raise UnknownFormatError(f"no GGUF file: it starts with {start[:4]!r}, not {MAGIC!r}")
    if len(start) < 8:
        raise TruncatedError(f"a GGUF file of {len(start)} bytes")
    order = "<" if start[4:6] != b"\0\0" else ">"
    version = int.from_bytes(start[4:], "little" if order == "<" else "big")
    if version == 1:
        raise UnknownFormatError(
            "GGUF version 1; versions 2 and 3 are known",
            hint="convert the original model again with a current llama.cpp, or fetch a newer file of it",
        )
    if version not in VERSIONS:
        raise UnknownFormatError(f"GGUF version {version:,}; versions 2 and 3 are known")
    return order, version


def _read_metadata(header: _Header, count: int) -> tuple[dict[str, str], int]:
    """Key-values as text, and the alignment of the data."""
    header.require(count * MIN_KEY_BYTES, f"{count:,} key-values")
    if count > MAX_GGUF_KEYS:
        raise LimitExceededError("key-values", limit=MAX_GGUF_KEYS, actual=count)
    effort().spend(ENTRIES, KEY_ENTRIES * count)
    metadata: dict[str, str] = {}
    alignment = DEFAULT_ALIGNMENT
    for _ in range(count):
        key = header.name("a key")
        kind = header.uint32()
        if key in metadata:
            raise MalformedError(f"two values for the key {quote(key)}")
        metadata[key] = text = _read_value(header, kind)
        if key == "general.alignment":
            if kind != UINT32:
                raise MalformedError(f"general.alignment is of type {_value_type(kind)}, not uint32")
            alignment = int(text)
            if alignment.bit_count() != 1:
                raise MalformedError(f"general.alignment is {alignment:,}, not a power of two")
    return metadata, alignment


def _read_value(header: _Header, kind: int) -> str:
    if kind == STRING:
        length = header.uint64()
        if length > MAX_KEPT_TEXT:
            header.skip(length)
            return f"[string of {length} bytes]"
        return header.text(length)
    if kind == ARRAY:
        return header.skip_array()
    name = _value_type(kind)
    (value,) = header.unpack(struct.Struct(header.order + SCALARS[kind][1]))
    if kind == BOOL:
        return "true" if value else "false"
    return _shortest_float32(value) if name == "float32" else str(value)


def _value_type(kind: int) -> str:
    if kind in SCALARS:
        return SCALARS[kind][0]
    if kind in (STRING, ARRAY):
        return "string" if kind == STRING else "array"
    raise MalformedError(f"a value of type {kind:,}; types 0 to 12 are known")


def _shortest_float32(value: float) -> str:
    """The shortest decimal that is this float32: 1e-05, not 9.999999747378752e-06."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            break
    else:
        text = f"{value:.9g}"
    return repr(float(text))


def _read_infos(header: _Header, count: int) -> list[_Info]:
    header.require(count * MIN_INFO_BYTES, f"{count:,} tensor infos")
    if count > MAX_GGUF_TENSORS:
        raise LimitExceededError("tensors", limit=MAX_GGUF_TENSORS, actual=count)
    effort().spend(ENTRIES, ONE_RECORD * count)
    layouts: dict[int, struct.Struct] = {}
    infos: list[_Info] = []
    names: set[str] = set()
    for _ in range(count):
        name = header.name("a tensor's name")
        if not name:  # what padding looks like, where the count is too high
            raise MalformedError(f"tensor {len(infos) + 1:,} of {count:,} has no name")
        if name in names:
            raise MalformedError(f"two tensors of the name {quote(name)}", fault="duplicate-name")
        names.add(name)
        ndim = header.uint32()
        if ndim > MAX_DIMENSIONS:
            raise LimitExceededError(f"dimensions of tensor {quote(name)}", limit=MAX_DIMENSIONS, actual=ndim)
        layout = layouts.get(ndim)
        if layout is None:
            layout = layouts[ndim] = struct.Struct(f"{header.order}{ndim}QIQ")
        *dimensions, type_id, offset = header.unpack(layout)
        infos.append((name, tuple(dimensions), type_id, offset))
    return infos


def _place_tensors(blob: Blob, infos: list[_Info], data_begin: int, *, mappable: bool) -> list[TensorRecord]:
    storages: dict[tuple[int, int], Storage] = {}
    tensors = []
    last_end, last_name = 0, ""
    for name, dimensions, type_id, offset in infos:
        dtype, block, block_bytes = GGML_TYPES.get(type_id, (f"unknown({type_id})", 1, 0))
        row = dimensions[0] if dimensions else 1
        if row % block:
            raise MalformedError(
                f"a row of tensor {quote(name)} has {row:,} elements, no multiple of the {block} of a {dtype} block"
            )
        numel = _count_elements(name, dimensions)
        nbytes = numel // block * block_bytes
        if offset + nbytes > last_end:
            last_end, last_name = offset + nbytes, name
        if not block_bytes:
            tensors.append(TensorRecord(name, dimensions[::-1], dtype, numel, None, layout="gguf"))
            continue
        storage = storages.get((offset, nbytes)) if nbytes else None
        if storage is None:
            begin = blob.begin + data_begin + offset
            places = (begin, None) if mappable else (None, begin)
            storage = storages[offset, nbytes] = Storage(name, nbytes, blob.path, *places)
        tensors.append(
            TensorRecord(
                name,
                dimensions[::-1],
                dtype,
                numel,
                nbytes,
                layout="strided" if block == 1 else "gguf",
                storage=storage,
                stride=contiguous_stride(dimensions[::-1]) if block == 1 else None,
            )
        )
    missing = data_begin + last_end - blob.size
    if last_end and missing > 0:
        raise TruncatedError(
            f"tensor {quote(last_name)} ends at byte {data_begin + last_end:,}, the file at byte {blob.size:,}: "
            f"{missing:,} bytes are missing"
        )
    return tensors


def _count_stored(tensors: Sequence[TensorRecord], begin: int, end: int, alignment: int) -> int | None:
    """Bytes from `begin` to `end` that are no padding behind a tensor; None where a size is not known."""
    spans = []
    for record in tensors:
        if record.storage is None:
            return None
        at = record.storage.begin if record.storage.begin is not None else record.storage.swapped_begin
        if at is not None and record.nbytes:
            spans.append((at, at + record.nbytes))
    position, padding = begin, 0
    for first, last in [*sorted(spans), (end, end)]:
        aligned = begin + -(-(position - begin) // alignment) * alignment
        padding += max(0, min(first, aligned) - position)
        position = max(position, last)
    return end - begin - padding if end > begin else 0


def _count_elements(name: str, dimensions: tuple[int, ...]) -> int:
    """Their product; zeros do not count for the bound, so that no single dimension is past it either."""
    bound = 1
    for size in dimensions:
        bound *= size or 1
        if bound > MAX_NUMEL:
            raise LimitExceededError(f"elements of tensor {quote(name)}", limit=MAX_NUMEL, actual=None)
    return bound if 0 not in dimensions else 0


def _remarks(order: str, infos: list[_Info], alignment: int, metadata: Mapping[str, str]) -> list[str]:
    remarks = []
    if (split := describe_split(metadata)) is not None:
        remarks.append(split)
    if order == ">":
        remarks.append("a big-endian file")
    if unknown := [type_id for _, _, type_id, _ in infos if type_id not in GGML_TYPES]:
        ids = ", ".join(str(type_id) for type_id in sorted(set(unknown))[:5])
        remarks.append(f"type ids that are not known ({ids}): no sizes for {counted(len(unknown), 'tensor')}")
    if askew := [name for name, _, _, offset in infos if offset % alignment]:
        remarks.append(
            f"no multiple of {alignment} bytes as offset of {counted(len(askew), 'tensor')}: {quote(askew[0])}"
        )
    return remarks
