"""Zip archives one after another in one file, found from its end: so torch.distributed.checkpoint writes the tensors of a rank."""

from __future__ import annotations

import struct
from typing import Final

from paraminspect.files.blob import Blob
from paraminspect.formats.zip_file import END, MAX_COMMENT, ZIP_END

MAX_ARCHIVES: Final = 100_000
"""In one file: a piece of a distributed checkpoint each."""

_WIDE: Final = 0xFFFFFFFF


def holds_pieces(blob: Blob) -> bool:
    """Whether a file of such a name is made of archives alone."""
    archives, before = split_archives(blob)
    return bool(archives) and not before


def split_archives(blob: Blob) -> tuple[list[tuple[int, Blob]], int]:
    """The archives a file consists of, found from its end, each with its begin; and the bytes before the first."""
    found: list[tuple[int, Blob]] = []
    end = blob.size
    while end and len(found) < MAX_ARCHIVES:
        begin = _find_begin(blob.part(0, end))
        if begin is None:
            break
        found.append((begin, blob.part(begin, end - begin)))
        end = begin
    found.reverse()
    return found, end if found else 0


def _find_begin(blob: Blob) -> int | None:
    """Where the archive begins that ends with the blob; None if none does."""
    tail_begin = max(0, blob.size - END.size)
    tail = blob.read(tail_begin, blob.size - tail_begin)
    at = 0
    if not (tail.startswith(ZIP_END) and tail.endswith(b"\0\0")):  # there is a comment behind it
        tail_begin = max(0, tail_begin - MAX_COMMENT)
        tail = blob.read(tail_begin, blob.size - tail_begin)
        at = tail.rfind(ZIP_END, 0, max(0, len(tail) - END.size + 4))
        if at < 0:
            return None
    _, _, _, _, count, size, offset, _ = END.unpack_from(tail, at)
    end = tail_begin + at
    record = blob.read_up_to(end - 76, 56) if end >= 76 else b""
    if _WIDE in (size, offset) or record[:4] == b"PK\6\6":
        if record[:4] != b"PK\6\6":
            return None
        size, offset = struct.unpack_from("<QQ", record, 40)
        end -= 76
    begin: int = end - size - offset
    if begin < 0 or (count and blob.read_up_to(end - size, 4) != b"PK\1\2"):
        return None
    return begin
