"""The wire format of protocol buffers: fields of one message after another, without names or an end.

A field is a tag, a varint of `number << 3 | wire type`, and a value: 0 a varint, 1 eight bytes, 2 a varint of a length
and so many bytes (text, a nested message, or packed numbers), 5 four bytes. Wire types 3 and 4 were groups, which
nothing here uses. A varint has seven bits a byte, lowest first; all bytes but the last have the eighth bit set.

A message says nothing of itself, so that any bytes may be read as one until a tag makes no sense. Nothing is believed
of a length before it is held against the end of the message around it, and what a length spans is stepped over.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.errors import CheckpointError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.limits import ENTRIES, effort

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

MAX_VARINT: Final = 10
"""Bytes of one; 64 bits take ten."""

MAX_TAG: Final = (1 << 32) - 1

WINDOW: Final = 64 << 10
"""Bytes of a long message that are read at a time."""

SMALL: Final = 1024
"""Bytes of a message that is likely to be followed by others like it."""

FEW: Final = 32
"""Fields of a message that are not counted: it is itself a field of one whose fields are."""

MANY: Final = 1024
"""Fields that are counted together."""

_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_HEAD: Final = 2 * MAX_VARINT
"""Bytes that a tag and a length, or a tag and a number, can take."""

Field = tuple[int, int, int, int]
"""Number, wire type, offset of the value, and: of a varint its value, of anything else how many bytes it has."""


def read_fields(blob: Blob, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies between two offsets of a blob.

    Raises:
        MalformedError: A tag or varint that cannot be, or a field that reaches past the end of the message.
        TruncatedError: The same where the message is the whole file.
    """
    base, at, count = begin, 0, 0
    length = min(WINDOW, end - begin)
    data = blob.read_near(begin, length) if length <= SMALL else blob.read(begin, length)
    size = len(data)
    while True:
        if at + _HEAD > size and base + size < end:
            base += at
            data, at = blob.read(base, min(WINDOW, end - base)), 0
            size = len(data)
        if at >= size:
            if count >= FEW:
                effort().spend(ENTRIES, count)
            return
        count += 1
        if count == MANY:
            effort().spend(ENTRIES, count)
            count = 0
        try:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = read_varint(data, at - 1)
            wire = tag & 7
            place = base + at
            if wire in (VARINT, BYTES):
                value = data[at]
                at += 1
                if value > 0x7F:
                    value, at = read_varint(data, at - 1)
            else:
                value = _FIXED.get(wire, -1)
        except IndexError:
            raise _overrun(blob, base + at, 1, end) from None
        if not 8 <= tag <= MAX_TAG or value < 0:
            raise MalformedError(f"no field of a protobuf message at byte {blob.begin + place:,}")
        if wire == VARINT:
            yield tag >> 3, wire, place, value
            continue
        place = base + at
        if place + value > end:
            raise _overrun(blob, place, value, end)
        yield tag >> 3, wire, place, value
        at += value


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at an offset, and the offset behind it.

    Raises:
        IndexError: The data end before it does.
        MalformedError: It is longer than 64 bits can be.
    """
    value = shift = 0
    for position in range(at, at + MAX_VARINT):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
        shift += 7
    raise MalformedError(f"a number of a protobuf message has more than {MAX_VARINT} bytes")


def to_signed(value: int) -> int:
    """A varint as the int64 that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def _overrun(blob: Blob, at: int, length: int, end: int) -> CheckpointError:
    """What to say of a field that would end behind its message."""
    if end >= blob.size:
        return TruncatedError(
            f"a field of {length:,} bytes begins at byte {blob.begin + at:,}, the file ends at {blob.begin + end:,}"
        )
    return MalformedError(
        f"a field of {length:,} bytes at byte {blob.begin + at:,} reaches past the end of its message at "
        f"{blob.begin + end:,}"
    )
