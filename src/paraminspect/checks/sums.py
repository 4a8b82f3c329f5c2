"""Checksums of all members of zip archives: every byte is read once, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.checks.pickles import Place
from paraminspect.checks.zips import check_sum, split_archives
from paraminspect.files.blob import Blob
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.records import Finding


def check_sums(blob: Blob, place: Place) -> Iterator[Finding]:
    """Members whose bytes are not those that were written; nothing for a file of another format."""
    if blob.read_up_to(0, 4) == b"PK\3\4":
        for _, part in split_archives(blob)[0]:
            directory = read_zip_directory(part)
            for entry in directory.entries.values():
                yield from check_sum(directory, entry, place)
