"""What is searched of opened sources: the ties of each, contents across all of them, and what is to be said of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paraminspect.models.open import Opened
from paraminspect.names.listing import is_shown
from paraminspect.records import Checkpoint, TieGroup
from paraminspect.sharing.expect import Names, find_broken
from paraminspect.sharing.find import (
    Found,
    Progress,
    Source,
    choose,
    distinct,
    find_equal_in,
    find_in,
    group_names,
    is_stored_apart,
    note_ties,
    open_stored,
)
from paraminspect.text import format_bytes
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.engines.pool import Engine

MAX_PLACES = 5
"""Places of aliases that are said one by one."""


class Searched(NamedTuple):
    """A source whose ties are known.

    Attributes:
        source: What of it counts.
    """

    checkpoint: Checkpoint
    source: Source
    found: Found


def search(model: Opened, *, everything: bool, equal: bool) -> tuple[Searched, list[str]]:
    """The ties of one source, and what is to be said of them.

    Args:
        everything: Buffers, optimizer state and other tensors too.
        equal: Whether contents will be compared.

    Raises:
        CheckpointError: A file that has to be read cannot be.
    """
    checkpoint = model.checkpoint
    if not model.is_live:
        source = open_stored(checkpoint, everything=everything, compared=equal)
    else:
        source = Source(choose(checkpoint.tensors, everything=everything))
        if equal:
            from paraminspect.live.build.arrays import LiveContents

            model.expect(source.records)
            source = source._replace(contents=LiveContents(model.tensor))
    found = find_in(source)
    notes = [*found.notes, note_ties(checkpoint)]
    if not found.groups and not equal and is_stored_apart(checkpoint):
        notes.append(f"{checkpoint.format} stores every tensor apart; --equal compares contents")
    if model.architecture is not None and not found.groups:
        notes += [
            f"{checkpoint.source}:{mark.line}:{mark.column}: a YAML alias is a copy of its layer, not the layer "
            "itself; define it once under shared: and write {use: NAME}"
            for mark in model.architecture.aliases[:MAX_PLACES]
        ]
    return Searched(checkpoint, source, found), [note for note in notes if note]


def compare(searched: Sequence[Searched], progress: Progress, engine: Engine) -> Found:
    """Groups of equal content, and what is to be said of each further source as a whole.

    Raises:
        ParamInspectError: Those of the engine cannot read them.
    """
    from paraminspect.sharing.equal import StoredContents

    stored = [each.checkpoint.files if isinstance(each.source.contents, StoredContents) else () for each in searched]
    files = [file for files in stored for file in files] if all(stored) else []
    pool = engine.pool(files, sum(record.nbytes or 0 for each in searched for record in each.source.records))
    found = find_equal_in([each.source for each in searched], [each.found for each in searched], progress, pool)
    for number, each in enumerate(searched[1:], 1):
        same = [
            record
            for group in found.groups
            if group.sources and group.sources[0] == 0
            for place, index in zip(group.sources, group.indices, strict=True)
            if place == number and (record := each.source.records[index])
        ]
        found.notes.append(
            f"{len(same):,} of {len(distinct(each.source, each.found)):,} tensors of {each.checkpoint.source} are "
            f"byte-identical to tensors of {searched[0].checkpoint.source} "
            f"({format_bytes(sum(record.nbytes or 0 for record in same))})"
        )
    return found


def within(equal: Sequence[TieGroup], number: int) -> list[TieGroup]:
    """The groups as far as they lie in one source."""
    parts = []
    for group in equal:
        sources = group.sources or (number,) * len(group.indices)
        indices = tuple(index for place, index in zip(sources, group.indices, strict=True) if place == number)
        parts.append(group._replace(indices=indices))
    return [part for part in parts if len(part.indices) > 1]


def find_unmet(each: Searched, groups: Sequence[TieGroup], expected: Sequence[Names]) -> list[str]:
    """What is expected of a source and does not hold, given all groups in it."""
    names = {record.name for record in each.source.records}
    hidden = {record.name for record in each.checkpoint.tensors if not is_shown(record)}
    return find_broken(expected, names, group_names(each.source.records, groups), hidden)
