"""Which strings of a pickle may be pickles themselves, or files that hold one."""

from __future__ import annotations

from typing import Final

from paraminspect.formats.pickles.inert import LongBytes
from paraminspect.formats.pickles.plain import BARE_STARTS

SMALLEST_PICKLE: Final = 4
"""Bytes: a header, one opcode and STOP."""

FIRST_LETTERS: Final = frozenset(map(chr, b"\x93P" + BARE_STARTS))
"""With which texts begin that may be one."""

STORED_HEAD: Final = 32
"""Bytes that stand for four at least, however they are written: as escapes behind a quote at most."""


def may_be_file(head: bytes) -> bool:
    """Whether bytes begin like a pickle with a header, a zip archive or an array."""
    return (head[0] == 0x80 and head[1] <= 5) or head[:4] in {b"PK\3\4", b"\x93NUM"}


def may_be_bare(head: bytes, data: bytes | LongBytes) -> bool:
    """Whether bytes may be a pickle without a header that names something: text is full of those that name nothing."""
    if head[0] not in BARE_STARTS:
        return False
    return isinstance(data, LongBytes) or b"\x93" in data or data.count(b"\n") > 1
