r"""Numpy arrays: `.npy`, one array, and `.npz`, a zip of them.

An `.npy` file is `\x93NUMPY`, a major and a minor version (a byte each), the length of the header (16 bits in
version 1, 32 bits in 2 and 3, little-endian), the header, and the elements. The header is a Python literal
(latin-1, in version 3 UTF-8), padded with blanks so that the data begin at a multiple of 64 (16 in old files):

    {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }

`descr` is an element type: byte order (`<`, `>`, `|` for none), kind, size in bytes (of `U` in characters of 4
bytes), of dates a unit (`<M8[ns]`); a structured type is a list of fields, `(name, descr)` or `(name, descr, shape)`.
Where any of it is `O`, what follows is a pickle and not an array: we refuse.

An `.npz` file is a zip with a member `NAME.npy` for each array, stored or deflated. Members that are pickles are left out
where there are others.

The literal is parsed here rather than by `ast.literal_eval`, which takes far more than a header may hold, warns on
odd escapes and recurses as deep as the text asks.

Source:
    numpy.lib.format (NEP 1); its Python 2 headers, with `2L` for 2, are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.dtypes import NUMPY_TYPES
from paraminspect.formats.shapes import MAX_DIMENSIONS, MAX_NUMEL, MAX_TENSORS
from paraminspect.formats.zip_file import STORED, ZipDirectory, ZipEntry
from paraminspect.records import Checkpoint, Storage, TensorRecord
from paraminspect.text import counted, list_some, quote
from paraminspect.tuples import NamedTuple

NPY_MAGIC = b"\x93NUMPY"

MAX_NPY_HEADER = 64 << 10
"""Bytes of one header; numpy itself refuses to read more than 10,000 unless told."""

MAX_NPY_NESTING = 32
"""Depth of a header: two levels for a plain array, two more for each level of a structured type."""

MAX_DIGITS = 20
"""Of one number in a header; 2^63 has 19."""

MAX_TYPE_TEXT = 100
"""Characters of a structured type that a record repeats, and of a value that an error message does."""

MAX_NAMED = 3
"""Arrays that a remark names."""

_HEAD = 256  # holds the header of any array that is not structured

_SIZES = {
    "b": ("1",), "i": ("1", "2", "4", "8"), "u": ("1", "2", "4", "8"), "f": ("2", "4", "8", "12", "16"),
    "c": ("8", "16", "24", "32"), "m": ("8",), "M": ("8",),
}  # fmt: skip
_DESCR = re.compile(r"([<>=|]?)([biufcmMOSUV])([0-9]{0,20})(\[[A-Za-z0-9]{1,40}\])?")

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[][(){},:])|u?(?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
    r"""|(?P<number>-?[0-9]+)L?\b|(?P<truth>True|False)\b|(?P<end>\Z))"""
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4})|([nrt\\'\"]))")
_PLAIN_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class _ObjectsError(MalformedError):
    """The elements are Python objects, in a pickle."""

    fault = "unreadable"


class _Header(NamedTuple):
    """What the header of one array says.

    Attributes:
        dtype: torch's name, or numpy's own text.
        swapped: Whether `dtype` is torch's name for elements whose bytes are in reverse order.
        fortran: Whether the first dimension is the innermost.
        begin: Of the elements, from the magic on.
    """

    shape: tuple[int, ...]
    dtype: str
    swapped: bool
    fortran: bool
    numel: int
    nbytes: int
    begin: int


def read_npy(blob: Blob) -> Checkpoint:
    """The one array of an `.npy` file, named "".

    Big-endian float32 is "float32" too, but has a storage without `begin`: its bytes do not lie in the file as the
    dtype says.

    Raises:
        TruncatedError: The file ends inside the header or the elements.
        MalformedError: No npy header, or the array holds Python objects.
        LimitExceededError: A header, size, number of dimensions or nesting past its bound.
    """
    head = blob.read_up_to(0, _HEAD)
    end = _find_header_end(head, blob.size)
    header = _parse_header(head if end <= len(head) else blob.read(0, end), end)
    excess = _check_size(header, blob.size)
    begin = blob.begin + header.begin
    storage = Storage("", header.nbytes, blob.path, *((None, begin) if header.swapped else (begin, None)))
    notes = (f"{excess:,} bytes after the array are not part of it",) if excess else ()
    files = () if blob.path is None else (blob.path,)
    record = _make_record("", header, storage)
    return Checkpoint("npy", (record,), notes=notes, nbytes=blob.size, files=files, stored=header.nbytes + excess)


def is_npz(directory: ZipDirectory) -> bool:
    """Whether a zip that no other program's reader knows holds arrays."""
    return any(name.endswith(".npy") for name in directory.entries)


