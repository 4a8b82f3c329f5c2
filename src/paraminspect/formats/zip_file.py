"""The directory of a zip archive, read as torch reads it: from the end of the file, without trusting a length.

A zip ends in an end record (22 bytes, `PK 5 6`, then a comment of up to 65,535 bytes). It says where the central
directory lies and how many entries that holds; each entry (46 bytes, `PK 1 2`, then name, extra field and comment)
says where the local header of a member lies (30 bytes, `PK 3 4`, then name and extra field), which the data follow.
Numbers are little-endian. Where one needs more than 16 or 32 bits it is all ones, and the true one stands in the
zip64 end record (`PK 6 6`, found through a locator, `PK 6 7`, in the 20 bytes before the end record) or in the
entry's extra field of kind 1.

Torch writes local headers without sizes and pads their extra field until the data begin at a multiple of 64, so
sizes come from the directory and the begin of the data from the local header. It writes CRC 0 for "not computed"
(`torch.serialization.set_crc32_options(False)`). Of two entries of one name the last one counts here and in Python's
`zipfile`; torch searches a sorted directory by halving it, without regard to case, and may take either.

`zipfile` is not used because it believes what an entry declares, and costs 10 ms to import and 3 µs an entry.

Source:
    PKWARE APPNOTE.TXT 6.3.10 (4.3 records, 4.5.3 zip64); miniz 2.1 as torch uses it (`caffe2/serialize`).
"""

from __future__ import annotations

import io
import struct
import zlib
from bisect import bisect_left
from collections.abc import Container, Iterator
from typing import Final

from paraminspect.errors import NOT_WHOLE, CheckpointError, LimitExceededError, MalformedError
from paraminspect.files.blob import Blob
from paraminspect.formats.once import once
from paraminspect.formats.zip_cut import explain_displaced, no_directory
from paraminspect.limits import DIRECTORIES, MEMBERS, effort
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple

MAX_ZIP_ENTRIES: Final = 500_000
"""Members of one zip: a checkpoint has one for each tensor."""

MAX_ZIP_DIRECTORY: Final = 512 << 20
"""Bytes of a zip's central directory."""

MAX_INFLATED: Final = 256 << 20
"""Bytes one compressed zip entry may inflate to before we stop."""

FREE_INFLATED: Final = 32 << 20
MAX_RATIO: Final = 64
"""Bytes of a deflated member that are held, whatever its size, and how many more for each byte of it: pickles and JSON deflate
to a tenth."""

STORED = 0
DEFLATED = 8

MAX_COMMENT = 0xFFFF
"""Bytes of an archive comment, by its 16-bit length: how far from the end of the file the end record may lie."""

MAX_DEFLATE_OVERHEAD = 64 << 10
"""Compressed bytes we take beyond twice those asked for, so that a chain of empty blocks cannot keep us busy."""

MAX_HONEST_RATIO = 16
"""Bytes for one deflated byte up to which members larger than MAX_INFLATED are streamed; weights have hardly two."""

HEADERS_AHEAD: Final = 256
"""Local headers of a far archive that are fetched together, side by side."""

END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4x2H4x3L3H8xL")
_LOCAL = struct.Struct("<4s2x2H4x3L2H")
_U16_PAIR = struct.Struct("<2H")

_LOCAL_SIGNATURE = b"PK\3\4"
_ENTRY_SIGNATURE = b"PK\1\2"
ZIP_END = b"PK\5\6"
_END64_SIGNATURE = b"PK\6\6"
_LOCATOR_SIGNATURE = b"PK\6\7"
_DESCRIPTOR_SIGNATURE = b"PK\7\x08"

_ENTRY_CRC = 16
_LOCAL_CRC = 14
"""Where the CRC stands in a header."""

_ALL_ONES = 0xFFFFFFFF
_ZIP64_EXTRA = 1
_ENCRYPTED_FLAGS = 0x2041  # encrypted, strongly encrypted, local header masked
_DESCRIPTOR_FLAG = 8  # CRC and sizes follow the data
_CHUNK = 1 << 20


LocalHeader = tuple[bytes, int, int, int, int, int, int, int]
"""Signature, flags, method, CRC, compressed size, size, bytes of the name and of the extra field."""


