"""What a folder is in which no model, or no single one, was found; and where to look instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from paraminspect.errors import SourceError
from paraminspect.files.door import Listing
from paraminspect.files.paths import join
from paraminspect.formats.folder_models import choose, find_models, look_into
from paraminspect.formats.loaders import LEFTOVER, LEFTOVER_FOLDER, MARKS
from paraminspect.formats.sharded import FETCH_HINT, list_names, shown_name
from paraminspect.formats.table import DISTRIBUTED

MAX_SEARCHED: Final = 50
"""Folders that are looked into for a hint."""

MAX_DEPTH: Final = 3
"""Levels below the folder: `lightning_logs/version_0/checkpoints`, `models--ORG--NAME/snapshots/REVISION`."""


def explain(path: str, listing: Listing) -> SourceError:
    """Why nothing of a folder is read.

    Args:
        path: Of the folder.
        listing: What is in it; `choose` has no answer to its files.
    """
    files, folders = listing
    models = find_models(files)
    if models:
        return SourceError(
            f"{len(models)} models in the folder: {list_names(each.label for each in models)}",
            hint=f"name one: {shown_name(join(path, models[0].files[0]))}",
        )
    if not files and not folders:
        return SourceError("the folder is empty")
    if any(file.endswith(DISTRIBUTED.endings) for file in files):
        return SourceError("the .metadata file of the distributed checkpoint is missing", hint=FETCH_HINT)
    below = find_below(path, folders)
    what = describe(listing)
    if not below and not what:
        from paraminspect.formats.foreign import recognise_folder

        foreign = recognise_folder([*files, *(folder for folder in folders if "." in folder)])
        if foreign is not None:
            return SourceError(f"the folder is {foreign.what}", hint=foreign.hint)
    left = [file for file in files if re.fullmatch(LEFTOVER, file)]
    told = [f"it is {what}"] if what else []
    told += [f"{list_names(left)} {'is' if len(left) == 1 else 'are'} a trainer's, not a model"] if left else []
    hint = f"models are in {list_names(join(path, folder) for folder in below)}" if below else None
    if left and not below:
        hint = f"paraminspect list {shown_name(join(path, left[0]))} shows what is in it"
    elif not below and not what and "config.json" in files and "://" not in path:
        hint = f"transformers:{shown_name(path)} builds the class that a config.json of transformers names"
    return SourceError("; ".join(["no model file in the folder", *told]), hint=hint)


def describe(listing: Listing) -> str:
    """What a folder is by the names in it; "" where they do not say."""
    for mark in MARKS:
        if not set(mark.names).isdisjoint(listing.files):
            return mark.what
        if mark.pattern and any(re.fullmatch(mark.pattern, folder) for folder in listing.folders):
            return mark.what
    return ""


def find_below(path: str, folders: Sequence[str], depth: int = MAX_DEPTH) -> list[str]:
    """Folders in a folder that hold a model, by their paths in it, the nearest first.

    Args:
        path: Of the folder.
        folders: Names of those in it.
        depth: How many levels are searched; none below a folder that holds a model.
    """
    found: list[str] = []
    left = MAX_SEARCHED
    level = list(folders)
    for _ in range(depth):
        next_level: list[str] = []
        for folder in sorted(level, key=_in_numbers)[:left]:
            last = folder.rpartition("/")[2]
            if last.startswith(".") or re.fullmatch(LEFTOVER_FOLDER, last):
                continue
            left -= 1
            inside = _look(join(path, folder))
            if DISTRIBUTED.names[0] in inside.files or choose(inside.files) or find_models(inside.files):
                found.append(folder)
            else:
                next_level += [f"{folder}/{each}" for each in inside.folders]
        level = next_level
    return found


def _look(path: str) -> Listing:
    try:
        return look_into(path)
    except SourceError:
        return Listing([], [])


def _in_numbers(name: str) -> list[tuple[int, str]]:
    """A key by which checkpoint-1000 comes behind checkpoint-500."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,18})", name)]