def read_npz(directory: ZipDirectory) -> Checkpoint:
    """The arrays of an `.npz` file, in the order of its directory, without the `.npy` of their members' names.

    A storage has a `begin` if its member is stored and little-endian. Of a deflated member only as much is
    inflated as its header needs: whether it holds as many bytes as declared shows when its values are read.

    Raises:
        TruncatedError, MalformedError, LimitExceededError: As `read_npy`, with the name of the member, and as
            `ZipDirectory.read_prefix`. One such member spoils the file, but not one of Python objects beside others.
    """
    tensors: list[TensorRecord] = []
    objects: list[_ObjectsError] = []
    left: list[str] = []
    skipped = longer = 0
    stored = sum(entry.size for entry in directory.shadowed)
    for name, entry in directory.entries.items():
        if not name.endswith(".npy"):
            skipped += 1
            continue
        if len(tensors) == MAX_TENSORS:
            raise LimitExceededError("arrays in one archive", limit=MAX_TENSORS, actual=None)
        try:
            record, excess = _read_member(directory, entry)
        except _ObjectsError as error:
            objects.append(error)
            left.append(quote(name.removesuffix(".npy")))
            continue
        tensors.append(record)
        longer += bool(excess)
        stored += (record.nbytes or 0) + excess
    if objects and not tensors:
        raise objects[0]
    remarks = (
        ("members left out because they are not arrays", skipped),
        ("members with bytes after their array", longer),
        ("names that stand more than once, of which the last member is listed", len(directory.duplicates)),
    )
    blob = directory.blob
    return Checkpoint(
        "npz",
        tensors,
        notes=(*_describe_objects(left), *(f"{remark}: {count:,}" for remark, count in remarks if count)),
        nbytes=blob.size,
        files=() if blob.path is None else (blob.path,),
        stored=stored,
    )


