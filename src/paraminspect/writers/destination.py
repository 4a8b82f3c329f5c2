"""What stands where an output is to go, and whether it may be replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from paraminspect.errors import TargetError
from paraminspect.files.door import place_of
from paraminspect.files.reasons import hint_for, with_reason
from paraminspect.files.storing import free_space, open_device
from paraminspect.files.system import descriptor_in
from paraminspect.text import format_bytes, list_some, quote

if TYPE_CHECKING:  # what a small file does not wait for
    from paraminspect.writers.layout import Layout

MAX_NAMED: Final = 3
"""Files that a message names."""


def is_stream(path: str) -> bool:
    """Whether it is what cannot be replaced by a file: a device, a pipe, one of our own descriptors."""
    _check_name(path)
    if descriptor_in(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream_at(path: str) -> int | None:
    """A descriptor of a stream; None where a file is to be written."""
    if not is_stream(path):
        return None
    number = descriptor_in(path)
    return open_device(path) if number is None else os.dup(number)


def _check_name(path: str) -> None:
    if not path:
        raise TargetError("the name of the output is empty")
    if not place_of(path).is_writable:
        raise TargetError("a URL cannot be written to", hint="name a file of this machine")
    try:
        if b"\0" in os.fsencode(path):
            raise TargetError("cannot be written: a zero byte in its name")
    except UnicodeEncodeError:
        raise TargetError("cannot be written: half a surrogate pair in its name") from None


def resolve(path: str) -> str:
    """The absolute path a name leads to, through symbolic links; its folder is there."""
    resolved = os.path.realpath(path)
    folder, name = os.path.split(resolved)
    if not os.path.isdir(folder):
        raise TargetError(f"cannot be written: there is no folder {folder!r}")
    if not name:
        raise TargetError("the root folder cannot be replaced")
    return resolved


def check_file(target: str, path: str, force: bool) -> os.stat_result | None:
    """The status of the file that is to be replaced; None if there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        if path.endswith("/"):
            raise TargetError("it is named as a folder, and one file is to be written") from None
        return None
    if stat.S_ISDIR(status.st_mode):
        raise TargetError("it is a folder, and one file is to be written", hint="name a file")
    if not force:
        raise TargetError("it is there already", hint="--force replaces it")
    return status


def check_before(path: str, *, force: bool) -> None:
    """Raise before long work what would be said after it of the place of a file."""
    with explained(path):
        if not is_stream(path):
            check_file(resolve(path), path, force)


def check_folder(target: str, layout: Layout, force: bool) -> None:
    """Raise if a folder cannot take the place of what is there."""
    if not os.path.lexists(target):
        return
    if not os.path.isdir(target):
        raise TargetError("it is a file, and a folder is to be written", hint="choose another name")
    names = sorted(os.listdir(target))
    if names and not force:
        raise TargetError("it is there already", hint="--force replaces it")
    written = {file.name.partition("/")[0] for file in layout.files}
    foreign = [name for name in names if name not in written and not _is_of_checkpoint(os.path.join(target, name))]
    if foreign:
        raise TargetError(
            f"the folder also holds {list_some([quote(name) for name in foreign], MAX_NAMED)}, which would be lost",
            hint="choose another name, or move them away",
        )


def _is_of_checkpoint(path: str) -> bool:
    """Whether a file is one of those that a folder of a model has by its nature."""
    from paraminspect.formats.folder_models import MODEL_ENDINGS, is_index
    from paraminspect.formats.table import DISTRIBUTED

    name = os.path.basename(path)
    return os.path.isfile(path) and bool(
        name.lower().endswith((*MODEL_ENDINGS, *DISTRIBUTED.endings)) or name in DISTRIBUTED.names or is_index(name)
    )


def check_space(needed: int, fd: int | None, folder: str) -> None:
    """Raise if the file system of a folder, where this file is open, says that it has not as many bytes."""
    free = free_space(fd, folder)
    if free is not None and needed > free:
        raise TargetError(
            f"there is not enough space: {format_bytes(needed)} needed, {format_bytes(free)} free",
            hint="make room, or write elsewhere",
        )


def target_error(error: OSError, path: str) -> TargetError:
    """The error of the user for one of the system."""
    return TargetError(with_reason("cannot be written", error, "write there"), hint=hint_for(error), source=path)


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of the system become errors of the output; that a reader of a pipe has gone stays what it is.

    Args:
        path: As the user typed it.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise target_error(error, path) from None
    except TargetError as error:
        error.source = error.source or path
        raise
