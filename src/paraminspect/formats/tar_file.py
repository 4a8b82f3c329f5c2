"""Tar archives, as Python's `tarfile` has them: ustar, GNU's long names and large sizes, pax. Nothing is unpacked.

A header takes a block, and the content of its member follows, filled up to whole blocks. A name or size that the header
has no room for stands before it, as a member of a type of its own.

Source: `tarfile.TarInfo` of CPython, and for the formats GNU tar's manual, "Tar Internals".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple

BLOCK: Final = 512
MAX_MEMBERS: Final = 10_000
MAX_LONG: Final = 1 << 20
"""Bytes of a long name, or of the records of pax, before one member."""

LINKS: Final = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
"""Types of members that are no files."""

FILES: Final = (b"0", b"\0", b"7")
_EMPTY: Final = (*LINKS, b"5")
"""Types that have no content, whatever size they tell."""

_PAX: Final = (b"x", b"g", b"X")


class TarMember(NamedTuple):
    """One file, link or folder of an archive.

    Attributes:
        name: With the folders, as it is written.
        kind: The byte of the header that tells its type.
        target: Of a link; "" of all else.
        header: Offset of its header.
        begin: Offset of its content.
        size: Of its content.
        is_sparse: Whether zeros of it are left out.
    """

    name: str
    kind: bytes
    target: str
    header: int
    begin: int
    size: int
    is_sparse: bool = False

    @property
    def is_file(self) -> bool:
        """Whether its content is that of a file."""
        return self.kind in FILES and not self.name.endswith("/") and not self.is_sparse

    @property
    def path(self) -> str:
        """Its name without the "./" that many archives put before each."""
        return self.name.removeprefix("./")


def list_members(blob: Blob, most: int = MAX_MEMBERS) -> Iterator[TarMember]:
    """The members in their order, up to the blocks of zeros that end an archive, or to the end of the file.

    Raises:
        MalformedError: A header has no size.
        TruncatedError: The file ends inside of one.
        LimitExceededError: There are more than `most`, or a name that is too long.
    """
    position = 0
    general: dict[str, str] = {}
    special: dict[str, str] = {}
    for _ in range(most):
        header = blob.read_near(position, BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            if header.strip(b"\0") or (special and not header):
                raise TruncatedError(f"the file ends at byte {blob.size:,}, inside a tar header")
            return
        kind, size, begin = header[156:157], _size(header, position), position + BLOCK
        if kind in (b"L", b"K", *_PAX):
            text = _long(blob, begin, size)
            if kind in _PAX:
                (general if kind == b"g" else special).update(_records(text))
            else:
                special["path" if kind == b"L" else "linkpath"] = _text(text)
        else:
            said = general | special
            special = {}
            if kind == b"S":
                begin = _behind_map(blob, header, begin)
            size = int(said["size"]) if said.get("size", "").isdecimal() else size
            name, target = said.get("path", _name(header)), said.get("linkpath", _text(header[157:257]))
            size = 0 if kind in _EMPTY else size
            is_sparse = kind == b"S" or any(key.startswith("GNU.sparse.") for key in said)
            yield TarMember(name, kind, target if kind in LINKS else "", position, begin, size, is_sparse)
        position = begin + -(-size // BLOCK) * BLOCK
    if blob.read_up_to(position, BLOCK).strip(b"\0"):
        raise LimitExceededError("members in a tar", limit=most, actual=None)


def expect_end(blob: Blob, what: str) -> None:
    """Look for the blocks of zeros that end an archive, where something is missed in it.

    Raises:
        TruncatedError: There are none, so that it may have stood there.
    """
    last = max((member.begin + member.size for member in list_members(blob)), default=0)
    if len(blob.read_up_to(-(-last // BLOCK) * BLOCK, BLOCK)) < BLOCK:
        raise TruncatedError(f"the file ends at byte {blob.size:,}, before {what}")


def content_of(blob: Blob, member: TarMember) -> Blob:
    """What a member holds.

    Raises:
        TruncatedError: The file ends before.
    """
    missing = member.begin + member.size - blob.size
    if missing > 0:
        raise TruncatedError(
            f"the file ends at byte {blob.size:,}, {missing:,} bytes before the end of its member {quote(member.name)}"
        )
    return blob.part(member.begin, member.size)


def _size(header: bytes, position: int) -> int:
    """Octal digits, or, where they do not suffice, a number to the base of 256 behind a bit that says so."""
    field = header[124:136]
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip() or field.strip(b" \0") or b"0"
    if not set(digits) <= set(b"01234567"):
        raise MalformedError(f"the tar header at byte {position:,} has no size")
    return int(digits, 8)


def _name(header: bytes) -> str:
    """The name, behind the folders for which it has no room."""
    folders, name = _text(header[345:500]), _text(header[:100])
    return f"{folders}/{name}" if folders and header[257:263] == b"ustar\0" else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _long(blob: Blob, begin: int, size: int) -> bytes:
    if size > MAX_LONG:
        raise LimitExceededError("bytes of a name in a tar", limit=MAX_LONG, actual=size)
    return blob.read(begin, size)


def _records(text: bytes) -> Iterator[tuple[str, str]]:
    """The records of pax, each "LENGTH KEY=VALUE" and a line feed; up to what is none."""
    at = 0
    while at < len(text):
        length = text[at : at + 20].partition(b" ")[0]
        if not length.isdigit() or int(length) <= len(length) + 1 or at + int(length) > len(text):
            return
        key, _, value = text[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        yield key.decode("utf-8", "backslashreplace"), value.decode("utf-8", "backslashreplace")
        at += int(length)


def _behind_map(blob: Blob, header: bytes, begin: int) -> int:
    """Where the content of a sparse member of GNU tar begins, whose map may take blocks of its own."""
    goes_on = header[482]
    while goes_on and begin < blob.size:
        goes_on = (blob.read_up_to(begin + 504, 1) or b"\0")[0]
        begin += BLOCK
    return begin
