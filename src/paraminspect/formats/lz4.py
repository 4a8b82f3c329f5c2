"""LZ4 frames, as `joblib.dump(.., compress="lz4")` writes them: Python has no LZ4 of its own.

    frame      04 22 4d 18, descriptor, blocks, four zero bytes, [checksum of the content]
    descriptor flags, largest block, [8 bytes: size of the content], [4 bytes: dictionary], checksum of itself
    block      4 bytes: its length, the highest bit of which says that it is not compressed; its bytes; [4 bytes: checksum]

A compressed block is a sequence of literals and matches: a byte with the lengths of both (15 goes on in the bytes that
follow), the literals, 2 bytes: how far back the match begins. It may reach into the blocks before. All is little-endian.

Checksums are not looked at: a reader that does would refuse what is looked into here, not read something else.

Source: lz4_Frame_format.md 1.6.4 and lz4_Block_format.md of the LZ4 project.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from paraminspect.errors import MalformedError, TruncatedError
from paraminspect.files.blob import Blob

MAGIC: Final = b"\x04\x22\x4d\x18"
MAX_BLOCK: Final = 8 << 20
"""Bytes; the largest that a descriptor can name is half of it."""

_REACH: Final = 1 << 16
"""How far back a match may begin."""

_INDEPENDENT, _BLOCK_SUM, _SIZED, _CONTENT_SUM, _DICTIONARY = 0x20, 0x10, 0x08, 0x04, 0x01
_MORE: Final = 15
_SHORTEST: Final = 4


def read_lz4(blob: Blob) -> Generator[bytes, None, int]:
    """The content of one frame, a block at a time.

    Returns:
        Where it ends.

    Raises:
        MalformedError: It is no frame, or asks for a dictionary.
    """
    flags = blob.read(4, 1)[0]
    if flags >> 6 != 1 or flags & _DICTIONARY:
        raise MalformedError("an LZ4 frame of an unknown version, or with a dictionary")
    at = 7 + (8 if flags & _SIZED else 0)
    window = b""
    while length := int.from_bytes(blob.read(at, 4), "little"):
        plain, length = length >> 31, length & 0x7FFFFFFF
        if length > MAX_BLOCK:
            raise MalformedError(f"an LZ4 block of {length:,} bytes")
        data = blob.read(at + 4, length)
        at += 4 + length + (4 if flags & _BLOCK_SUM else 0)
        piece = data if plain else _unfold(data, b"" if flags & _INDEPENDENT else window)
        window = (window + piece)[-_REACH:]
        yield piece
    return at + 4 + len(blob.read(at + 4, 4 if flags & _CONTENT_SUM else 0))


def _unfold(data: bytes, before: bytes) -> bytes:
    """What a compressed block stands for, behind what the blocks before it stand for."""
    out = bytearray(before)
    at, end = 0, len(data)
    try:
        while at < end:
            token = data[at]
            count, at = _length(data, at + 1, token >> 4)
            if count > end - at:
                raise TruncatedError("an LZ4 block ends inside its literals")
            out += data[at : at + count]
            at += count
            if at >= end:
                break
            back = data[at] | data[at + 1] << 8
            count, at = _length(data, at + 2, token & _MORE)
            _repeat(out, back, count + _SHORTEST)
    except IndexError:
        raise TruncatedError("an LZ4 block ends inside a match") from None
    return bytes(out[len(before) :])


def _length(data: bytes, at: int, count: int) -> tuple[int, int]:
    """A length of which the first part is known, and where the bytes behind it begin."""
    if count == _MORE:
        while (more := data[at]) == 255:
            count += 255
            at += 1
        count, at = count + more, at + 1
    return count, at


def _repeat(out: bytearray, back: int, count: int) -> None:
    """Append bytes that stand so far back, those that are appended among them."""
    begin = len(out) - back
    if not 0 < back <= len(out):
        raise MalformedError("an LZ4 match begins before its content")
    if len(out) + count > MAX_BLOCK + _REACH:
        raise MalformedError(f"an LZ4 block of more than {MAX_BLOCK:,} bytes")
    if back >= count:
        out += out[begin : begin + count]
    else:
        out += (bytes(out[begin:]) * (count // back + 1))[:count]
