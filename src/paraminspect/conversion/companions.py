"""Small files beside the weights of a Hugging Face folder, which its loader needs: they go along, byte for byte.

Only files of known names are taken, none of them code: a folder may hold `modeling_*.py`, which is left behind.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from paraminspect.records import Checkpoint
from paraminspect.units import counted
from paraminspect.writers.layout import FileLayout, Piece

CONFIG: Final = "config.json"
NAMES: Final = frozenset(
    {
        CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "source.spm",
        "target.spm", "sentencepiece.bpe.model", "preprocessor_config.json", "processor_config.json",
        "video_preprocessor_config.json", "chat_template.json", "chat_template.jinja", "adapter_config.json",
    }
)  # fmt: skip
"""What `save_pretrained` of models, tokenizers and processors writes beside weights."""

MAX_BYTES: Final = 64 << 20
"""Of all of them together: they are held in memory."""

MAX_NAMED: Final = 3
"""Files that a remark names."""


def read_companions(checkpoint: Checkpoint, *, whole: bool) -> tuple[tuple[FileLayout, ...], list[str]]:
    """Files to be written beside the weights, and remarks.

    Args:
        checkpoint: The source; only a folder, or an index in one, has companions.
        whole: Whether all its weights are written under their names: else its configuration describes another model.
    """
    folder = checkpoint.source if os.path.isdir(checkpoint.source) else os.path.dirname(checkpoint.source)
    if not checkpoint.source or not (os.path.isdir(checkpoint.source) or checkpoint.format.startswith("sharded ")):
        return (), []
    there = sorted(NAMES.intersection(os.listdir(folder or ".")), key=lambda name: (name != CONFIG, name))
    if not there:
        return (), []
    if not whole:
        return (), [f"not copied, as they describe the whole model: {_listed(there)}"]
    files: list[FileLayout] = []
    left: list[str] = []
    room = MAX_BYTES
    for name in there:
        data = _read(os.path.join(folder, name), room)
        if data is None:
            left.append(name)
            continue
        room -= len(data)
        files.append(FileLayout(name, len(data), (Piece(0, data),)))
    notes = [f"copied as they are: {_listed([file.name for file in files])}"] if files else []
    return tuple(files), notes + ([f"not copied: {_listed(left)}"] if left else [])


def _read(path: str, room: int) -> bytes | None:
    """A regular file of at most so many bytes; None if it is something else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        data = file.read(room + 1)
    return data if len(data) <= room else None


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {counted(more, 'more file')}" if more > 0 else "")
