"""A small file, such as a page or a picture, that appears whole or not at all. Loads nothing of tensors and layouts."""

from __future__ import annotations

import os
from collections.abc import Iterable

from paraminspect.files.seen import settle
from paraminspect.files.storing import write_all
from paraminspect.writers.destination import check_file, explained, open_stream_at, resolve
from paraminspect.writers.partial import Partial, describe_left


def write_whole(path: str, pieces: Iterable[bytes], *, force: bool = True) -> list[str]:
    """Write a file whose bytes come one after another.

    Args:
        path: Where to, as in `whole_files.open_target`.
        pieces: Its bytes; what they raise leaves the file that was there.
        force: Whether a file that is there is replaced.

    Returns:
        What is to be said of it.

    Raises:
        TargetError: As in `whole_files.open_target`.
    """
    with explained(path):
        fd = open_stream_at(path)
    if fd is not None:
        try:
            for piece in pieces:
                with explained(path):
                    write_all(fd, piece)
        finally:
            os.close(fd)
        return []
    with explained(path):
        target = resolve(path)
        replaced = check_file(target, path, force)
    partial = Partial(target, replaced=replaced)
    try:
        with explained(path):
            partial.make()
        for piece in pieces:
            with explained(path):
                write_all(partial.file, piece)
        with explained(path):
            partial.sync()
        settle()
        with explained(path):
            partial.commit(replace=force)
    finally:
        partial.discard()
        partial.close()
    return describe_left(partial.left)
