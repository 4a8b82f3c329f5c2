"""The companions of a model (`formats.companions`) as files of an output folder."""

from __future__ import annotations

from paraminspect.files.blob import open_blob
from paraminspect.formats.companions import MAX_NAMED, find_companions
from paraminspect.records import Checkpoint
from paraminspect.text import list_some
from paraminspect.writers.layout import FileLayout, Piece


def read_companions(checkpoint: Checkpoint, *, whole: bool) -> tuple[tuple[FileLayout, ...], list[str]]:
    """Files to be written beside the weights, byte for byte, and remarks.

    Args:
        whole: Whether all its weights are written under their names: else its configuration describes another model.
    """
    found = find_companions(checkpoint)
    if not whole:
        there = [*found.names, *found.left]
        return (), [f"not copied, as they describe the whole model: {list_some(there, MAX_NAMED)}"] if there else []
    files: list[FileLayout] = []
    for name, path in zip(found.names, found.paths, strict=True):
        blob = open_blob(path)
        files.append(FileLayout(name, blob.size, (Piece(0, blob.read(0, blob.size)),)))
    notes = [f"copied as they are: {list_some(found.names, MAX_NAMED)}"] if files else []
    return tuple(files), notes + found.remarks