class ZipEntry(NamedTuple):
    """One member as the directory declares it; nothing of it is checked before it is asked for.

    Attributes:
        name: Decoded as UTF-8, else as code page 437; never to be used as a path.
        header_offset: Of the local header, from the start of the archive.
        compressed_size: Bytes in the file.
        size: Bytes after inflating.
        method: 0 stored, 8 deflated; others are not read.
        crc: CRC-32 of the inflated bytes; 0 where the writer did not compute it.
        encrypted: Whether the data are encrypted or masked.
    """

    name: str
    header_offset: int
    compressed_size: int
    size: int
    method: int
    crc: int
    encrypted: bool


class ZipDirectory:
    """The members of one archive, and their data.

    Args:
        entries: By name, in the order of the directory.
        shadowed: Earlier entries of a name that stands again in `entries`.
        directory_offset: Where the directory begins: all data lie before it.
    """

    def __init__(
        self, blob: Blob, entries: dict[str, ZipEntry], shadowed: tuple[ZipEntry, ...], directory_offset: int
    ) -> None:
        self.blob = blob
        self.entries = entries
        self.shadowed = shadowed
        self.directory_offset = directory_offset
        self._headers: list[int] = []
        self._fetched: frozenset[int] = frozenset()

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Names that stand more than once, each once, in the order of the directory."""
        return tuple(dict.fromkeys(entry.name for entry in self.shadowed))

    def local_header(self, entry: ZipEntry) -> LocalHeader:
        """What stands before the data.

        Raises:
            MalformedError: No local header is there.
        """
        at = entry.header_offset
        if self.blob.is_far:
            self._fetch_headers(at)
        header = self.blob.read_near(at, _LOCAL.size)
        if len(header) < _LOCAL.size:
            raise MalformedError(
                f"the header of {quote(entry.name)} is declared at byte {at:,} of an archive of "
                f"{self.blob.size:,} bytes",
                hint=NOT_WHOLE,
            )
        local: LocalHeader = _LOCAL.unpack(header)
        if local[0] != _LOCAL_SIGNATURE:
            raise MalformedError(
                f"no zip header of {quote(entry.name)} at byte {at:,}, where the directory says", hint=NOT_WHOLE
            )
        return local

    def data_offset(self, entry: ZipEntry, header: LocalHeader | None = None) -> int:
        """Offset within the blob of the first data byte.

        Args:
            header: That of the entry; None where it is still to be read.

        Raises:
            MalformedError: No local header there, the data reach into the directory, or they are not compressed
                and yet of two sizes.
        """
        local = header or self.local_header(entry)
        data = entry.header_offset + _LOCAL.size + local[6] + local[7]
        if data + entry.compressed_size > self.directory_offset:
            raise MalformedError(
                f"{quote(entry.name)} declares {entry.compressed_size:,} bytes at {data:,}, past the begin "
                f"of the zip directory at {self.directory_offset:,}"
            )
        if entry.method == STORED and entry.compressed_size != entry.size and not entry.encrypted:
            raise MalformedError(
                f"{quote(entry.name)} is not compressed, but declares {entry.size:,} bytes "
                f"and {entry.compressed_size:,} in the file"
            )
        return data

    def _fetch_headers(self, at: int) -> None:
        """Have a local header at hand, and those behind it, which are asked for next, as a rule."""
        if at in self._fetched:
            return
        self._headers = self._headers or sorted(entry.header_offset for entry in self.entries.values())
        place = bisect_left(self._headers, at)
        offsets = [at, *self._headers[place : place + HEADERS_AHEAD]]
        self.blob.prefetch(offsets, _LOCAL.size)
        self._fetched = frozenset(offsets)

    def read(self, entry: ZipEntry, limit: int = MAX_INFLATED) -> bytes:
        """All bytes of a member, inflated and checked.

        Memory stays near the declared size, however much the data would inflate to.

        Args:
            entry: One of `entries` or `shadowed`.
            limit: Most bytes it may have; breached by the declared size, before anything is read.

        Raises:
            MalformedError: Encrypted, of a method other than 0 and 8, of another size or CRC than declared, or
                broken data.
            LimitExceededError: Larger than `limit`.
        """
        _check_readable(entry)
        if entry.size > limit:
            raise LimitExceededError(f"bytes in {quote(entry.name)}", limit=limit, actual=entry.size)
        data = self._take(entry, entry.size + 1)
        if len(data) != entry.size:
            found = "more" if len(data) > entry.size else f"{len(data):,}"
            raise MalformedError(f"{quote(entry.name)} declares {entry.size:,} bytes, holds {found}")
        if entry.crc and zlib.crc32(data) != entry.crc:
            raise _damaged(entry, zlib.crc32(data))
        return data

    def read_prefix(self, entry: ZipEntry, length: int) -> bytes:
        """The first `length` bytes of a member, fewer if it has fewer; no CRC is checked.

        Raises:
            MalformedError: Encrypted, of a method other than 0 and 8, or broken data.
        """
        _check_readable(entry)
        return self._take(entry, min(length, entry.size))

    def stream(self, entry: ZipEntry) -> Iterator[bytes]:
        """All bytes of a member in pieces of at most 1 MiB, inflated; memory stays small, whatever it declares.

        Raises:
            MalformedError: As `read`; that size or CRC are other than declared shows at the end.
            LimitExceededError: Larger than MAX_INFLATED, and deflated so well that the data say hardly anything.
        """
        _check_readable(entry)
        if entry.size > max(MAX_INFLATED, MAX_HONEST_RATIO * entry.compressed_size):
            raise LimitExceededError(f"bytes in {quote(entry.name)}", limit=MAX_INFLATED, actual=entry.size)
        offset = self.data_offset(entry)
        end = offset + entry.compressed_size
        inflater = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == DEFLATED else None
        spend = effort().spend
        size = crc = 0
        pending = b""
        while size <= entry.size and (pending or offset < end):
            if not pending:
                pending = self.blob.read(offset, min(_CHUNK, end - offset))
                offset += len(pending)
            if inflater is None:
                piece, pending = pending, b""
            else:
                try:
                    piece = inflater.decompress(pending, _CHUNK)
                except zlib.error as error:
                    what = f"{quote(entry.name)} is not deflated data: {error}"
                    raise MalformedError(what, hint=NOT_WHOLE) from None
                pending = inflater.unconsumed_tail
                if inflater.eof:
                    pending, offset = b"", end
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            if piece:
                spend(MEMBERS, len(piece))
                yield piece
        while inflater is not None and size <= entry.size and (piece := inflater.decompress(b"", _CHUNK)):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            spend(MEMBERS, len(piece))
            yield piece
        if size != entry.size:
            found = "more" if size > entry.size else f"{size:,}"
            raise MalformedError(f"{quote(entry.name)} declares {entry.size:,} bytes, holds {found}")
        if entry.crc and crc != entry.crc:
            raise _damaged(entry, crc)

    def _take(self, entry: ZipEntry, length: int) -> bytes:
        """Up to `length` bytes of a member, inflated if need be."""
        offset = self.data_offset(entry)
        spend = effort().spend
        if entry.method == STORED:
            spend(MEMBERS, min(length, entry.compressed_size))
            return self.blob.read(offset, min(length, entry.compressed_size))
        most = FREE_INFLATED + MAX_RATIO * entry.compressed_size
        if length > most:
            raise LimitExceededError(f"bytes in {quote(entry.name)}", limit=most, actual=length)
        end = offset + min(entry.compressed_size, 2 * length + MAX_DEFLATE_OVERHEAD)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        out = io.BytesIO()  # unlike a list to be joined, it hands its value over without a copy
        pending = b""
        try:
            while not inflater.eof and (missing := length - out.tell()) > 0:
                if not pending:
                    pending = self.blob.read(offset, min(_CHUNK, end - offset))
                    offset += len(pending)
                drained = not pending  # what the inflater still holds back is less than one more piece
                spend(MEMBERS, out.write(inflater.decompress(pending, min(missing, _CHUNK))))
                if drained:
                    break
                pending = inflater.unconsumed_tail
        except zlib.error as error:
            raise MalformedError(f"{quote(entry.name)} is not deflated data: {error}", hint=NOT_WHOLE) from None
        return out.getvalue()


def read_zip_directory(blob: Blob) -> ZipDirectory:
    """Read the directory of an archive; no member is touched.

    Raises:
        TruncatedError: No end record, or none but that of an archive in it: the file was cut.
        MalformedError: The directory is not where the end record says, the archive does not begin at byte 0, or
            its entries are not as many as it says.
        LimitExceededError: Past MAX_ZIP_ENTRIES or MAX_ZIP_DIRECTORY, or many directories in one run.
    """
    count, size, offset, end = _find_directory(blob)
    if offset + size > end or (count and blob.read_up_to(offset, 4) != _ENTRY_SIGNATURE):
        if blob.read_up_to(end - size, 4) == _ENTRY_SIGNATURE:
            raise explain_displaced(blob, end - size - offset)
        raise MalformedError(
            f"no zip directory of {size:,} bytes at byte {offset:,}, where the end record says", hint=NOT_WHOLE
        )
    if count * _ENTRY.size > size:
        raise MalformedError(f"the zip directory declares {count:,} entries, has {size:,} bytes", hint=NOT_WHOLE)
    if count > MAX_ZIP_ENTRIES:
        raise LimitExceededError("entries in a zip archive", limit=MAX_ZIP_ENTRIES, actual=count)
    if size > MAX_ZIP_DIRECTORY:
        raise LimitExceededError("bytes in a zip directory", limit=MAX_ZIP_DIRECTORY, actual=size)
    effort().spend(DIRECTORIES, size)
    data, run = blob.read(offset, size), once()
    entries, shadowed = _read_entries(data, count) if run is None else run.entries(data, count, _read_entries)
    return ZipDirectory(blob, entries, tuple(shadowed), offset)


def find_crc_fields(directory: ZipDirectory, members: Container[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Where the CRCs of some members stand, so that they can be corrected.

    Args:
        members: Offsets of their local headers.

    Yields:
        For each entry of one of them, its header's offset, and the offsets of the four bytes: in the directory, and in
        the local header or behind the data where the same CRC stands there. Entries whose CRC is 0, "not computed",
        are left out.
    """
    blob = directory.blob
    data = blob.read(directory.directory_offset, blob.size - directory.directory_offset)
    at = 0
    for _ in range(len(directory.entries) + len(directory.shadowed)):
        _, flags, method, crc, compressed, size, name, extra, comment, offset = _ENTRY.unpack_from(data, at)
        fields = data[at + _ENTRY.size + name : at + _ENTRY.size + name + extra]
        size, compressed, offset = _zip64_values(fields, size, compressed, offset)
        if crc and offset in members:
            entry = ZipEntry("", offset, compressed, size, method, crc, flags & _ENCRYPTED_FLAGS != 0)
            places = [directory.directory_offset + at + _ENTRY_CRC, offset + _LOCAL_CRC]
            if flags & _DESCRIPTOR_FLAG:
                behind = directory.data_offset(entry) + compressed
                places.append(behind + 4 if blob.read_up_to(behind, 4) == _DESCRIPTOR_SIGNATURE else behind)
            stored = crc.to_bytes(4, "little")
            yield offset, tuple(place for place in places if blob.read_up_to(place, 4) == stored)
        at += _ENTRY.size + name + extra + comment


