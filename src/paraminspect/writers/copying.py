"""Bytes from file to file, a chunk at a time; by the kernel where it can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from paraminspect.errors import ChangedError, FarError, SourceError, TruncatedError
from paraminspect.files import system
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.paths import shown
from paraminspect.files.reasons import reason_of
from paraminspect.files.storing import copy_in_kernel, write_all
from paraminspect.writers.layout import Copy, FileLayout

KERNEL_CHUNK: Final = 64 << 20
"""Bytes the kernel copies at a time: Ctrl-C is seen in between."""

CHUNK: Final = 1 << 20
"""Bytes that pass through our memory at a time."""

PAGE: Final = 4096
"""Bytes the kernel copies, or lets two files share, at a time."""

Sources = dict[str | None, Blob]
"""What is open, by path; None is standard input."""


@contextmanager
def open_sources(files: Iterable[FileLayout]) -> Iterator[Sources]:
    """Open every file that is copied from, before anything is renamed.

    Raises:
        SourceError: It is gone, not a regular file, or standard input is a pipe.
    """
    sources: Sources = {}
    try:
        for file in files:
            for piece in file.pieces:
                if isinstance(piece.content, Copy) and piece.content.path not in sources:
                    sources[piece.content.path] = open_regular(piece.content.path)
        yield sources
    finally:
        for opened in sources.values():
            opened.close()


def open_regular(path: str | None) -> Blob:
    """A regular file, to be closed by whoever asks; None is standard input.

    Raises:
        SourceError: It is gone, or something else.
    """
    source = "-" if path is None else shown(path)
    try:
        return open_blob(path)
    except OSError as error:
        raise SourceError(f"cannot be read: {reason_of(error)}", source=source) from None
    except (ChangedError, FarError) as error:
        error.source = source
        raise
    except SourceError:
        hint = "write it to a file first" if path is None else None
        raise SourceError("not a regular file, so it cannot be copied", hint=hint, source=source) from None


def copy_to_file(copy: Copy, sources: Sources, fd: int, offset: int) -> None:
    """Copy to a place in a file, whose position does not matter.

    The kernel does it where the pages of both line up. Where they do not, it would write each page in two parts, which
    takes longer than going through our memory.

    Raises:
        TruncatedError: The source has become shorter.
        OSError: The target cannot be written.
    """
    source = sources[copy.path]
    begin, left = copy.begin, copy.nbytes
    while left and source.fd is not None and (begin - offset) % PAGE == 0:
        done = copy_in_kernel(source.fd, fd, min(left, KERNEL_CHUNK), begin, offset)
        if done is None:
            break
        if not done:
            raise _shorter(copy)
        begin, offset, left = begin + done, offset + done, left - done
    for data in _chunks(source, copy, begin, left):
        write_at(fd, data, offset)
        offset += len(data)


def copy_to_stream(copy: Copy, sources: Sources, fd: int) -> None:
    """Copy to wherever a descriptor stands.

    Raises:
        TruncatedError: The source has become shorter.
        OSError: The target cannot be written.
    """
    for data in _chunks(sources[copy.path], copy, copy.begin, copy.nbytes):
        write_all(fd, data)


def read_chunks(source: Blob, copy: Copy) -> Iterator[memoryview]:
    """The bytes of a file that are meant, a few at a time, each time in the same memory.

    Raises:
        TruncatedError: The file has become shorter.
    """
    return _chunks(source, copy, copy.begin, copy.nbytes)


def read_into(view: memoryview, source: Blob, copy: Copy, begin: int) -> None:
    """Fill memory with bytes of a file.

    Args:
        view: Of bytes; all of it is filled.
        copy: What the bytes are part of, for the error.
        begin: Offset in the file.

    Raises:
        TruncatedError: The file has become shorter.
    """
    end = copy.begin + copy.nbytes  # nothing behind it is fetched in advance
    if source.read_into(view, begin, end) < len(view):
        raise _shorter(copy)


def _chunks(source: Blob, copy: Copy, begin: int, left: int) -> Iterator[memoryview]:
    memory = memoryview(bytearray(min(left, CHUNK)))
    while left:
        part = memory[: min(left, CHUNK)]
        read_into(part, source, copy, begin)
        yield part
        begin, left = begin + len(part), left - len(part)


def _shorter(copy: Copy) -> TruncatedError:
    return TruncatedError(
        "the file became shorter while it was copied", hint="is it being written? try again", source=copy.path or "-"
    )


def read_at(fd: int, length: int, offset: int) -> bytes:
    """Some bytes, at least one, of a file that has them."""
    data = system.read_at(fd, length, offset)
    if not data:
        raise TruncatedError("the file became shorter while it was written", hint="is it being written? try again")
    return data


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of the bytes to a place in a file."""
    view = memoryview(data)
    while view:
        done = system.write_at(fd, view, offset)
        view, offset = view[done:], offset + done
