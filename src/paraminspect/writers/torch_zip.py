"""`torch.save` of a state dict: the records of a zip, each in its place before the first value exists.

    NAME/data.pkl, .format_version, .storage_alignment, byteorder
    NAME/data/0 ...                          the tensors' bytes, little-endian
    NAME/version, .data/serialization_id

Records are stored, and their data begin at multiples of 64: the extra field `FB` of the local header is padding. As
torch writes them, local headers hold no CRC and no sizes; these follow the data (`PK 7 8`), and stand in the central
directory at the end of the file. So everything but the CRC-32s is known beforehand, and they come after what they are
of: the file can go into a pipe.

Sizes, offsets and counts that 32 or 16 bits do not hold go into zip64 fields, and only those. The serialization id is
made from names, shapes and dtypes, not from chance: the same tensors give the same file.

Source:
    `caffe2/serialize/inline_container.cc` of torch 2.13 and the files it writes; PKWARE APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.formats.limits import MAX_ZIP_ENTRIES
from paraminspect.writers.layout import Checksum, FileLayout, Layout, OutTensor, Piece, Slot
from paraminspect.writers.names import check_names, quote
from paraminspect.writers.torch_pickle import TYPED, UNTYPED, pickle_state_dict

ALIGNMENT: Final = 64
"""Of the data of each record (`torch.serialization` config `save.storage_alignment`)."""

DEFAULT_ROOT: Final = "archive"
MAX_ROOT_BYTES: Final = 200

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END: Final = struct.Struct("<4s4H2LH")

_FLAGS: Final = 0x0808  # sizes follow the data, names are UTF-8
_DATE: Final = 0x0021  # 1980-01-01, the first day a zip can name
_STORED: Final = 0
_ONES16: Final = 0xFFFF
_ONES32: Final = 0xFFFFFFFF
_VERSION: Final = 20
_VERSION64: Final = 45


def plan_torch_zip(tensors: Sequence[OutTensor], root: str = DEFAULT_ROOT) -> Layout:
    """Where everything lies in a file that `torch.load(weights_only=True)` reads as `OrderedDict[str, Tensor]`.

    Args:
        tensors: In the order of the dictionary; aliases follow their tensor and are the same object.
        root: Folder of the records; torch takes the stem of the file. One that a zip cannot hold becomes "archive".

    Raises:
        ParamInspectError: A name that comes twice, a quantised dtype; it names the tensor.
        LimitExceededError: More tensors than readers take.
    """
    check_names(tensors)
    for tensor in tensors:
        if tensor.dtype not in TYPED and tensor.dtype not in UNTYPED:
            raise ParamInspectError(
                f"a torch file cannot hold {quote(tensor.name)} of dtype {tensor.dtype} without its scales"
            )
    writer = _Archive(root if _is_usable(root) else DEFAULT_ROOT, len(tensors))
    writer.add("data.pkl", pickle_state_dict(tensors))
    writer.add(".format_version", b"1")
    writer.add(".storage_alignment", str(ALIGNMENT).encode())
    writer.add("byteorder", b"little")
    for index, tensor in enumerate(tensors):
        writer.add_tensor(index, tensor.nbytes)
    writer.add("version", b"3\n")
    writer.add(".data/serialization_id", _identify(tensors))
    return writer.finish()


def _is_usable(root: str) -> bool:
    try:
        data = root.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(data) <= MAX_ROOT_BYTES and not set("/\\\0") & set(root)


def _identify(tensors: Sequence[OutTensor]) -> bytes:
    """Forty digits, as torch writes them."""
    digest = sha256(repr([(each.name, each.dtype, each.shape, each.aliases) for each in tensors]).encode()).digest()
    return b"%040d" % (int.from_bytes(digest) % 10**40)


class _Record(NamedTuple):
    """One entry of the directory; `tensor` by its index, None for what is known."""

    name: bytes
    offset: int
    nbytes: int
    crc: int
    tensor: int | None
    begin: int
    crc_place: int


class _Archive:
    """The bytes from the begin of the file to `self._end`: pieces, with gaps where tensors go."""

    def __init__(self, root: str, tensors: int) -> None:
        if tensors + 6 > MAX_ZIP_ENTRIES:
            raise LimitExceededError("entries in a zip archive", limit=MAX_ZIP_ENTRIES, actual=tensors + 6)
        self._root = root
        self._records: list[_Record] = []
        self._pieces: list[Piece] = []
        self._slots: list[Slot] = []
        self._known = bytearray()  # the piece that is being made
        self._known_begin = 0

    @property
    def _end(self) -> int:
        return self._known_begin + len(self._known)

    def add(self, name: str, content: bytes) -> None:
        """A record whose bytes are known."""
        path = f"{self._root}/{name}".encode()
        offset = self._end
        self._known += _local_header(path, offset, len(content))
        begin = self._end
        self._known += content
        self._close(_Record(path, offset, len(content), zlib.crc32(content), None, begin, self._end + 4))

    def add_tensor(self, index: int, nbytes: int) -> None:
        """A record whose bytes are those of a tensor."""
        path = f"{self._root}/data/{index}".encode()
        offset = self._end
        self._known += _local_header(path, offset, nbytes)
        begin = self._end
        self._slots.append(Slot(0, begin, nbytes))
        if nbytes:
            self._flush(begin + nbytes)
        self._close(_Record(path, offset, nbytes, 0, index if nbytes else None, begin, self._end + 4))

    def _close(self, record: _Record) -> None:
        """What follows the data of a record."""
        kind = "<4sL2Q" if record.nbytes >= _ONES32 else "<4s3L"
        self._known += struct.pack(kind, b"PK\7\x08", record.crc, record.nbytes, record.nbytes)
        self._records.append(record)

    def _flush(self, begin: int) -> None:
        """End the piece, and let the next one begin further on."""
        if self._known:
            self._pieces.append(Piece(self._known_begin, bytes(self._known)))
        self._known = bytearray()
        self._known_begin = begin

    def finish(self) -> Layout:
        """The central directory, and all of it together."""
        directory = self._end
        checksums = []
        for record in self._records:
            if record.tensor is not None:
                places = (record.crc_place, self._end + 16)
                checksums.append(Checksum(record.tensor, record.begin, record.nbytes, places))
            self._known += _directory_entry(record)
        self._known += _end_records(len(self._records), self._end - directory, directory)
        nbytes = self._end
        self._flush(nbytes)
        return Layout((FileLayout("", nbytes, tuple(self._pieces), tuple(checksums)),), tuple(self._slots))


def _local_header(name: bytes, offset: int, nbytes: int) -> bytes:
    """Header, name, and the extra field that pads them until the data are aligned."""
    wide = nbytes >= _ONES32
    extra = struct.pack("<2H2Q", 1, 16, 0, 0) if wide else b""
    begin = offset + _LOCAL.size + len(name) + len(extra) + 4
    padding = -begin % ALIGNMENT
    extra += b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    size = _ONES32 if wide else 0
    version = _VERSION64 if wide else _VERSION
    fixed = _LOCAL.pack(b"PK\3\4", version, _FLAGS, _STORED, 0, _DATE, 0, size, size, len(name), len(extra))
    return fixed + name + extra


def _directory_entry(record: _Record) -> bytes:
    sizes = [record.nbytes, record.nbytes, record.offset]
    wide = [size for size in sizes if size >= _ONES32]
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, compressed, offset = (min(size, _ONES32) for size in sizes)
    version = _VERSION64 if wide else _VERSION
    fixed = _ENTRY.pack(
        b"PK\1\2", version, version, _FLAGS, _STORED, 0, _DATE, record.crc, compressed, size,
        len(record.name), len(extra), 0, 0, 0, 0, offset,
    )  # fmt: skip
    return fixed + record.name + extra


def _end_records(count: int, size: int, offset: int) -> bytes:
    """The end record, behind a zip64 one and its locator where a number needs that."""
    wide = b""
    if count >= _ONES16 or size >= _ONES32 or offset >= _ONES32:
        wide = _END64.pack(b"PK\6\6", _END64.size - 12, _VERSION64, _VERSION64, 0, 0, count, count, size, offset)
        wide += _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
    entries = min(count, _ONES16)
    return wide + _END.pack(b"PK\5\6", 0, 0, entries, entries, min(size, _ONES32), min(offset, _ONES32), 0)
