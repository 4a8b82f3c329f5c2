"""safetensors: a JSON header, then the bytes.

    8 bytes     little-endian length N of the header
    N bytes     JSON, padded with spaces: {"NAME": {"dtype": .., "shape": [..], "data_offsets": [begin, end]}, ..},
                and optionally "__metadata__": {text: text}
    the rest    the tensors' bytes, row-major and little-endian; offsets count from here and cover it without holes
                or overlaps

The reference implementation's checks are made here too: length of the header, no hole, no overlap, sizes that agree
with shape and dtype, nothing after the last tensor. Where it keeps the last of two equal names, we refuse.

Source: README and `tensor.rs` of huggingface/safetensors 0.8.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn, cast

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError, TruncatedError
from paraminspect.formats.blob import Blob
from paraminspect.formats.classify import kind_of, role_of_name
from paraminspect.formats.limits import MAX_HEADER_TENSORS, MAX_SAFETENSORS_HEADER
from paraminspect.formats.shapes import check_sizes, contiguous_stride, count_elements
from paraminspect.records import Checkpoint, Role, Storage, TensorRecord

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


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file begins like one: a plausible length, then a brace.

    Args:
        head: The first nine bytes or more.
        size: Of the file.
    """
    length = int.from_bytes(head[:8], "little")
    return (
        len(head) > 8 and head[8:9] in (b"{", b" ", b"\n", b"\t") and 2 <= length <= min(size, MAX_SAFETENSORS_HEADER)
    )


def read_safetensors(blob: Blob) -> Checkpoint:
    """Tensors of a safetensors file, in the order of their bytes.

    Raises:
        TruncatedError: The header or the data are not all there.
        MalformedError: The header is no JSON of this form, or the ranges have holes or overlaps.
        LimitExceededError: A header of over 100 MB, too many dimensions.
    """
    header, data_begin = _read_header(blob)
    metadata = _metadata(header.pop("__metadata__", None))
    reader = _Entries(blob, data_begin)
    records = [reader.record(name, entry) for name, entry in header.items()]
    order = reader.check_ranges()
    return Checkpoint("safetensors", [records[index] for index in order], metadata)


def _read_header(blob: Blob) -> tuple[dict[str, object], int]:
    if blob.size < 8:
        raise TruncatedError(f"{blob.size} bytes are too few for a safetensors file")
    length = int.from_bytes(blob.read(0, 8), "little")
    if length > MAX_SAFETENSORS_HEADER:
        raise LimitExceededError("bytes of safetensors header", limit=MAX_SAFETENSORS_HEADER, actual=length)
    if length > blob.size - 8:
        raise TruncatedError(
            f"the safetensors header claims {length:,} bytes, the file has {blob.size - 8:,} after the length",
            hint="it was not copied to its end, or is no safetensors file",
        )
    text = blob.read(8, length)
    # an entry is one object and two lists; anything denser would take more memory than a model's header needs
    containers = text.count(b"[") + text.count(b"{")
    if containers > 3 * MAX_HEADER_TENSORS or text.count(b",") > 12 * MAX_HEADER_TENSORS:
        raise LimitExceededError("tensors in one header", limit=MAX_HEADER_TENSORS, actual=None)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise MalformedError(
            f"the safetensors header is not UTF-8: {error.reason} at byte {error.start + 8:,}"
        ) from None
    except RecursionError:
        raise MalformedError("the safetensors header is nested too deeply") from None
    except ValueError as error:
        raise MalformedError(f"the safetensors header is no JSON: {error}"[:200]) from None
    if not isinstance(header, dict):
        raise MalformedError(f"the safetensors header is a JSON {type(header).__name__}, expected an object")
    return header, 8 + length


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1) if len(names) < 10_000 else "a name"
        raise MalformedError(f"the safetensors header has {twice!r} twice"[:200])
    return made


