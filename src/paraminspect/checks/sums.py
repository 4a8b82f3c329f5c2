"""Checksums of all members of zip archives: every byte is read once, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.checks.codes import find
from paraminspect.checks.pickles import Place
from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.formats.blob import Blob
from paraminspect.formats.zip_directory import read_zip_directory
from paraminspect.records import Finding


def check_sums(blob: Blob, place: Place) -> Iterator[Finding]:
    """Members whose bytes are not those that were written; nothing for a file of another format."""
    if blob.read_up_to(0, 4) != b"PK\3\4":
        return
    from paraminspect.checks.zips import split_archives

    archives, _ = split_archives(blob)
    for _, part in archives:
        directory = read_zip_directory(part)
        for entry in directory.entries.values():
            try:
                for _ in directory.stream(entry):
                    pass
            except ParamInspectError as error:
                code = error.fault if isinstance(error, CheckpointError) else "malformed"
                yield find(code, entry.name, error.message, hint=error.hint, path=place.path)
