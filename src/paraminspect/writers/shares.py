"""A folder that several processes write together, each whole files of it.

One of them writes the folder as if it were alone (`whole_files.open_target`): it makes all files, with what is known of
them beforehand, and lets the folder take its name in the end. The others open the files that are theirs, in between.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from paraminspect.errors import TargetError
from paraminspect.files.storing import create, open_folder, open_inside
from paraminspect.text import quote
from paraminspect.writers.destination import explained
from paraminspect.writers.layout import Layout
from paraminspect.writers.sink import FileSink, Sink

NONCE = ".paraminspect-nonce"
"""A file by which the others see that the folder they look at is the one that was made."""


def leave_nonce(folder: str, nonce: str) -> None:
    """Put it into the folder, which others open next."""
    fd = create(os.path.join(folder, NONCE), 0o600)
    try:
        os.write(fd, nonce.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def find_nonce(folder: str, nonce: str, path: str) -> None:
    """Raise unless this process sees the folder that the other one has made.

    Raises:
        TargetError: It does not.
    """
    try:
        with open(os.path.join(folder, NONCE), encoding="utf-8") as file:
            found = file.read()
    except OSError:
        found = ""
    if found != nonce:
        raise TargetError(
            f"what rank 0 writes to {quote(os.path.dirname(folder))} is not seen here",
            hint="name a folder on storage that all hosts share",
            source=path,
        )


def remove_nonce(folder: str) -> None:
    """Take it away before the folder gets its name."""
    os.unlink(os.path.join(folder, NONCE))


@contextmanager
def open_share(layout: Layout, path: str, folder: str, files: Collection[int]) -> Iterator[Sink]:
    """Write some of the files.

    Args:
        path: What the user typed, for errors.
        folder: Where the files lie while they are written.
        files: Those that this process writes.

    Yields:
        Takes the values of the tensors in these files. On leaving they are on the disk.

    Raises:
        TargetError: The system refuses.
        ValueError: Not all bytes were put.
    """
    with explained(path):
        fd = open_folder(folder)

    @contextmanager
    def open_file(file: int) -> Iterator[int]:
        one = open_inside(fd, folder, layout.files[file].name)
        try:
            yield one
        finally:
            os.close(one)

    sink = FileSink(layout, path, open_file)
    sink.leave_to_others(index for index, slot in enumerate(layout.slots) if slot.file not in files)
    try:
        yield sink
        sink.close()
        sink.check_complete()
        with explained(path):
            for file in files:
                sink.write_checksums(file)
                with open_file(file) as one:
                    os.fsync(one)
    finally:
        if sink.close() and fd is not None:
            os.close(fd)