def _no_constant(text: str) -> NoReturn:
    raise MalformedError(f"the safetensors header holds {text}, which is no JSON")


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise MalformedError("__metadata__ of the safetensors header is no mapping of text to text")
    return cast("dict[str, str]", value)


class _Entries:
    """Turns header entries into records, and remembers their ranges."""

    def __init__(self, blob: Blob, data_begin: int) -> None:
        self._size = blob.size
        self._path = blob.path
        self._begin = data_begin
        self._data_begin = blob.begin + data_begin
        self._ranges: list[tuple[int, int]] = []
        self._shapes: dict[tuple[int, ...], tuple[tuple[int, ...], int]] = {}
        self._roles: dict[str, Role] = {}

    def record(self, name: str, entry: object) -> TensorRecord:
        try:
            dtype_name, dims, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]  # type: ignore[index]
            dtype, bits = DTYPES[dtype_name]
            shape = tuple(dims)
            stride, numel = self._shapes.get(shape) or self._measure(shape)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError):
            raise self._explain(name, entry) from None
        nbytes, rest = divmod(numel * bits, 8)
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
            raise MalformedError(f"tensor {name!r} has data_offsets [{begin}, {end}]"[:200])
        if rest or end - begin != nbytes:
            raise MalformedError(
                f"tensor {name[:80]!r} of dtype {dtype_name} and shape {list(shape)} takes {numel * bits / 8:,.1f} bytes, "
                f"its data_offsets span {end - begin:,}"
            )
        self._ranges.append((begin, end))
        if bits == 4:
            shape, stride, numel = self._pairs(name, shape)
        storage = Storage(name, nbytes, self._path, self._data_begin + begin)
        head = name.partition(".")[0]
        role = self._roles.get(head) or self._roles.setdefault(head, role_of_name(name))
        return TensorRecord(
            name, shape, dtype, numel, nbytes, kind_of(name, shape, dtype), None, role, storage=storage, stride=stride
        )  # fmt: skip

    def _measure(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """Stride and number of elements of a shape, which many tensors have in common."""
        check_sizes(shape)
        numel = count_elements(shape)
        measured = self._shapes[shape] = (contiguous_stride(shape), numel)
        return measured

    def _pairs(self, name: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """4-bit elements as torch has them: two in one, along the last dimension."""
        if not shape or shape[-1] % 2:
            raise MalformedError(f"tensor {name[:80]!r} of 4-bit elements has the odd shape {list(shape)}")
        packed = (*shape[:-1], shape[-1] // 2)
        return packed, *self._measure(packed)

    @staticmethod
    def _explain(name: str, entry: object) -> MalformedError:
        if not isinstance(entry, dict):
            return MalformedError(f"the header's entry {name[:80]!r} is no object")
        for field in ("dtype", "shape", "data_offsets"):
            if field not in entry:
                return MalformedError(f"tensor {name[:80]!r} has no {field}")
        if entry["dtype"] not in DTYPES if isinstance(entry["dtype"], str) else True:
            return MalformedError(f"tensor {name[:80]!r} has the unknown dtype {entry['dtype']!r}"[:200])
        return MalformedError(f"tensor {name[:80]!r} has a shape or data_offsets that are no lists of integers")

    def check_ranges(self) -> list[int]:
        """The ranges cover the data without holes or overlaps, to the end of the file; their order by offset."""
        ranges = self._ranges
        order = sorted(range(len(ranges)), key=ranges.__getitem__)
        position = 0
        for index in order:
            begin, end = ranges[index]
            if begin != position:
                word = "overlap" if begin < position else "leave a hole"
                raise MalformedError(f"the data ranges {word} at byte {self._begin + min(begin, position):,}")
            position = end
        have = self._size - self._begin
        if position > have:
            raise TruncatedError(
                f"the header declares {position:,} bytes of data, the file has {have:,}",
                hint="it was not written or copied to its end: fetch or save it again",
            )
        if position < have:
            raise MalformedError(f"{have - position:,} bytes after the last tensor belong to none")
        return order
