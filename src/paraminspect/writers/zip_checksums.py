"""The CRC-32s that a zip has of members whose bytes change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from paraminspect.errors import CheckpointError
from paraminspect.files.blob import open_blob
from paraminspect.formats.packed import find_model
from paraminspect.formats.zip_file import STORED, ZipDirectory, ZipEntry, find_crc_fields, read_zip_directory
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Checksum

CRC_BYTES: Final = 4
_ZIP: Final = b"PK\3\4"


Place = tuple[int, tuple[int, int]]
"""Offset of a CRC, and begin and size of the data it is of."""


class Changed(NamedTuple):
    """The bytes of a file that a tensor gets, which is named by its index."""

    begin: int
    end: int
    tensor: int


def find_checksums(path: str | None, inside: Sequence[Changed]) -> tuple[Checksum, ...]:
    """What is to be corrected in a file; nothing if it is no zip.

    Args:
        path: Of the file; None for standard input.
        inside: What changes, in ascending order and without overlap.
    """
    blob = find_model(open_blob(path))
    if blob.read_up_to(0, len(_ZIP)) != _ZIP:
        return ()
    inside = [Changed(each.begin - blob.begin, each.end - blob.begin, each.tensor) for each in inside]
    directory = read_zip_directory(blob)
    members = _changed_members(directory, inside)
    found = {(place, members[header]) for header, places in find_crc_fields(directory, members) for place in places}
    places: dict[tuple[int, int], list[int]] = {}
    for place, member in _without_overlap(sorted(found), inside):
        places.setdefault(member, []).append(place)
    whole = {(each.begin, each.end - each.begin): each.tensor for each in inside}
    return tuple(
        Checksum(whole.get((begin, size)), blob.begin + begin, size, tuple(blob.begin + at for at in where))
        for (begin, size), where in places.items()
    )


def _changed_members(directory: ZipDirectory, inside: Sequence[Changed]) -> dict[int, tuple[int, int]]:
    """Begin and size of the data of the members that change, by the offset of their local header."""
    changed = {}
    position = 0
    for begin, entry in sorted(_stored_members(directory)):
        while position < len(inside) and inside[position].end <= begin:
            position += 1
        if position < len(inside) and inside[position].begin < begin + entry.size:
            changed[entry.header_offset] = (begin, entry.size)
    return changed


def _stored_members(directory: ZipDirectory) -> Iterator[tuple[int, ZipEntry]]:
    """Where the data of each member begin that lie in the file as they are; broken ones hold no tensor of ours."""
    for entry in (*directory.entries.values(), *directory.shadowed):
        if entry.method == STORED and not entry.encrypted:
            with suppress(CheckpointError):
                yield directory.data_offset(entry), entry


def _without_overlap(places: Sequence[Place], inside: Sequence[Changed]) -> list[Place]:
    """The places that meet neither each other nor what changes, as they may in a zip whose members overlap.

    Args:
        places: In ascending order.
    """
    free: list[Place] = []
    at = 0
    for place in places:
        begin, end = place[0], place[0] + CRC_BYTES
        while at < len(inside) and inside[at].end <= begin:
            at += 1
        meets = at < len(inside) and inside[at].begin < end
        if not meets and not (free and free[-1][0] + CRC_BYTES > begin):
            free.append(place)
    return free
