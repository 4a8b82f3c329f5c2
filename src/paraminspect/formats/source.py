"""From what the user typed to a checkpoint: paths, folders, pipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from paraminspect.errors import CheckpointError, ParamInspectError, SourceError
from paraminspect.formats.blob import Blob
from paraminspect.formats.limits import MAX_JSON_BYTES
from paraminspect.formats.sniff import HEAD_BYTES, check_head, read_blob
from paraminspect.records import Checkpoint

STDIN: Final = "-"
PIPE_WAIT_MS: Final = 1000
"""How long a named pipe may stay without a writer."""

MAX_SUGGESTED: Final = 2_000
"""Names of a folder among which one is looked for that was meant."""

SPOOL_CHUNK: Final = 1 << 20


def open_source(source: str | os.PathLike[str]) -> Checkpoint:
    """What a model file, a folder of them, or standard input holds.

    Headers only: no tensor data is read, nothing of the file is executed or imported, torch is not needed.

    Args:
        source: A path to a file or folder, or "-" for standard input. The format is recognised by content.

    Returns:
        Every tensor, aliases, buffers and optimizer state included, in the order of the file.

    Raises:
        ParamInspectError: `source` is set to what was given; see `paraminspect.errors` for the tree.

    Example:
        >>> open_source("model.safetensors").tensors[0].name
        'h.0.attn.c_attn.bias'
    """
    text = os.fspath(source)
    with _named(text):
        checkpoint = _read_standard_input() if text == STDIN else read_path(text)
        return replace(checkpoint, source=text)


def read_path(path: str) -> Checkpoint:
    """One file or folder; errors do not know its name yet."""
    with _plain_os_errors():
        try:
            status = _stat(path)
        except FileNotFoundError:
            raise _missing(path) from None
        if stat.S_ISDIR(status.st_mode):
            return _read_folder(path)
        if stat.S_ISREG(status.st_mode):
            return _read_file(path, os.open(path, os.O_RDONLY), status.st_size)
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            return _read_pipe(path)
    raise SourceError("not a regular file (a device)", hint="name a model file, a folder, or - for standard input")


def _missing(path: str) -> SourceError:
    """What to say of a path that leads nowhere: a name much like it, or the part of it that is missing."""
    scheme, separator, _ = path.partition("://")
    if separator and scheme.isalnum():
        fetch = f"curl -sL {path} | paraminspect list -" if scheme.startswith("http") else "fetch the file first"
        return SourceError("a URL; only files, folders and standard input can be read", hint=fetch)
    folder, name = os.path.split(path)
    if folder and not os.path.isdir(folder):
        return SourceError("no such file or folder", hint=f"there is no folder {folder!r}")
    from difflib import get_close_matches
    from itertools import islice

    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, MAX_SUGGESTED)]
    except OSError:
        names = []
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {os.path.join(folder, close[0])!r}?" if close else None
    return SourceError("no such file or folder", hint=hint)


def _read_folder(path: str) -> Checkpoint:
    from paraminspect.formats.distributed import METADATA_FILE, read_distributed

    metadata = os.path.join(path, METADATA_FILE)
    if os.path.isfile(metadata):
        size = os.path.getsize(metadata)
        blob = Blob(size, fd=os.open(metadata, os.O_RDONLY), path=metadata)
        checkpoint = read_distributed(blob, path)
        files = (metadata, *checkpoint.files)
        return replace(checkpoint, files=files, nbytes=sum(os.path.getsize(file) for file in files))
    from paraminspect.formats.sharded import read_folder

    return _with_config(read_folder(path, read_shard), path)


def _with_config(checkpoint: Checkpoint, folder: str) -> Checkpoint:
    """With the ties that a `config.json` beside the model declares."""
    path = os.path.join(folder, "config.json")
    if not os.path.lexists(path):
        return checkpoint
    from paraminspect.formats.hugging_face import add_config

    return add_config(checkpoint, path)


def read_shard(path: str) -> Checkpoint:
    """One file of a folder, which is no index; its errors name it."""
    with _named(os.path.basename(path)):
        with _plain_os_errors():
            status = _stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError("not a regular file")
            blob = Blob(status.st_size, fd=os.open(path, os.O_RDONLY), path=path)
        checkpoint = read_blob(blob)
        return replace(checkpoint, nbytes=max(blob.size, checkpoint.nbytes), files=checkpoint.files or (path,))


def _read_file(path: str, fd: int, size: int) -> Checkpoint:
    blob = Blob(size, fd=fd, path=path)
    if _is_index(blob):
        from paraminspect.formats.sharded import read_index

        return _with_config(read_index(path, read_shard), os.path.dirname(path))
    checkpoint = read_blob(blob)
    # those of ONNX may be several
    return replace(checkpoint, nbytes=max(size, checkpoint.nbytes), files=checkpoint.files or (path,))


def _is_index(blob: Blob) -> bool:
    """Whether a file is the JSON that maps names to shards."""
    head = blob.read_up_to(0, 64)
    # a safetensors header may be as long as the code of a brace; the zeros above it tell
    return head.lstrip()[:1] == b"{" and b"\0" not in head and b'"weight_map"' in blob.read_up_to(0, MAX_JSON_BYTES)


def _read_pipe(path: str) -> Checkpoint:
    """A named pipe, or what `<(command)` stands for."""
    import select

    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        if not poller.poll(PIPE_WAIT_MS):
            raise SourceError("nothing is written into this pipe")
        os.set_blocking(fd, True)
        return _spool(fd)
    finally:
        os.close(fd)


def _stat(path: str) -> os.stat_result:
    if not path:
        raise SourceError("the name is empty")
    try:
        return os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise SourceError(f"a symbolic link to {os.readlink(path)!r}, which is not there") from None
        raise
    except ValueError as error:  # a zero byte, or half a surrogate pair
        raise SourceError(str(error)) from None


def _read_standard_input() -> Checkpoint:
    try:
        status = os.fstat(0)
    except OSError:
        raise SourceError("standard input is closed") from None
    with _plain_os_errors():
        return _read_descriptor(status)


def _read_descriptor(status: os.stat_result) -> Checkpoint:
    if stat.S_ISREG(status.st_mode) and os.lseek(0, 0, os.SEEK_CUR) == 0:
        checkpoint = read_blob(Blob(status.st_size, fd=os.dup(0)))
        return replace(checkpoint, nbytes=status.st_size)
    if os.isatty(0):
        raise SourceError(
            "standard input is a terminal", hint="pipe a model file into it: curl -s URL | paraminspect list -"
        )
    return _spool(0)


def _spool(fd: int) -> Checkpoint:
    """Copy a stream to a temporary file without a name, then read that; a stream may be endless, so look first.

    The copy of a named pipe stays open as long as the checkpoint lives, so that its values can be read.
    """
    import tempfile

    head = b""
    while len(head) < HEAD_BYTES and (chunk := os.read(fd, SPOOL_CHUNK)):
        head += chunk
    check_head(head[:HEAD_BYTES])
    with tempfile.TemporaryFile() as spool:
        spool.write(head)
        while chunk := os.read(fd, SPOOL_CHUNK):
            spool.write(chunk)
        spool.flush()
        size = spool.tell()
        copy = os.dup(spool.fileno())
        blob = Blob(size, fd=copy, path=f"/dev/fd/{copy}" if fd else None)
        checkpoint = read_blob(blob)
    return replace(checkpoint, nbytes=size, kept_open=blob if fd else None)


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Errors learn what the user typed; inside a folder, the file comes behind the folder."""
    try:
        yield
    except ParamInspectError as error:
        if error.source is not None:
            error.message = f"{error.source}: {error.message}"
        error.source = source
        raise
    except MemoryError:
        raise CheckpointError("reading it takes more memory than there is", source=source) from None
    except RecursionError:
        raise CheckpointError("nested too deeply", source=source) from None


@contextmanager
def _plain_os_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SourceError("no such file or folder") from None
    except PermissionError:
        raise SourceError("no permission to read it") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError(reason[:1].lower() + reason[1:]) from None
