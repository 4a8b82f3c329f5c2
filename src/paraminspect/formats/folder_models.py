"""Which files of a folder are its model, by their names: the choice is that of who loads it (`formats.loaders`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from paraminspect.errors import SourceError
from paraminspect.files.door import Listing, list_folder
from paraminspect.formats.loaders import INDEXES, LEFTOVER, LOADERS, PARTS, RANK_SHARD, RANK_SHARDS, SHARD_NAME
from paraminspect.formats.table import SAFETENSORS, TORCH_SAVE, endings_of
from paraminspect.tuples import NamedTuple

MODEL_ENDINGS: Final = endings_of(lambda row: row.is_model)
"""Of files that may be the model of a folder."""


class Chosen(NamedTuple):
    """What is read of a folder.

    Attributes:
        label: What a message calls it.
        files: Names, more than one of shards and parts without an index.
        why: Why this, behind "as"; "" where there was nothing to choose.
    """

    label: str
    files: tuple[str, ...]
    why: str = ""


def look_into(path: str) -> Listing:
    """Names of the files and of the folders in it, sorted; a dangling symlink counts as a file.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        return list_folder(path)
    except (OSError, ValueError) as error:
        from paraminspect.files.reasons import with_reason

        raise SourceError(with_reason("the folder cannot be read", error, "read the folder")) from None


def choose(files: Sequence[str]) -> Chosen | None:
    """What is read of a folder with these files; None where nothing is, or several may be meant."""
    there = set(files)
    for loader in LOADERS:
        for name in loader.files:
            if name in there:
                return Chosen(name, (name,), f"{loader.name} loads {name} first")
    for like in INDEXES:
        found = [file for file in files if re.fullmatch(like, file)]
        if len(found) == 1:
            return Chosen(found[0], (found[0],), "an index goes first")
    models = find_models(files)
    if len(models) > 1:
        safe = [each for each in models if each.label.endswith(SAFETENSORS.endings)]
        if len(safe) > 1 or not all(
            each.label.lower().endswith(TORCH_SAVE.endings) for each in models if each not in safe
        ):
            return None
        models = [each._replace(why="safetensors go first") for each in safe]
    return models[0] if len(models) == 1 else None


def find_models(files: Sequence[str]) -> list[Chosen]:
    """All that may be meant, whether or not a loader knows the name."""
    found: dict[str, list[str]] = {}
    for file in files:
        label = _label(file)
        if label is not None:
            found.setdefault(label, []).append(file)
    whole = {name[: name.index(".index.")] for name in found if name.endswith(".json")}
    shards = {label for label, names in found.items() if label != names[0] and _stem(names[0]) in whole}
    return [
        Chosen(names[0] if len(names) == 1 and not re.fullmatch(SHARD_NAME, names[0]) else label, tuple(names))
        for label, names in found.items()
        if label not in shards
    ]


def is_index(name: str) -> bool:
    """Whether a file is called like an index of shards."""
    return name.endswith(".json") and any(re.fullmatch(like, name) for like in INDEXES)


def _label(file: str) -> str | None:
    """What stands for a file among the models of a folder; None where it is none."""
    if is_index(file):
        return file
    if not file.lower().endswith(MODEL_ENDINGS) or file.startswith(".") or re.fullmatch(LEFTOVER, file):
        return None
    if re.fullmatch(RANK_SHARD, file):
        return RANK_SHARDS
    match = re.fullmatch(SHARD_NAME, file)
    if match and 0 < int(match["number"]) <= int(match["count"]):
        return f"{match['stem']}-*-of-{match['count']}{match['extension']}"
    return next((parts.label for parts in PARTS if re.fullmatch(parts.pattern, file)), file)


def _stem(file: str) -> str:
    """What an index of a shard would be called, up to ".index"."""
    match = re.fullmatch(SHARD_NAME, file)
    return f"{match['stem']}{match['extension']}" if match else ""
