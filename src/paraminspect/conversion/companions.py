"""Small files beside the weights of a Hugging Face folder, which its loader needs: they go along, byte for byte.

Only files of known names are taken, none of them code: a folder may hold `modeling_*.py`, which is left behind.
"""

from __future__ import annotations

import os
from typing import Final

from paraminspect.errors import FarError, SourceError
from paraminspect.files.blob import open_blob
from paraminspect.files.door import is_there, list_folder, look
from paraminspect.files.paths import MASK, folder_of, is_far, join
from paraminspect.formats.table import is_sharded
from paraminspect.records import Checkpoint
from paraminspect.text import list_some
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
    folder = _folder_of(checkpoint)
    if folder is None:
        return (), []
    there = sorted(_find(folder), key=lambda name: (name != CONFIG, name))
    if not there:
        return (), []
    if not whole:
        return (), [f"not copied, as they describe the whole model: {list_some(there, MAX_NAMED)}"]
    files: list[FileLayout] = []
    left: list[str] = []
    room = MAX_BYTES
    for name in there:
        data = None if _leads_out(folder, name) else _read(join(folder, name), room)
        if data is None:
            left.append(name)
            continue
        room -= len(data)
        files.append(FileLayout(name, len(data), (Piece(0, data),)))
    notes = [f"copied as they are: {list_some([file.name for file in files], MAX_NAMED)}"] if files else []
    return tuple(files), notes + ([f"not copied: {list_some(left, MAX_NAMED)}"] if left else [])


def _leads_out(folder: str, name: str) -> bool:
    """Whether a name is a link to another place than the folder, or than the store of the Hugging Face cache beside it."""
    if is_far(folder):
        return False
    place = os.path.dirname(os.path.realpath(os.path.join(folder, name)))
    here = os.path.realpath(folder)
    return place not in (here, os.path.join(os.path.dirname(os.path.dirname(here)), "blobs"))


def _read(path: str, room: int) -> bytes | None:
    """A regular file of at most so many bytes; None if it is something else."""
    try:
        blob = open_blob(path)
    except FarError:
        raise
    except (OSError, SourceError):
        return None
    return blob.read(0, blob.size) if blob.size <= room else None


def _folder_of(checkpoint: Checkpoint) -> str | None:
    """Where companions may lie; None where there are none."""
    source = checkpoint.source
    if MASK in source and is_far(source):  # with its secrets masked it cannot be asked for
        return folder_of(checkpoint.files[0]) if is_sharded(checkpoint) else None
    is_folder = look(source).kind == "folder" if is_far(source) else os.path.isdir(source)
    if is_folder:
        return source
    return folder_of(source) if source and is_sharded(checkpoint) else None


def _find(folder: str) -> set[str]:
    """Those of the known names that are in a folder."""
    if not is_far(folder):
        return set(NAMES.intersection(os.listdir(folder or ".")))
    try:
        return set(NAMES.intersection(list_folder(folder).files))
    except FarError as error:
        if error.fault != "no-listing":
            raise
    from paraminspect.files.threads import side_by_side

    names = sorted(NAMES)  # each is asked for
    found = side_by_side(lambda name: is_there(join(folder, name)), names)
    return {name for name, there in zip(names, found, strict=True) if there}
