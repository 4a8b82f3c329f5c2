"""All findings of one source."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.checks.container import Place, as_finding, scan_part
from paraminspect.checks.opened import arrange, check_checkpoint, check_deep
from paraminspect.checks.traces import Traces
from paraminspect.engines.pool import Engine
from paraminspect.errors import CheckpointError, FarError, LimitExceededError, SourceError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.door import list_folder, place_of, raise_broken
from paraminspect.files.paths import base_name, folder_of, join, relative
from paraminspect.files.seen import reading, settle
from paraminspect.formats.once import making_once
from paraminspect.formats.sharded import MAX_SHARDS, shards_of
from paraminspect.formats.source import is_index
from paraminspect.formats.stored_twice import SECOND_TIME
from paraminspect.formats.tiling import NOT_WHOLE
from paraminspect.limits import one_effort
from paraminspect.records import Checkpoint
from paraminspect.summaries import Finding

STDIN: Final = "-"
MAX_DEPTH: Final = 4
"""Folders inside each other: a pipeline has its models in folders."""

NOT_OF_A_MODEL: Final = frozenset({".git"})
READER_SAID: Final = "loading this file with pickle could run code"
"""Begin of a remark of the readers that the findings say better."""


def check_source(source: str | os.PathLike[str], *, deep: bool = False) -> list[Finding]:
    """Whether a model file is whole, sane and safe. Nothing of it is run.

    Args:
        source: A path to a file or folder, or "-" for standard input, which must be a file.
        deep: Read the values too, and the bytes of every checksum.

    Returns:
        The worst first, those of one severity in the order of the file. Damage is a finding, not an exception.

    Raises:
        SourceError: There is nothing to check: no such file, no permission, a folder without a model.

    Example:
        >>> [finding.code for finding in check_source("model.pt")]
        ['pickle-unknown']
    """
    return check_stored(os.fspath(source), deep=deep)[0]


def check_stored(
    path: str,
    *,
    deep: bool,
    progress: Callable[[int, int], None] = lambda _, __: None,
    engine: Engine | None = None,
) -> tuple[list[Finding], Checkpoint | None]:
    """Findings of files, the worst first, and the checkpoint if it can be read as one.

    Args:
        progress: Is told now and then how many bytes are read of how many, over all passes of a deep check.
        engine: Who reads them for a deep check; None for this thread.

    Raises:
        SourceError: There is nothing to check.
    """
    with (
        one_effort(afresh=True),
        reading(),
        making_once(Traces()),
    ):  # what is said of one source does not depend on those before
        checkpoint, said = read_checkpoint(path)
        found = scan_files(path)
        if checkpoint is not None:
            said += check_checkpoint(checkpoint)
            if deep:
                said += check_deep(checkpoint, progress, engine)
        settle()
    return arrange(found, said), checkpoint


def read_checkpoint(source: str) -> tuple[Checkpoint | None, list[Finding]]:
    """The checkpoint, and what its reader noticed; None where the reader gave up, which is a finding.

    Raises:
        SourceError: There is nothing to check.
    """
    from paraminspect.formats import open_source

    try:
        checkpoint = open_source(source)
    except (CheckpointError, LimitExceededError) as error:
        if isinstance(error, CheckpointError) and error.fault == "not-read":
            return None, []  # what a loader would run of it is looked at all the same
        error.message = error.message.partition(f" ({READER_SAID}")[0]
        return None, [as_finding(error, Place(None if source == STDIN else source))]
    told = [note for note in checkpoint.notes if SECOND_TIME not in note]  # else by `check_declared`
    notes = [note for note in told if not note.startswith((READER_SAID, NOT_WHOLE))]
    return checkpoint, [_from_note(note) for note in notes]


def _from_note(note: str) -> Finding:
    if "the index" in note:
        return find("index-mismatch", "", note, severity="warning")
    return find("remark", "", note)


def scan_files(source: str) -> list[Finding]:
    """Findings of the bytes of all files of a source, whether or not a reader takes them for a model."""
    paths = _files_of(source)
    with one_effort(afresh=True):  # so that no file hides from this by tiring its reader
        found = place_of(source).each(lambda path: _scan_one(path, source, named=len(paths) > 1), paths)
    raise_broken(paths)
    if len(paths) >= MAX_SHARDS:
        found.append([find("limit", "", f"only the first {MAX_SHARDS:,} files of the folder were looked at")])
    return [each for its in found for each in its]


def _scan_one(path: str | None, source: str, *, named: bool) -> list[Finding]:
    """Findings of one file, with its name if there are several."""
    blob = _open(path)
    if blob is None:
        return []
    its = scan_part(blob, Place(path))
    if named and path is not None:
        base = _relative(path, source)
        its = [each._replace(name=f"{base}!{each.name}" if each.name else base) for each in its]
    return its


def _relative(path: str, source: str) -> str:
    """The name of a file of a source, which is its folder or an index beside it."""
    return relative(path, source if place_of(source).is_folder(source) else folder_of(source))


def _files_of(source: str) -> list[str | None]:
    """Paths to look into: all files of a folder, or of an index those that lie beside it. None is standard input."""
    if source == STDIN:
        return [None]
    if place_of(source).is_folder(source):
        return _files_in(source, depth=MAX_DEPTH)
    if not _is_index(source):
        return [source]
    folder, own = folder_of(source), base_name(source)
    try:
        return [source, *_files_in(folder, own)]
    except FarError as error:
        if error.fault != "no-listing":
            raise
    with suppress(CheckpointError, LimitExceededError):  # of a broken index, its reader says so
        return [source, *shards_of(source)]
    return [source]


def _files_in(folder: str, but: str = "", depth: int = 0) -> list[str | None]:
    """The regular files of a folder; none of them called so.

    Args:
        depth: Of folders inside that are looked into too.
    """
    found: list[str | None] = []
    pending = [(folder, depth)]
    while pending and len(found) < MAX_SHARDS:
        at, left = pending.pop()
        listing = list_folder(at)
        paths = [join(at, name) for name in listing.files[: MAX_SHARDS - len(found)] if name != but]
        looks = place_of(at).presence(paths) or ()
        found += [path for path, each in zip(paths, looks, strict=True) if each is not None and each.kind == "file"]
        if left:
            pending += [(join(at, name), left - 1) for name in reversed(listing.folders) if name not in NOT_OF_A_MODEL]
    return found


def _is_index(path: str) -> bool:
    """Whether a file is JSON with a map of shards."""
    blob = _open(path)
    return blob is not None and is_index(blob)


def _open(path: str | None) -> Blob | None:
    """The bytes of a regular file; None where they cannot be had.

    Raises:
        FarError: A server does not give them, other than by having no such file.
    """
    try:
        return open_blob(path)
    except FarError as error:
        if error.fault != "missing":
            raise
        return None
    except (OSError, ValueError, SourceError):
        return None
