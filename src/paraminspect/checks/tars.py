"""Tar archives of torch 0.1: three members that hold pickles between raw numbers, and whatever else is packed with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, scan_part
from paraminspect.checks.pickles import scan_pickle
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import StorageType
from paraminspect.formats.pytorch.tar import BLOCK, MAX_COUNT
from paraminspect.records import Finding

MAX_MEMBERS: Final = 10_000
LINKS: Final = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}
"""Types of members that are no files."""

_MAX_NDIM: Final = 64


def scan_tar(blob: Blob, place: Place) -> Iterator[Finding]:
    """Findings of all members; nothing is unpacked and no link followed."""
    position = 0
    for _ in range(MAX_MEMBERS):
        header = blob.read_up_to(position, BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            return
        name = header[:100].rstrip(b"\0").decode("utf-8", "backslashreplace")
        size_text = header[124:136].strip(b" \0") or b"0"
        if not size_text.isdigit() or b"8" in size_text or b"9" in size_text:
            yield find("malformed", name, "a tar header without a size", path=place.path, offset=place.offset(position))
            return
        size = int(size_text, 8)
        yield from _check_member(header, name, place, position)
        data = position + BLOCK
        if header[156:157] in (b"0", b"\0", b"7"):
            if data + size > blob.size:
                message = f"{size:,} bytes declared, {max(0, blob.size - data):,} are there"
                yield find("truncated", name, message, path=place.path, offset=place.offset(data))
                return
            yield from _scan_member(blob.part(data, size), name, place.inside(name, place.offset(data)))
        position = data + -(-size // BLOCK) * BLOCK
    yield find("limit", place.name, f"more than {MAX_MEMBERS:,} members in a tar", path=place.path)


def find_members(blob: Blob) -> Iterator[tuple[int, int]]:
    """Begin and end of each file in the archive, up to what is no header."""
    position = 0
    for _ in range(MAX_MEMBERS):
        header = blob.read_up_to(position, BLOCK)
        size_text = header[124:136].strip(b" \0") or b"0"
        if not header.strip(b"\0") or not set(size_text) <= set(b"01234567"):
            return
        begin, size = position + BLOCK, int(size_text, 8)
        if header[156:157] in (b"0", b"\0", b"7"):
            yield begin, begin + size
        position = begin + -(-size // BLOCK) * BLOCK


def _check_member(header: bytes, name: str, place: Place, position: int) -> Iterator[Finding]:
    at = place.offset(position)
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith("/"):
        yield find("path-escape", name, "the name of a tar member leads outside", path=place.path, offset=at)
    kind = LINKS.get(header[156:157])
    if kind:
        target = header[157:257].rstrip(b"\0").decode("utf-8", "backslashreplace")
        yield find("archive-link", name, f"{kind} to {target!r}", path=place.path, offset=at)


def _scan_member(blob: Blob, name: str, place: Place) -> Iterator[Finding]:
    base = name.removeprefix("./").rpartition("/")[2]
    if base in ("storages", "tensors"):
        yield from _scan_table(blob, place, storages=base == "storages")
    elif blob.size:
        yield from scan_part(blob, place)


def _scan_table(blob: Blob, place: Place, *, storages: bool) -> Iterator[Finding]:
    """A count, then for each storage or tensor a pickle and raw numbers; behind the storages their views."""
    trace, found = scan_pickle(blob, 0, place)
    yield from found
    position, count = trace.end, trace.value
    if trace.error is not None or type(count) is not int or not 0 <= count <= MAX_COUNT:
        if trace.error is None:
            yield find("malformed", place.name, "does not begin with a count", path=place.path)
        return
    for _ in range(count):
        trace, found = scan_pickle(blob, position, place)
        yield from found
        if trace.error is not None:
            return
        position = trace.end
        if storages:
            kind = trace.value[2] if isinstance(trace.value, tuple) and len(trace.value) == 3 else None
            itemsize = kind.itemsize if isinstance(kind, StorageType) else 1
            position += 8 + max(0, int.from_bytes(blob.read(position, 8), "little", signed=True)) * itemsize
        else:
            ndim = int.from_bytes(blob.read(position, 4), "little", signed=True)
            position += 8 + 8 * (2 * min(max(ndim, 0), _MAX_NDIM) + 1)
        if position > blob.size:
            yield find("truncated", place.name, "ends inside its numbers", path=place.path)
            return
    if storages:
        _, found = scan_pickle(blob, position, place)
        yield from found