def _describe_objects(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    what = f"{counted(len(names), 'array')} of Python objects {'are' if len(names) > 1 else 'is'} left out"
    return [f"{what}, each a pickle that was not run: {list_some(names, MAX_NAMED)}"]


def _read_member(directory: ZipDirectory, entry: ZipEntry) -> tuple[TensorRecord, int]:
    """The array of one member, and how many bytes the member declares beyond it."""
    head = directory.read_prefix(entry, _HEAD)
    try:
        end = _find_header_end(head, entry.size)
        if end > len(head):
            head = directory.read_prefix(entry, end)
        header = _parse_header(head, end)
        excess = _check_size(header, entry.size)
    except ParamInspectError as error:
        error.message = f"member {quote(entry.name)}: {error.message}"
        raise
    begin = swapped_begin = None
    if entry.method == STORED:
        begin = directory.blob.begin + directory.data_offset(entry) + header.begin
        if header.swapped:
            begin, swapped_begin = None, begin
    storage = Storage(entry.name, header.nbytes, directory.blob.path, begin, swapped_begin)
    return _make_record(entry.name.removesuffix(".npy"), header, storage), excess


def find_elements(directory: ZipDirectory, entry: ZipEntry) -> tuple[int, bool]:
    """Where in the inflated bytes of a member its elements begin, and whether they are big-endian."""
    head = directory.read_prefix(entry, _HEAD)
    end = _find_header_end(head, entry.size)
    header = _parse_header(head if end <= len(head) else directory.read_prefix(entry, end), end)
    return header.begin, header.swapped


def _make_record(name: str, header: _Header, storage: Storage) -> TensorRecord:
    shape = header.shape
    steps, step = [], 1
    for size in shape if header.fortran else reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    stride = tuple(steps if header.fortran else reversed(steps))
    return TensorRecord(name, shape, header.dtype, header.numel, header.nbytes, storage=storage, stride=stride)


def _check_size(header: _Header, available: int) -> int:
    """How many of `available` bytes follow the array."""
    excess = available - header.begin - header.nbytes
    if excess < 0:
        raise TruncatedError(
            f"the array declares {header.nbytes:,} bytes of elements, {max(0, available - header.begin):,} are there"
        )
    return excess


def _find_header_end(head: bytes, size: int) -> int:
    """Offset of the first byte after the header, of an array of `size` bytes with its header."""
    if not head.startswith(NPY_MAGIC[: len(head)]):
        raise MalformedError(f"no npy array: it starts with {head[:6]!r}, not {NPY_MAGIC!r}")
    if len(head) < 12:
        raise TruncatedError(f"an npy array of {len(head)} bytes ends before its header")
    major, minor = head[6], head[7]
    if major not in (1, 2, 3) or minor:
        raise MalformedError(f"npy version {major}.{minor}; 1.0, 2.0 and 3.0 are known")
    start = 10 if major == 1 else 12
    length = int.from_bytes(head[8:start], "little")
    if start + length > size:
        raise _header_cut(start + length, size)
    if length > MAX_NPY_HEADER:
        raise LimitExceededError("bytes of npy header", limit=MAX_NPY_HEADER, actual=length)
    return start + length


def _header_cut(end: int, found: int) -> TruncatedError:
    return TruncatedError(f"the npy header ends at byte {end:,}, {found:,} are there")


def _parse_header(head: bytes, end: int) -> _Header:
    """Parse the header that ends at `end` of `head`."""
    if len(head) < end:
        raise _header_cut(end, len(head))
    major = head[6]
    try:
        text = head[10 if major == 1 else 12 : end].decode("utf-8" if major == 3 else "latin-1")
    except UnicodeDecodeError as error:
        raise MalformedError(f"the npy header is not UTF-8: {error.reason}") from None
    fields = _parse_literal(text)
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise MalformedError("the npy header is not a dictionary of descr, fortran_order and shape")
    fortran = fields["fortran_order"]
    if not isinstance(fortran, bool):
        raise MalformedError(f"fortran_order is {_quote(fortran)}, not True or False")
    shape = _check_shape(fields["shape"])
    dtype, itemsize, swapped = _read_type(fields["descr"])
    # numpy too holds an array without elements to the bound as if its zeros were ones; so no stride passes it.
    nbytes = _multiply((max(size, 1) for size in shape), max(itemsize, 1))
    empty = 0 in shape
    return _Header(
        shape,
        dtype,
        swapped,
        fortran,
        numel=0 if empty else nbytes // max(itemsize, 1),
        nbytes=nbytes if itemsize and not empty else 0,
        begin=end,
    )


def _check_shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple):
        raise MalformedError(f"the shape is {_quote(shape)}, not a tuple")
    if len(shape) > MAX_DIMENSIONS:
        raise LimitExceededError("dimensions", limit=MAX_DIMENSIONS, actual=len(shape))
    for size in shape:
        if type(size) is not int or size < 0:
            raise MalformedError(f"the shape {_quote(shape)} holds {_quote(size)}, not a size")
    return shape


def _multiply(sizes: Iterable[int], product: int) -> int:
    """`product` times all `sizes`, stopped at the bound so that no number grows long."""
    for size in (1, *sizes):
        product *= size
        if product > MAX_NUMEL:
            raise LimitExceededError("bytes in one array", limit=MAX_NUMEL, actual=product)
    return product


def _read_type(descr: object) -> tuple[str, int, bool]:
    """Name, bytes of one element, and whether the name is torch's for elements in reverse byte order."""
    if not isinstance(descr, str):
        return _shorten(repr(descr)), _measure(descr), False
    order, kind, size, unit = _match_descr(descr)
    itemsize = _measure(descr)
    if name := NUMPY_TYPES.get(kind + size):
        return name, itemsize, order == ">" and itemsize > 1
    return f"{'|' if kind in 'SV' else order}{kind}{size}{unit}", itemsize, False


def _measure(descr: object) -> int:
    """Bytes one element of any type takes."""
    match descr:
        case str():
            _, kind, size, _ = _match_descr(descr)
            return int(size or 0) * (4 if kind == "U" else 1)
        case list():
            return sum(_measure_field(field) for field in descr)
        case (base, tuple() as shape):
            return _multiply(_check_shape(shape), _measure(base))
    raise MalformedError(f"the element type {_quote(descr)} is not one of numpy's")


