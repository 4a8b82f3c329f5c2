"""Which kind of file is written, decided by its name and by what stands there."""

from __future__ import annotations

import os
from typing import Final

from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.records import Checkpoint

STDOUT: Final = "-"
SHARD_SIZE: Final = "5GB"
"""Of a folder, unless --shard-size says another."""

ENDINGS: Final = {
    ".safetensors": "safetensors",
    ".pt": "torch", ".pth": "torch", ".bin": "torch", ".ckpt": "torch", ".tar": "torch", ".pkl": "torch",
    ".gguf": "gguf", ".npz": "npz", ".npy": "npy",
}  # fmt: skip
"""What the name of an output ends in, and the kind of file that is."""

KINDS: Final = {
    "safetensors": "safetensors", "torch zip": "torch", "torch legacy": "torch", "torch tar": "torch",
    "torchscript": "torch", "gguf": "gguf", "npz": "npz", "npy": "npy",
}  # fmt: skip
"""Formats of checkpoints, and the kind of file they are: one is written as another of its kind by changing values only."""


def choose_kind(file: str, checkpoint: Checkpoint, own_kind: str | None, *, sharded: bool) -> str:
    """What kind of file a name asks for: a value of `ENDINGS`, or "folder".

    Args:
        file: As typed after -o.
        checkpoint: What is written.
        own_kind: Its own kind, which its own file and one that ends like it keep, whatever their names; None where it has none of these.
        sharded: Whether --shard-size is given.

    Raises:
        ParamInspectError: Shards that are to go into one file.
        SourceError: The name does not say it.
    """
    if sharded:
        if file == STDOUT or os.path.isfile(file) or os.path.splitext(file)[1].lower() in ENDINGS:
            raise ParamInspectError(f"--shard-size writes a folder; {file} is none", hint="-o FOLDER")
        return "folder"
    is_bare = not os.path.splitext(file)[1] and not os.path.exists(file)
    if file.endswith("/") or os.path.isdir(file) or (is_bare and file != STDOUT and own_kind == "folder"):
        return "folder"
    if file == STDOUT:
        return "safetensors"
    ending = os.path.splitext(file)[1]
    kind = ENDINGS.get(ending.lower())
    if kind is not None:
        return kind
    if own_kind is not None and ending in {os.path.splitext(path)[1] for path in checkpoint.files} - {""}:
        return own_kind
    if os.path.exists(file):
        if is_stream(file):
            return "safetensors"
        if file in checkpoint.files:
            return own_kind or "safetensors"
    raise SourceError(
        f"-o {file}: what kind of file?", hint="end its name in .safetensors or .pt, or in / for a folder of shards"
    )


def own_kind_of(checkpoint: Checkpoint) -> str | None:
    """The kind of file a checkpoint is; None where it is none that is written."""
    return "folder" if checkpoint.format.startswith("sharded ") else KINDS.get(checkpoint.format)


def is_stream(file: str) -> bool:
    """Whether a path leads to something that is written into: a FIFO, a device."""
    return os.path.exists(file) and not os.path.isfile(file) and not os.path.isdir(file)
