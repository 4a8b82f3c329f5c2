"""The CRC-32s that a zip has of members whose bytes change."""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from paraminspect.errors import CheckpointError
from paraminspect.formats.blob import Blob
from paraminspect.formats.zip_directory import STORED, ZipDirectory, ZipEntry, find_crc_fields, read_zip_directory
from paraminspect.writers.layout import Checksum

CRC_BYTES: Final = 4
_ZIP: Final = b"PK\3\4"


class Changed(NamedTuple):
    """The bytes of a file that a tensor gets, which is named by its index."""

    begin: int
    end: int
    tensor: int


def find_checksums(path: str | None, size: int, inside: Sequence[Changed]) -> tuple[Checksum, ...]:
    """What is to be corrected in a file; nothing if it is no zip.

    Args:
        path: Of the file; None for standard input.
        size: Of the file.
        inside: What changes, in ascending order and without overlap.
    """
    blob = Blob(size, fd=os.dup(0) if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC), path=path)
    if blob.read_up_to(0, len(_ZIP)) != _ZIP:
        return ()
    directory = read_zip_directory(blob)
    members = _changed_members(directory, inside)
    places: dict[tuple[int, int], set[int]] = {}
    for header, found in find_crc_fields(directory, members):
        places.setdefault(members[header], set()).update(found)
    whole = {(each.begin, each.end - each.begin): each.tensor for each in inside}
    taken = [(each.begin, each.end) for each in inside]
    checksums = []
    for (begin, nbytes), wanted in places.items():
        free = []
        for place in sorted(wanted):  # of a zip whose members overlap, one may be in the way of another
            if not _meets(place, place + CRC_BYTES, taken):
                insort(taken, (place, place + CRC_BYTES))
                free.append(place)
        if free:
            checksums.append(Checksum(whole.get((begin, nbytes)), begin, nbytes, tuple(free)))
    return tuple(checksums)


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


def _meets(begin: int, end: int, taken: Sequence[tuple[int, int]]) -> bool:
    """Whether a range meets one of those that are taken, which are sorted and do not meet each other."""
    at = bisect_left(taken, (end,))
    return at > 0 and taken[at - 1][1] > begin
