"""Files that are compressed as a whole, as `joblib.dump(.., compress=3)` and `gzip` leave them: what is inside is looked at."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, scan_part
from paraminspect.files.blob import Blob
from paraminspect.limits import MEMBERS, effort
from paraminspect.records import Finding
from paraminspect.text import format_bytes

MAX_INFLATED: Final = 64 << 20
"""Bytes of the content that are looked at, which are held in memory."""

MAX_DICTIONARY: Final = 80 << 20
"""Bytes of memory that xz may take; its highest level asks for 65 MiB."""

_PIECE: Final = 1 << 18


class _Inflater(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...


def scan_compressed(blob: Blob, place: Place) -> Iterator[Finding]:
    """Findings of the content, by its first bytes whatever it is."""
    if place.depth:
        return  # no loader unpacks what lies in another file
    try:
        data, whole = _inflate(blob)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        yield find("malformed", place.name, f"cannot be unpacked: {error}", path=place.path)
        return
    found = scan_part(Blob.from_bytes(data), place.inside("content"))
    if whole:
        yield from found
        return
    yield from (each for each in found if each.severity == "danger")
    message = f"only the first {format_bytes(len(data))} of the content were looked at"
    yield find("limit", place.name, message, severity="warning", hint="unpack it first", path=place.path)


def _inflate(blob: Blob) -> tuple[bytes, bool]:
    """The content, and whether that is all of it.

    Raises:
        ValueError: It ends inside, or goes on behind the end of what is compressed.
    """
    head = blob.read_up_to(0, 6)
    inflater = _inflater(head)
    pieces: list[bytes] = []
    size = position = 0
    pending = b""
    while not inflater.eof:
        if not pending:
            pending = blob.read_up_to(position, _PIECE)
            position += len(pending)
        left = MAX_INFLATED - size
        if left <= 0:
            return b"".join(pieces), False
        piece = inflater.decompress(pending, left)
        pending = inflater.unconsumed_tail if isinstance(inflater, type(zlib.decompressobj())) else b""
        if not piece and not pending and position >= blob.size and not inflater.eof:
            raise ValueError("the file ends inside what is compressed")
        effort().spend(MEMBERS, len(piece))
        size += len(piece)
        pieces.append(piece)
    rest = getattr(inflater, "unused_data", b"")
    if rest or position < blob.size:
        return b"".join(pieces), False
    return b"".join(pieces), True


def _inflater(head: bytes) -> _Inflater:
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if head.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        return lzma.LZMADecompressor(memlimit=MAX_DICTIONARY)
    return zlib.decompressobj(zlib.MAX_WBITS | 32)
