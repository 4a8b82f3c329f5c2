"""All findings of one source."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from paraminspect.checks.codes import find, rank
from paraminspect.checks.container import Place, as_finding, scan_part
from paraminspect.checks.traces import Traces
from paraminspect.engines.pool import Engine, Here, Pool
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
from paraminspect.limits import EffortError, one_effort
from paraminspect.models.open import Opened
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.summaries import Finding

if TYPE_CHECKING:  # numpy
    from paraminspect.values.decode import Numbers

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


def check_opened(model: Opened, *, deep: bool) -> list[Finding]:
    """Findings of what is open already: of its tensors, and if it is to be deep of their values."""
    found = check_checkpoint(model.checkpoint)
    if deep and not model.is_live:
        found += check_deep(model.checkpoint)
    elif deep:
        from paraminspect.checks.values import check_values

        model.expect(model.checkpoint.tensors)
        found += check_values(model.checkpoint.tensors, model.numbers)
    return arrange([], found)


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


def check_checkpoint(checkpoint: Checkpoint) -> list[Finding]:
    """Findings from headers; values are read only of tensors that are declared tied and stored twice."""
    from paraminspect.checks.headers import check_tensors

    found = list(check_tensors(checkpoint))
    if checkpoint.declared:
        from paraminspect.checks.copies import check_declared

        found += check_declared(checkpoint)
    return found


class _Passes:
    """What several passes over the same files have read, as one count."""

    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._compared = 0

    def advance(self, nbytes: int) -> None:
        self._done += nbytes
        self._progress(min(self._done, self._total), self._total)

    def compare(self, done: int, total: int) -> None:
        """The pass that compares tensors, which finds out by its first bytes how much it will read."""
        if not self._compared:
            self._total += total
        self.advance(done - self._compared)
        self._compared = done


def check_deep(
    checkpoint: Checkpoint,
    progress: Callable[[int, int], None] = lambda _, __: None,
    engine: Engine | None = None,
) -> list[Finding]:
    """Findings that take reading everything: the values, tensors that may be equal once more, and all checksums.

    Args:
        engine: Who reads; None for this thread.
    """
    from paraminspect.checks.copies import check_copies
    from paraminspect.checks.values import check_values, stored_once
    from paraminspect.checks.zips import check_sums, count_summed
    from paraminspect.values.read import open_numbers
    from paraminspect.values.stored_bytes import Files

    files = Files()
    paths = checkpoint.files or (None,)
    summed = sum(count_summed(files.blob(path)) for path in paths)
    once = sum(record.nbytes or 0 for record in stored_once(checkpoint.tensors))
    passes = _Passes(progress, summed + once)
    found: list[Finding] = []

    def pool(nbytes: int, *, holds_lock: bool = False) -> Pool:
        return Here() if engine is None else engine.pool(checkpoint.files, nbytes, holds_lock=holds_lock)

    def open_(record: TensorRecord) -> Numbers:
        return open_numbers(record, files)

    try:
        found += check_values(checkpoint.tensors, open_, passes.advance, pool(once, holds_lock=True))
        found += check_copies(checkpoint, passes.compare, pool(once))
        for path in paths:
            found += check_sums(files.blob(path), Place(path), passes.advance, pool(summed))
    except EffortError as error:
        found.append(as_finding(error, Place(paths[0])))
    raise_broken(checkpoint.files)
    return found


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


def arrange(scanned: Sequence[Finding], said: Sequence[Finding]) -> list[Finding]:
    """Each finding once, the worst first.

    Args:
        scanned: From the bytes of the files, which know the place.
        said: From readers and records; those of them that only repeat are left out.
    """
    codes, messages = {each.code for each in scanned}, {each.message for each in scanned}
    others = [
        each for each in said if each.message not in messages and (each.name or each.code not in codes - _REPEATED)
    ]
    if any(each.code == "unused-bytes" for each in said):  # which counts those too
        scanned = [each for each in scanned if each.code != "unused-storage"]
    unique = dict.fromkeys([*scanned, *others])
    return sorted(unique, key=lambda each: -rank(each.severity))


_REPEATED: Final = frozenset({"remark", "mixed-dtypes", "duplicate-name", "plain-attribute", "index-mismatch"})
"""Kinds that may be found more than once of a source as a whole."""
