"""Standard input that may be a spec or a checkpoint: looked at without being used up."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from paraminspect.errors import UnknownFormatError
from paraminspect.files.system import name_of, read_at

STDIN = "-"
_CHUNK = 1 << 20


def is_spec_on_stdin() -> bool:
    """Whether standard input is a spec.

    A pipe is first copied to a temporary file that takes its place, so that it can be read again; one that begins like
    no model file is copied only as far as a spec may reach.

    Raises:
        UnknownFormatError: It is neither a spec nor a model file.
    """
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        _replace_by_file()
    elif not stat.S_ISREG(mode) or os.lseek(0, 0, os.SEEK_CUR):
        return False
    if b"\0" in read_at(0, 512, 0):
        return False
    from paraminspect.architecture.recognise import looks_like_spec

    return looks_like_spec(read_spec_text())


def read_spec_text() -> bytes:
    """What is on standard input, one byte more than a spec may have at most."""
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES

    return read_at(0, MAX_SPEC_BYTES + 1, 0)


def read_config_text() -> bytes:
    """The same of standard input that need be no spec: a file of rule sets has no model."""
    if not stat.S_ISREG(os.fstat(0).st_mode):
        _replace_by_file(anything=True)
    return read_spec_text()


def _replace_by_file(*, anything: bool = False) -> None:
    import tempfile

    from paraminspect.formats.sniff import HEAD_BYTES, check_head

    head = b""
    while len(head) < HEAD_BYTES and (chunk := os.read(0, HEAD_BYTES - len(head))):
        head += chunk
    foreign: UnknownFormatError | None = None
    room = 1 << 62
    try:
        check_head(head)
    except UnknownFormatError as error:
        if b"\0" in head and not anything:
            raise
        from paraminspect.architecture.recognise import MAX_SPEC_BYTES

        foreign = error
        room = MAX_SPEC_BYTES + 1
    with tempfile.TemporaryFile() as spool:
        spool.write(head)
        while spool.tell() < room and (chunk := os.read(0, _CHUNK)):
            spool.write(chunk)
        spool.flush()
        spool.seek(0)
        os.dup2(spool.fileno(), 0)
    if foreign is not None and not anything:
        from paraminspect.architecture.recognise import looks_like_spec

        if not looks_like_spec(read_spec_text()):
            raise foreign


@contextmanager
def as_file(source: str) -> Iterator[str]:
    """A name under which a source can be opened more than once: a pipe is copied to a temporary file first.

    Standard input that is a pipe has been replaced by a file already (`is_spec_on_stdin`).
    """
    try:
        is_pipe = source != STDIN and stat.S_ISFIFO(os.stat(source).st_mode)
    except (OSError, ValueError):
        is_pipe = False
    if not is_pipe:
        yield source
        return
    import shutil
    import tempfile

    with tempfile.TemporaryFile() as spool:
        with open(source, "rb", buffering=0) as pipe:
            shutil.copyfileobj(pipe, spool, _CHUNK)
        spool.flush()
        yield name_of(spool.fileno())
