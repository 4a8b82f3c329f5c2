"""Tar archives of torch 0.1: three members that hold pickles between raw numbers, and whatever else is packed with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, scan_part
from paraminspect.checks.pickles import scan_pickle
from paraminspect.errors import CheckpointError, LimitExceededError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.inert import StorageType
from paraminspect.formats.pytorch.tar import MAX_COUNT
from paraminspect.formats.tar_file import FILES, LINKS, MAX_MEMBERS, TarMember, list_members
from paraminspect.summaries import Finding

_MAX_NDIM: Final = 64


def scan_tar(blob: Blob, place: Place) -> Iterator[Finding]:
    """Findings of all members; nothing is unpacked and no link followed."""
    for member in list_members(blob, MAX_MEMBERS):
        yield from _check_member(member, place)
        if member.kind not in FILES:
            continue
        if member.begin + member.size > blob.size:
            message = f"{member.size:,} bytes declared, {max(0, blob.size - member.begin):,} are there"
            yield find("truncated", member.name, message, path=place.path, offset=place.offset(member.begin))
            return
        inner = place.inside(member.name, place.offset(member.begin))
        yield from _scan_member(blob.part(member.begin, member.size), member.name, inner)


def find_members(blob: Blob) -> Iterator[tuple[int, int]]:
    """Begin and end of each file in the archive, up to what is no header."""
    with suppress(CheckpointError, LimitExceededError):
        for member in list_members(blob, MAX_MEMBERS):
            if member.kind in FILES:
                yield member.begin, member.begin + member.size


def _check_member(member: TarMember, place: Place) -> Iterator[Finding]:
    at = place.offset(member.header)
    parts = member.name.replace("\\", "/").split("/")
    if ".." in parts or member.name.startswith("/"):
        yield find("path-escape", member.name, "the name of a tar member leads outside", path=place.path, offset=at)
    kind = LINKS.get(member.kind)
    if kind:
        message = f"{kind} to {member.target!r}"
        yield find("archive-link", member.name, message, path=place.path, offset=at)


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
