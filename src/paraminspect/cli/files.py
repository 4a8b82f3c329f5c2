"""Files that a command writes."""

from __future__ import annotations

import os
from collections.abc import Iterable

from paraminspect.cli.output import Output
from paraminspect.errors import SourceError


def write_whole(file: str, pieces: Iterable[bytes], output: Output) -> None:
    """Write to standard output ("" or "-"), or to a file that appears whole or not at all.

    Raises:
        SourceError: The file cannot be written.
        OutputError: Standard output cannot be.
    """
    if file in ("", "-"):
        output.write_bytes(pieces)
        return
    import tempfile

    folder, name = os.path.split(os.path.abspath(file))
    try:
        handle, path = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    except OSError as error:
        raise SourceError(f"{file} cannot be written: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(path, 0o666 & ~umask)
        os.replace(path, file)
    except BaseException as error:
        os.unlink(path)
        if isinstance(error, OSError):
            raise SourceError(f"{file} cannot be written: {error.strerror or error}") from None
        raise