def _measure_field(field: object) -> int:
    """Bytes of `(name, descr)` or `(name, descr, shape)`; a name may be a (title, name)."""
    match field:
        case (_, base):
            return _measure(base)
        case (_, base, int() as length):
            return _multiply(_check_shape((length,)), _measure(base))
        case (_, base, tuple() as shape):
            return _multiply(_check_shape(shape), _measure(base))
    raise MalformedError(f"the field {_quote(field)} of the element type is not one of numpy's")


def _match_descr(descr: str) -> tuple[str, str, str, str]:
    """Byte order (`<` or `>`), kind, size and unit of a plain element type."""
    match = _DESCR.fullmatch(descr)
    if (
        match is None
        or (match[2] in _SIZES and match[3] not in _SIZES[match[2]])
        or (match[4] and match[2] not in "mM")
    ):
        raise MalformedError(f"the element type {_quote(descr)} is not one of numpy's")
    if match[2] == "O":
        raise _ObjectsError(
            "the array holds Python objects (a pickle)",
            hint="it was not run; save arrays of numbers, or tensors as safetensors",
        )
    return ">" if match[1] == ">" else "<", match[2], match[3], match[4] or ""


def _parse_literal(text: str) -> object:
    """The value of a Python literal made of dictionaries, lists, tuples, strings, integers, True and False."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while not tokens or tokens[-1][0] != "end":
        token = _TOKEN.match(text, at)
        if token is None:
            raise MalformedError(f"the npy header is not a Python literal at {_quote(text[at:].lstrip()[:20])}")
        at = token.end()
        kind = str(token.lastgroup)
        tokens.append((kind, token[kind]))
    tokens.reverse()
    value = _take_value(tokens, 0)
    if len(tokens) != 1:
        raise MalformedError(f"the npy header goes on after its value: {_quote(tokens[-1][1])}")
    return value


def _take_value(tokens: list[tuple[str, str]], depth: int) -> object:
    """Take one value off the end of `tokens`, which are in reverse order."""
    if depth > MAX_NPY_NESTING:
        raise LimitExceededError("levels of nesting in an npy header", limit=MAX_NPY_NESTING, actual=None)
    kind, text = tokens.pop()
    if kind == "text":
        return _ESCAPE.sub(_replace_escape, text[1:-1])
    if kind == "truth":
        return text == "True"
    if kind == "number":
        if len(text) > MAX_DIGITS:
            raise LimitExceededError("digits in a number of an npy header", limit=MAX_DIGITS, actual=len(text))
        return int(text)
    if kind == "end":
        raise MalformedError("the npy header ends inside its value")
    if text not in _CLOSING:
        raise MalformedError(f"the npy header has {_quote(text)} where a value was expected")
    return _take_container(tokens, text, depth)


def _take_container(tokens: list[tuple[str, str]], opening: str, depth: int) -> object:
    items: list[object] = []
    keys: list[object] = []
    closing = ("mark", _CLOSING[opening])
    comma = True
    while tokens[-1] != closing:
        if not comma and tokens[-1][0] != "end":
            raise MalformedError(f"the npy header has {_quote(tokens[-1][1])} where ',' or {closing[1]!r} was expected")
        if opening == "{":
            keys.append(_take_value(tokens, depth + 1))
            if not isinstance(keys[-1], str):
                raise MalformedError(f"the npy header has the key {_quote(keys[-1])}, which is not text")
            if tokens.pop() != ("mark", ":"):
                raise MalformedError(f"the npy header has no value for the key {_quote(keys[-1])}")
        items.append(_take_value(tokens, depth + 1))
        comma = tokens[-1] == ("mark", ",")
        if comma:
            tokens.pop()
    tokens.pop()
    if opening == "{":
        return dict(zip(keys, items, strict=True))
    if opening == "[":
        return items
    return items[0] if len(items) == 1 and not comma else tuple(items)


def _replace_escape(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _PLAIN_ESCAPES.get(escape[4], escape[4])


def _quote(value: object) -> str:
    return _shorten(repr(value))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TYPE_TEXT else text[: MAX_TYPE_TEXT - 1] + "…"
