"""Folders: the model of one is read, and what stands beside it is named.

A folder is untrusted like any file. Its sub-folders are never read, only named in a note or a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from paraminspect.errors import SourceError
from paraminspect.files.door import Listing, list_folder
from paraminspect.files.paths import base_name, is_masked, join
from paraminspect.formats.folder_models import Chosen, choose, find_models, look_into
from paraminspect.formats.loaders import MARKS, PARTS, RANK_SHARDS, SHARD_NAME
from paraminspect.formats.sharded import ReadFile, list_names, read_index, read_numbered
from paraminspect.records import Checkpoint


def read_folder(path: str, read_file: ReadFile) -> Checkpoint:
    """Read the model of a folder.

    It is the first of these that is there:

    1. a name that one of `LOADERS` looks for, in their order
    2. the only index of safetensors, then that of pickles
    3. the only model: a file with the extension of one, or files that are shards by their names, all of them

    What ranks wrote into safetensors together is one model too, and so is a step of DeepSpeed's ZeRO. For 3 safetensors go
    before pickles. What trainers keep beside a model is none. A torch.distributed.checkpoint folder is not read here.

    Args:
        path: Of the folder; what it is called does not matter.
        read_file: As that of `read_index`.

    Raises:
        SourceError: No folder, no permission, no model in it, several, or parts that cannot be joined.
        CheckpointError: A shard is missing.
        ParamInspectError: What `read_index` and `read_file` raise.
    """
    listing = look_into(path)
    chosen = choose(listing.files)
    if chosen is not None and chosen.files[0].endswith("_model_states.pt"):
        from paraminspect.formats.pytorch.zero import read_zero  # for few folders

        checkpoint = read_zero(path, listing.files, read_file)
        if checkpoint is not None:
            return checkpoint
    if chosen is None:
        from paraminspect.formats.folder_hints import explain  # for who names the wrong folder

        raise explain(path, listing)
    first = join(path, chosen.files[0])
    if chosen.label.endswith(".json"):
        checkpoint = read_index(first, read_file)
    elif len(chosen.files) == 1 and chosen.label == chosen.files[0]:
        checkpoint = read_file(first)
    else:
        checkpoint = _read_several(path, chosen, read_file)
    notes = [*_not_read(chosen, listing.files, checkpoint.files), *_note_parts(path, listing)]
    return checkpoint._replace(notes=(*notes, *checkpoint.notes)) if notes else checkpoint


def find_index(checkpoint: Checkpoint, folder: str | None) -> str | None:
    """The index by which shards were found; None where there is none, or its URL is not known any more.

    Args:
        folder: Where it is; None of one that is no folder, nor known by an index in one.
    """
    source = checkpoint.source
    if folder is None or is_masked(source):
        return None
    if source != folder:
        return source
    chosen = choose(list_folder(folder).files)
    return join(folder, chosen.label) if chosen is not None and chosen.label.endswith(".json") else None


def _read_several(folder: str, chosen: Chosen, read_file: ReadFile) -> Checkpoint:
    """Shards without an index, or parts."""
    if chosen.label == RANK_SHARDS:
        from paraminspect.formats.rank_shards import read_rank_shards

        return read_rank_shards(folder, chosen.files, read_file)
    shard = re.fullmatch(SHARD_NAME, chosen.files[0])
    if shard is not None:
        return read_numbered(folder, shard, chosen.files, read_file)
    parts = next(each for each in PARTS if each.label == chosen.label)
    raise SourceError(
        f"{list_names(chosen.files)} are {parts.what}, which cannot be joined without knowing how it was cut",
        hint=f"name one; {parts.hint}",
    )


# What is said of the rest.


def _not_read(chosen: Chosen, files: Sequence[str], read: Sequence[str]) -> Iterator[str]:
    """Notes on other models of the folder."""
    those = {*chosen.files, *map(base_name, read)}
    rest = [file for file in files if file not in those]
    models = [each for each in find_models(rest) if not those.issuperset(each.files)]
    if models:
        why = f", as {chosen.why}" if chosen.why else ""
        yield f"not read{why}: {list_names(each.label for each in models)}"
    odd = [file for file in rest if file.endswith(_FOREIGN)]
    if odd:
        yield f"not read, as they are of other frameworks: {list_names(odd)}"


_FOREIGN: Final = (".h5", ".msgpack", ".ot", ".keras", ".tflite", ".mlmodel")
"""Of weights for TensorFlow, Flax, rust-bert and Core ML that lie beside those for PyTorch."""


def _note_parts(path: str, listing: Listing) -> Iterator[str]:
    """A note on folders in it whose models are loaded along."""
    mark = next((mark for mark in MARKS if mark.is_split and not set(mark.names).isdisjoint(listing.files)), None)
    if mark is None:
        return
    from paraminspect.formats.folder_hints import find_below

    below = find_below(path, listing.folders, depth=1)
    if below:
        yield f"it is {mark.what}; not read: {list_names(below)}"