def read_tail(blob: Blob) -> tuple[int, bytes]:
    """Where the end record may begin, and the bytes from there on."""
    begin = max(0, blob.size - END.size - MAX_COMMENT)
    return begin, blob.read(begin, blob.size - begin)


def _find_directory(blob: Blob) -> tuple[int, int, int, int]:
    """Count of entries, size and offset of the directory, and offset of the first end record behind it.

    The last end signature counts, as in miniz and `zipfile`, so that we see the archive torch sees.
    """
    tail_begin, tail = read_tail(blob)
    at = tail.rfind(ZIP_END, 0, max(0, len(tail) - END.size + 4))
    if at < 0:
        raise no_directory()
    _, disk, directory_disk, _, count, size, offset, _ = END.unpack_from(tail, at)
    end = tail_begin + at
    locator = blob.read_up_to(end - _LOCATOR.size, _LOCATOR.size)
    if locator.startswith(_LOCATOR_SIGNATURE):
        _, _, end64, _ = _LOCATOR.unpack(locator)
        record = blob.read_up_to(end64, _END64.size)
        if len(record) < _END64.size or not record.startswith(_END64_SIGNATURE) or end64 >= end:
            raise _explain_missing_end64(blob, end64, end - _LOCATOR.size - _END64.size)
        _, _, _, _, disk, directory_disk, _, count, size, offset = _END64.unpack(record)
        end = end64
    if disk or directory_disk:
        raise MalformedError("a zip archive in several files", hint="join them into one archive")
    return count, size, offset, end


