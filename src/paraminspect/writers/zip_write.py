"""A zip archive whose records have their places before the values of tensors exist.

Records are stored, and their data begin at multiples of 64: the extra field `FB` of the local header is padding. As
torch writes them, local headers hold no CRC and no sizes; these follow the data (`PK 7 8`), and stand in the central
directory at the end of the file. So everything but the CRC-32s is known beforehand, and they come after what they are
of: the file can go into a pipe. Sizes, offsets and counts that 32 or 16 bits do not hold go into zip64 fields, and
only those.

Source:
    PKWARE APPNOTE.TXT 6.3.10; `caffe2/serialize/inline_container.cc` of torch 2.13.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from paraminspect.errors import LimitExceededError
from paraminspect.formats.zip_file import MAX_ZIP_ENTRIES
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Checksum, FileLayout, Layout, Piece, Slot

ALIGNMENT: Final = 64
"""Of the data of each record (`torch.serialization` config `save.storage_alignment`)."""

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


class _Record(NamedTuple):
    """One entry of the directory; `tensor` by its index, None for what is known; `crc` of the bytes that are known."""

    name: bytes
    offset: int
    nbytes: int
    crc: int
    tensor: int | None
    begin: int
    crc_place: int


class ZipWriter:
    """A zip archive that grows: pieces, with gaps where tensors go.

    Args:
        entries: How many there will be.

    Raises:
        LimitExceededError: More than readers take.
    """

    def __init__(self, entries: int) -> None:
        if entries > MAX_ZIP_ENTRIES:
            raise LimitExceededError("entries in a zip archive", limit=MAX_ZIP_ENTRIES, actual=entries)
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
        path = name.encode()
        offset = self._end
        self._known += _local_header(path, offset, len(content))
        begin = self._end
        self._known += content
        self._close(_Record(path, offset, len(content), zlib.crc32(content), None, begin, self._end + 4))

    def add_tensor(self, name: str, index: int, nbytes: int, head: bytes = b"") -> None:
        """A record whose bytes are those of a tensor.

        Args:
            index: Of the tensor; they come in ascending order.
            head: Bytes of the record before it.
        """
        path = name.encode()
        offset, size, crc = self._end, len(head) + nbytes, zlib.crc32(head)
        self._known += _local_header(path, offset, size)
        begin = self._end
        self._known += head
        self._slots.append(Slot(0, self._end, nbytes))
        if nbytes:
            self._flush(self._end + nbytes)
        self._close(_Record(path, offset, size, crc, index if nbytes else None, begin, self._end + 4))

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
                checksums.append(Checksum(record.tensor, record.begin, record.nbytes, places, record.crc))
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
