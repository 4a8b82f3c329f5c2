"""In which format a file is written, decided by its name and by what stands there."""

from __future__ import annotations

import os
from typing import Final

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.formats.table import FORMATS, SAFETENSORS, SHARDS, Format, format_of
from paraminspect.records import Checkpoint

STDOUT: Final = "-"
SHARD_SIZE: Final = "5GB"
"""Of a folder, unless --shard-size says another."""


def choose_format(file: str, checkpoint: Checkpoint, own: Format | None, *, sharded: bool) -> Format:
    """The format that a name asks for.

    Args:
        own: Its own format, which its own file and one that ends like it keep, whatever their names; None where that
            is not one to be edited.
        sharded: Whether --shard-size is given.

    Raises:
        ParamInspectError: Shards that are to go into one file.
        SourceError: The name does not say it.
    """
    ending = os.path.splitext(file)[1]
    asked = next((row for row in FORMATS if ending.lower() in row.asked_by), None)
    if sharded:
        if file == STDOUT or os.path.isfile(file) or asked is not None:
            raise ParamInspectError(f"--shard-size writes a folder; {file} is none", hint="-o FOLDER")
        return SHARDS
    is_bare = not ending and not os.path.exists(file)
    if file.endswith(SHARDS.asked_by) or os.path.isdir(file) or (is_bare and file != STDOUT and own is SHARDS):
        return SHARDS
    if file == STDOUT:
        return SAFETENSORS
    if asked is not None:
        return asked
    if own is not None and ends_like(file, checkpoint):
        return own
    if os.path.exists(file):
        if is_stream(file):
            return SAFETENSORS
        if file in checkpoint.files and (own is not None or not checkpoint.member):
            return own or SAFETENSORS
    raise SourceError(
        f"-o {file}: what kind of file?", hint="end its name in .safetensors or .pt, or in / for a folder of shards"
    )


def ends_like(file: str, checkpoint: Checkpoint) -> bool:
    """Whether a name ends as one of the checkpoint's own files does."""
    return os.path.splitext(file)[1] in {os.path.splitext(path)[1] for path in checkpoint.files} - {""}


def own_format(checkpoint: Checkpoint) -> Format | None:
    """The format of a checkpoint, if its files can be edited in place."""
    row = format_of(checkpoint)
    return row if row is not None and row.editor else None


def is_stream(file: str) -> bool:
    """Whether a path leads to something that is written into: a FIFO, a device."""
    return os.path.exists(file) and not os.path.isfile(file) and not os.path.isdir(file)
