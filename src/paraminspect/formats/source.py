"""From what the user typed to a checkpoint: paths, folders, pipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, BinaryIO, Final

from paraminspect.errors import CheckpointError, ParamInspectError, SourceError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.door import is_there, look, place_of
from paraminspect.files.local import LocalFile
from paraminspect.files.paths import base_name, folder_of, join, plain_path, shown
from paraminspect.files.seen import note_all
from paraminspect.files.system import name_of, open_pipe
from paraminspect.formats.brief import Brief
from paraminspect.formats.json_text import MAX_JSON_BYTES
from paraminspect.formats.roles import may_hold_copies, settle_roles
from paraminspect.formats.sniff import HEAD_BYTES, check_head, find_brief, read_blob
from paraminspect.formats.table import DISTRIBUTED
from paraminspect.limits import one_effort
from paraminspect.names.suggestions import find_file
from paraminspect.records import Checkpoint

STDIN: Final = "-"
PIPE_WAIT_MS: Final = 1000
"""How long a named pipe may stay without a writer."""

MAX_SUGGESTED: Final = 2_000
"""Names of a folder among which one is looked for that was meant."""

MAX_MANIFEST_BYTES: Final = 1 << 20
MANIFEST_MARK: Final = b"application/vnd.ollama.image."

SPOOL_CHUNK: Final = 1 << 20

QUANTISED_TYPES: Final = frozenset(
    {"int8", "uint8", "int32", "uint32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}
)
"""A checkpoint without any of these holds no quantised weights in several tensors."""


def open_source(source: str | os.PathLike[str]) -> Checkpoint:
    """What a model file, a folder of them, or standard input holds.

    Headers only: no tensor data is read, nothing of the file is executed or imported, torch is not needed.

    Args:
        source: A path to a file or folder, the URL of one (hf://, s3://, gs://, https://), or "-" for standard input.
            The format is recognised by content. Of a URL only the ranges that are needed are fetched.

    Returns:
        Every tensor, aliases, buffers and optimizer state included, in the order of the file.

    Raises:
        ParamInspectError: `source` is set to what was given; see `paraminspect.errors` for the tree.

    Example:
        >>> open_source("model.safetensors").tensors[0].name
        'h.0.attn.c_attn.bias'
    """
    text = os.fspath(source)
    with _Named(shown(text)), one_effort():
        checkpoint = _read_standard_input() if text == STDIN else read_path(text)
        note_all(checkpoint.files)
        return _finished(checkpoint, shown(text))


def open_brief(path: str) -> Brief | None:
    """The names that a file on this machine has; None where only all records tell, or its format has no brief.

    Raises:
        OSError: It cannot be opened.
        ParamInspectError: It is broken, or no regular file.
    """
    with one_effort():
        brief = find_brief(open_blob(path))
    if brief is None or not QUANTISED_TYPES.isdisjoint(brief.dtypes) or may_hold_copies(brief.names):
        return None
    return brief


def _finished(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """What was read, under the name that the user typed: with the roles and meanings that its tensors have together."""
    if checkpoint.declared:
        from paraminspect.formats.stored_twice import merge_copies

        checkpoint = merge_copies(checkpoint)
    checkpoint = with_logical(checkpoint)
    return checkpoint._replace(source=name, tensors=settle_roles(checkpoint.tensors))


def with_logical(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with what its quantised tensors stand for, as they and the `config.json` beside them tell."""
    if QUANTISED_TYPES.isdisjoint(map(attrgetter("dtype"), checkpoint.tensors)):
        return checkpoint
    from paraminspect.formats.quantised.siblings import find_logical

    return find_logical(checkpoint, lambda: _load_config(checkpoint))


def _load_config(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The `config.json` beside the files; {} where there is none that can be read."""
    path = join(folder_of(checkpoint.files[0]), "config.json") if checkpoint.files else ""
    try:
        if not path or not is_there(path):
            return {}
        from paraminspect.formats.sharded import load_json

        return load_json(path, "config.json")
    except (ParamInspectError, OSError):
        return {}


def read_path(path: str) -> Checkpoint:
    """One file or folder; errors do not know its name yet."""
    place = place_of(path)
    place.forget(path)
    with _PLAIN:
        try:
            kind = _look(path)
        except FileNotFoundError:
            raise _missing(path) from None
        if kind == "other":
            raise SourceError(
                "not a regular file (a device)", hint="name a model file, a folder, or - for standard input"
            )
        checkpoint = _READERS[kind](path)
    notes = place.notes(checkpoint.files)
    return checkpoint._replace(notes=(*checkpoint.notes, *notes)) if notes else checkpoint


def _missing(path: str) -> SourceError:
    """What to say of a path that leads nowhere: a name much like it, or the part of it that is missing."""
    folder, name = os.path.split(plain_path(path))
    if folder and not os.path.isdir(folder):
        return SourceError("no such file or folder", hint=f"there is no folder {folder!r}")
    from itertools import islice

    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, MAX_SUGGESTED)]
    except OSError:
        names = []
    close = find_file(name, names)
    hint = f"did you mean {os.path.join(folder, close)!r}?" if close else None
    return SourceError("no such file or folder", hint=hint)


def _read_folder(path: str) -> Checkpoint:
    metadata = join(path, DISTRIBUTED.names[0])
    (found,) = place_of(path).presence([metadata]) or [None]
    if found is not None and found.kind == "file":
        from paraminspect.formats.pytorch.distributed import read_distributed

        blob = open_blob(metadata)
        checkpoint = read_distributed(blob, path)
        sizes = [look(file).size for file in checkpoint.files]
        return checkpoint._replace(files=(metadata, *checkpoint.files), nbytes=blob.size + sum(sizes))
    from paraminspect.formats.folders import read_folder

    return _with_config(read_folder(path, read_shard), path)


def _with_config(checkpoint: Checkpoint, folder: str) -> Checkpoint:
    """With the ties that a `config.json` beside the model declares."""
    path = join(folder, "config.json")
    if not is_there(path):
        return checkpoint
    from paraminspect.formats.declared import add_config

    return add_config(checkpoint, path)


def read_shard(path: str) -> Checkpoint:
    """One file of a folder, which is no index; its errors name it."""
    with _Named(base_name(path)):
        with _PLAIN:
            try:
                blob = open_blob(path)
            except (FileNotFoundError, ValueError):
                _look(path)  # says more of why
                raise
        checkpoint = read_blob(blob)
        return checkpoint._replace(nbytes=max(blob.size, checkpoint.nbytes), files=checkpoint.files or (path,))


def _read_file(path: str) -> Checkpoint:
    blob = open_blob(path)
    if is_index(blob):
        from paraminspect.formats.sharded import read_index

        return _with_config(read_index(path, read_shard), folder_of(path))
    if blob.read_near(0, 1) == b"{" and is_manifest(blob):
        from paraminspect.formats.ollama import read_manifest

        return read_manifest(blob, path, read_shard)
    checkpoint = read_blob(blob)
    # those of ONNX may be several
    return checkpoint._replace(nbytes=max(blob.size, checkpoint.nbytes), files=checkpoint.files or (path,))


def is_index(blob: Blob) -> bool:
    """Whether a file is the JSON that maps names to shards."""
    head = blob.read_up_to(0, 64)
    # a safetensors header may be as long as the code of a brace; the zeros above it tell
    return head.lstrip()[:1] == b"{" and b"\0" not in head and b'"weight_map"' in blob.read_up_to(0, MAX_JSON_BYTES)


def is_manifest(blob: Blob) -> bool:
    """Whether a file is the JSON of Ollama that names the layers of a model."""
    return blob.size <= MAX_MANIFEST_BYTES and MANIFEST_MARK in blob.read_up_to(0, MAX_MANIFEST_BYTES)


def _read_pipe(path: str) -> Checkpoint:
    """A named pipe, or what `<(command)` stands for."""
    fd = open_pipe(path, PIPE_WAIT_MS)
    if fd is None:
        raise SourceError("nothing is written into this pipe")
    try:
        return _spool(lambda: os.read(fd, SPOOL_CHUNK), keep=True)
    finally:
        os.close(fd)


_READERS: Final = {"folder": _read_folder, "file": _read_file, "pipe": _read_pipe}


def _look(path: str) -> str:
    """What kind of thing a path of this machine leads to."""
    if not path:
        raise SourceError("the name is empty")
    try:
        return look(path).kind
    except FileNotFoundError:
        if os.path.islink(path):
            raise SourceError(f"a symbolic link to {os.readlink(path)!r}, which is not there") from None
        raise
    except ValueError as error:  # a zero byte, or half a surrogate pair
        from paraminspect.files.reasons import reason_of

        raise SourceError(reason_of(error)) from None


def _read_standard_input() -> Checkpoint:
    try:
        status = os.fstat(0)
    except OSError:
        raise SourceError("standard input is closed") from None
    with _PLAIN:
        return _read_descriptor(status)


def _read_descriptor(status: os.stat_result) -> Checkpoint:
    if stat.S_ISREG(status.st_mode) and os.lseek(0, 0, os.SEEK_CUR) == 0:
        checkpoint = read_blob(open_blob(None))
        return checkpoint._replace(nbytes=status.st_size)
    if os.isatty(0):
        raise SourceError(
            "standard input is a terminal", hint="pipe a model file into it: curl -s URL | paraminspect list -"
        )
    return _spool(lambda: os.read(0, SPOOL_CHUNK), keep=False)


@contextmanager
def name_file(file: BinaryIO) -> Iterator[str]:
    """What an open file is called; errors learn it, and what Python says of one that cannot be read is said in words.

    Raises:
        SourceError: It is open as text, for writing, or closed.
    """
    name = shown(str(getattr(file, "name", type(file).__name__)))
    with _Named(name), _PLAIN, one_effort():
        try:
            yield name
        except TypeError:
            raise SourceError("the file is open as text", hint="open it with mode 'rb'") from None
        except (ValueError, AttributeError) as error:
            raise SourceError(f"no binary file that can be read: {error}") from None


def open_file(file: BinaryIO, head: bytes = b"") -> Checkpoint:
    """What an open binary file holds, from where it stands to its end; a copy of it stays open with the checkpoint.

    Args:
        file: Open for reading.
        head: What was read of it already.

    Raises:
        ParamInspectError: As `open_source`.
    """
    parts = [head] if head else []
    with name_file(file) as name:
        checkpoint = _spool(lambda: parts.pop() if parts else file.read(SPOOL_CHUNK), keep=True)
        return _finished(checkpoint, name)


def _spool(read: Callable[[], bytes], *, keep: bool) -> Checkpoint:
    """Copy a stream to a temporary file without a name, then read that; a stream may be endless, so look first.

    Args:
        read: Gives the next bytes, none at the end.
        keep: Whether the copy stays open as long as the checkpoint lives, so that its values can be read.
    """
    import tempfile

    head = b""
    while len(head) < HEAD_BYTES and (chunk := read()):
        head += chunk
    check_head(head[:HEAD_BYTES])
    with tempfile.TemporaryFile() as spool:
        spool.write(head)
        while chunk := read():
            spool.write(chunk)
        spool.flush()
        size = spool.tell()
        copy = os.dup(spool.fileno())
        blob = Blob(LocalFile(size, copy), name_of(copy) if keep else None)
        checkpoint = read_blob(blob)._replace(nbytes=size)
    return checkpoint._replace(files=(name_of(copy),), kept_open=blob) if keep else checkpoint


class _Named:
    """Errors learn what the user typed; inside a folder, the file comes behind the folder."""

    __slots__ = ("_source",)

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, ParamInspectError):
            if error.source is not None:
                error.message = f"{error.source}: {error.message}"
            error.source = self._source
        elif isinstance(error, MemoryError):
            raise CheckpointError("reading it takes more memory than there is", source=self._source) from None
        elif isinstance(error, RecursionError):
            raise CheckpointError("nested too deeply", source=self._source) from None


class _PlainErrors:
    """What the system says of a file is said in words."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            from paraminspect.files.reasons import reason_of

            raise SourceError(reason_of(error)) from None


_PLAIN: Final = _PlainErrors()