def _read_entries(data: bytes, count: int) -> tuple[dict[str, ZipEntry], list[ZipEntry]]:
    """The entries by name, and the earlier ones of names that come twice. 100,000 take about 0.1 s."""
    entries: dict[str, ZipEntry] = {}
    shadowed: list[ZipEntry] = []
    unpack, header_size, new = _ENTRY.unpack_from, _ENTRY.size, tuple.__new__
    at, end = 0, len(data)
    for index in range(count):
        if at + header_size > end:
            raise MalformedError(f"the zip directory declares {count:,} entries, holds {index:,}", hint=NOT_WHOLE)
        signature, flags, method, crc, compressed, size, name_length, extra, comment, offset = unpack(data, at)
        begin = at + header_size
        at = begin + name_length
        if signature != _ENTRY_SIGNATURE or at + extra + comment > end:
            raise MalformedError(f"entry {index:,} of {count:,} in the zip directory is broken", hint=NOT_WHOLE)
        try:
            name = data[begin:at].decode()
        except UnicodeDecodeError:
            name = data[begin:at].decode("cp437")
        if _ALL_ONES in (compressed, size, offset):
            size, compressed, offset = _zip64_values(data[at : at + extra], size, compressed, offset)
        at += extra + comment
        if name in entries:
            shadowed.append(entries[name])
        entries[name] = new(ZipEntry, (name, offset, compressed, size, method, crc, flags & _ENCRYPTED_FLAGS != 0))
    if at != end:
        raise MalformedError(f"the zip directory holds {end - at:,} bytes beyond its {count:,} entries", hint=NOT_WHOLE)
    return entries, shadowed


