"""Files that are compressed as a whole, as `joblib.dump(.., compress=3)` and `gzip` leave them: what is inside is looked at.

The content is written to a temporary file without a name, as standard input is. Streams of one kind behind each other are
one content, as Python's readers have it.
"""

from __future__ import annotations

import bz2
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.files.local import LocalFile
from paraminspect.formats.foreign import recognise_bytes
from paraminspect.formats.lz4 import MAGIC as LZ4
from paraminspect.formats.lz4 import read_lz4
from paraminspect.limits import MEMBERS, EffortError, effort
from paraminspect.summaries import Finding
from paraminspect.text import format_bytes

MAX_DICTIONARY: Final = 80 << 20
"""Bytes of memory that xz may take; its highest level asks for 65 MiB."""

_PIECE: Final = 1 << 18
_FIRST_PIECE: Final = 1 << 12
"""Of a stream: what lies behind it in a piece is copied, and there may be tens of thousands in a megabyte."""


class _Inflater(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


_INFLATERS: Final[tuple[tuple[bytes, Callable[[], _Inflater]], ...]] = (
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY)),
    (b"\x5d\0\0", lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY)),
    (b"\x1f\x8b\x08", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    (b"\x78", zlib.decompressobj),
)


def scan_compressed(blob: Blob, place: Place) -> Iterator[Finding]:
    """Findings of the content, by its first bytes whatever it is; of all that comes before damage or a limit."""
    if place.depth:
        return  # no loader unpacks what lies in another file
    head = blob.read_up_to(0, 16)
    pieces = _inflate_lz4(blob) if head.startswith(LZ4) else _inflate_streams(blob, head)
    if pieces is None:
        known = recognise_bytes(blob, head)
        how = known.what if known else "compressed"
        yield find("unchecked-content", place.name, f"{how}, which Python cannot undo everywhere", path=place.path)
        return
    told: Finding | None = None
    with tempfile.TemporaryFile() as copy:
        try:
            for piece in pieces:
                effort().spend(MEMBERS, len(piece))
                copy.write(piece)
        except EffortError:
            message = f"only the first {format_bytes(copy.tell())} of the content were looked at"
            told = find("limit", place.name, message, hint="unpack it first, and check that", path=place.path)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            told = find("malformed", place.name, f"cannot be unpacked: {error}", path=place.path)
        except _RestError as error:
            message = f"{error.nbytes:,} bytes behind what is compressed"
            told = find("extra-bytes", place.name, message, path=place.path)
        except ParamInspectError as error:
            told = find("malformed", place.name, f"cannot be unpacked: {error.message}", path=place.path)
        copy.flush()
        content = Blob(LocalFile(copy.tell(), os.dup(copy.fileno())), None, 0, copy.tell())
        found = scan_part(content, place.inside("content")) if content.size else []
    if told is None:
        yield from found
        return
    yield told
    yield from (each for each in found if each.severity == "danger")


class _RestError(Exception):
    """Bytes follow that are no stream of the same kind."""

    def __init__(self, nbytes: int) -> None:
        super().__init__(nbytes)
        self.nbytes = nbytes


def _inflate_lz4(blob: Blob) -> Iterator[bytes]:
    end = yield from read_lz4(blob)
    while blob.read_up_to(end, len(LZ4)) == LZ4:
        end += yield from read_lz4(blob.part(end, blob.size - end))
    if end < blob.size:
        raise _RestError(blob.size - end)


def _inflate_streams(blob: Blob, head: bytes) -> Iterator[bytes] | None:
    for magic, make in _INFLATERS:
        if head.startswith(magic):
            return _inflate(blob, magic, make)
    return None


def _inflate(blob: Blob, magic: bytes, make: Callable[[], _Inflater]) -> Iterator[bytes]:
    """The content of streams of one kind, one behind the other.

    Raises:
        ValueError: The file ends inside one.
        _RestError: Something else follows.
    """
    begin = 0
    while True:
        inflater, position, pending, ahead = make(), begin, b"", _FIRST_PIECE
        while not inflater.eof:
            if not pending and getattr(inflater, "needs_input", True):  # bz2 and lzma keep what they have no room for
                pending = blob.read_up_to(position, ahead)
                position += len(pending)
                ahead = min(4 * ahead, _PIECE)
            piece = inflater.decompress(pending, _PIECE)
            pending = inflater.unconsumed_tail if isinstance(inflater, type(zlib.decompressobj())) else b""
            if piece:
                yield piece
            elif not pending and position >= blob.size and not inflater.eof:
                raise ValueError("the file ends inside what is compressed")
        begin = position - len(inflater.unused_data)
        if begin >= blob.size:
            return
        if not blob.read_up_to(begin, len(magic)).startswith(magic):
            raise _RestError(blob.size - begin)