def _zip64_values(extra: bytes, *values: int) -> tuple[int, ...]:
    """Size, compressed size and offset, with those that are all ones replaced from the extra field.

    A value the field lacks stays all ones, and is refused if that entry is asked for.
    """
    at = 0
    while at + 4 <= len(extra):
        kind, length = _U16_PAIR.unpack_from(extra, at)
        at += 4
        if kind == _ZIP64_EXTRA:
            wide = iter(struct.unpack_from(f"<{min(length, len(extra) - at) // 8}Q", extra, at))
            return tuple(next(wide, value) if value == _ALL_ONES else value for value in values)
        at += length
    return values


def _explain_missing_end64(blob: Blob, declared: int, usual: int) -> CheckpointError:
    """Whether the zip64 end record stands elsewhere because the whole archive does."""
    record = blob.read_up_to(usual, _END64.size)
    if record.startswith(_END64_SIGNATURE):
        directory = _END64.unpack(record)[-1] + usual - declared
        if blob.read_up_to(directory, 4) == _ENTRY_SIGNATURE:
            return explain_displaced(blob, usual - declared)
    return MalformedError(f"no zip64 end record at byte {declared:,}, where its locator says", hint=NOT_WHOLE)


def _damaged(entry: ZipEntry, crc: int) -> MalformedError:
    return MalformedError(
        f"{quote(entry.name)} has CRC {crc:08x}, declared {entry.crc:08x}: the file is damaged",
        hint="fetch or save it again",
        fault="crc",
    )


def _check_readable(entry: ZipEntry) -> None:
    if entry.encrypted:
        raise MalformedError(
            f"{quote(entry.name)} is encrypted", hint="unpack the archive with its password and save it again"
        )
    if entry.method not in (STORED, DEFLATED):
        raise MalformedError(
            f"{quote(entry.name)} is compressed by method {entry.method}; 0 (stored) and 8 (deflated) are read"
        )
