"""Every tie of a model: what shares bytes, what is declared to, and what is stored twice.

`ties` finds what shares bytes among records. Here a model, a checkpoint or records will do; what a file declares is
held against what it stores; and on request contents are compared, also across files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from paraminspect.errors import CheckpointError, LimitExceededError
from paraminspect.names.listing import is_shown
from paraminspect.records import Checkpoint, Declaration, TensorRecord, TieGroup
from paraminspect.text import counted, format_bytes
from paraminspect.tied import shared_bytes as ties
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.engines.pool import Pool
    from paraminspect.sharing.equal import Contents

Progress = Callable[[int, int], None]
Member = TypeVar("Member")

MAX_NOTES = 8
"""Remarks on declarations."""


class Source(NamedTuple):
    """One checkpoint to search.

    Attributes:
        records: Those that count.
        declared: What it says of ties.
        contents: Gives the bytes of its tensors; None if they cannot be had.
    """

    records: Sequence[TensorRecord]
    declared: Sequence[Declaration] = ()
    contents: Contents | None = None


class Found(NamedTuple):
    """What was found.

    Attributes:
        groups: In the order of their first members.
        notes: What declarations and contents are worth saying about, one line each.
    """

    groups: list[TieGroup]
    notes: list[str]


def open_stored(checkpoint: Checkpoint, *, everything: bool = False, compared: bool = True) -> Source:
    """The tensors of a checkpoint, with the values that lie in its files.

    Args:
        everything: Buffers, optimizer state and other tensors too.
        compared: Values may be wanted for more than what the checkpoint declares.
    """
    source = Source(choose(checkpoint.tensors, everything=everything), checkpoint.declared)
    if not compared and not checkpoint.declared:
        return source
    from paraminspect.sharing.equal import StoredContents

    return source._replace(contents=StoredContents())


def choose(records: Sequence[TensorRecord], *, everything: bool) -> Sequence[TensorRecord]:
    """The records that count: what is or may be a parameter, or everything."""
    return records if everything or all(map(is_shown, records)) else [each for each in records if is_shown(each)]


def find_in(source: Source) -> Found:
    """Ties of one source by its bytes and its declarations.

    Raises:
        CheckpointError: A file that has to be read cannot be.
    """
    groups = ties.find_ties(source.records)
    notes = []
    pairs = []
    places: dict[str, int] = {}
    for index, record in enumerate(source.records if source.declared else ()):
        places.setdefault(record.name, index)
    for each in source.declared:
        first, second = places.get(each.name), places.get(each.alias)
        if first is None or second is None or source.records[second].declared:
            continue
        note, tied = _hold_against(each, source, first, second)
        notes += [note] if note else []
        pairs += [(first, second)] if tied else []
    if pairs:
        groups = sorted(_join(groups, source.records, pairs), key=lambda group: group.indices[0])
    copied = {places[each.alias] for each in source.declared if each.copied and each.alias in places}
    if copied:
        groups = [_without_copies(group, source.records, copied) for group in groups]
    if len(notes) > MAX_NOTES:
        notes = [*notes[:MAX_NOTES], f"{len(notes) - MAX_NOTES:,} more remarks on declared ties"]
    return Found(groups, notes)


def _without_copies(group: TieGroup, records: Sequence[TensorRecord], copied: set[int]) -> TieGroup:
    """The group with what it saves, less what its copies take."""
    taken = sum(records[index].nbytes or 0 for index in group.indices if index in copied)
    return group._replace(saved=group.saved - taken) if taken and group.saved is not None else group


def _hold_against(declared: Declaration, source: Source, first: int, second: int) -> tuple[str, bool]:
    """What to say of a declaration whose tensors are both there, and whether they are stored apart but equal."""
    one, other = source.records[first], source.records[second]
    what = f"{declared.alias} is declared {'' if declared.tied else 'not '}tied to {declared.name} ({declared.origin})"
    if ties.find_canonical([one, other])[1] is not None:
        return f"{what}, and {'' if declared.tied else 'yet '}shares its bytes", False
    if not declared.tied:
        return "", False
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return f"declared tied ({declared.origin}), but {declared.alias} is present with another shape or dtype", False
    if source.contents is None:
        return f"{what}; its values are not known", False
    from paraminspect.sharing.equal import Item, have_equal_content

    try:
        equal = have_equal_content(Item(one, source.contents), Item(other, source.contents))
    except (CheckpointError, LimitExceededError) as error:
        return f"{what} and stored a second time; the two cannot be compared: {error.message}", False
    if not equal:
        return f"declared tied ({declared.origin}), but {declared.alias} is present with other bytes", False
    return f"{what} and stored a second time with the same bytes ({format_bytes(other.nbytes or 0)})", True


def _join(groups: list[TieGroup], records: Sequence[TensorRecord], pairs: Sequence[tuple[int, int]]) -> list[TieGroup]:
    """The groups with each pair in one; the two are stored apart, so that saves nothing."""
    union: _Union[int] = _Union()
    for first, second in pairs:
        union.link(first, second)
    kept = []
    saved: list[tuple[int, int]] = []
    for group in groups:
        if not any(index in union.parents for index in group.indices):
            kept.append(group)
            continue
        for index in group.indices:
            union.link(group.indices[0], index)
        saved.append((group.indices[0], group.saved or 0))
    members: dict[int, list[int]] = {}
    for index in sorted(union.parents):
        members.setdefault(union.root(index), []).append(index)
    sums = dict.fromkeys(members, 0)
    for index, size in saved:
        sums[union.root(index)] += size
    return kept + [ties.make_group("declared", records, each, sums[root]) for root, each in members.items()]


def find_equal_in(
    sources: Sequence[Source], found: Sequence[Found], progress: Progress | None = None, pool: Pool | None = None
) -> Found:
    """Tensors that are stored apart with the same content, within and across sources.

    Args:
        sources: Of which only those with contents count.
        found: The ties of each: of several names for the same bytes the first is compared.
        progress: Is told how many of how many bytes are read.
        pool: Who reads them; None for this thread.

    Returns:
        Groups of kind "equal", in the order of their first members; `TieGroup.sources` where there are several
        sources. Constant tensors are left out.

    Raises:
        LimitExceededError: As `values.equal.find_equal`.
    """
    from paraminspect.sharing.equal import Item, find_equal

    places = []
    items = []
    for number, (source, its) in enumerate(zip(sources, found, strict=True)):
        if source.contents is None:
            continue
        for index in distinct(source, its):
            places.append((number, index))
            items.append(Item(source.records[index], source.contents))
    result = find_equal(items, pool=pool, progress=progress or (lambda done, total: None))
    groups = [_equal_group(sources, [places[at] for at in members]) for members in result.groups]
    notes = []
    if result.constant:
        notes.append(
            f"{counted(len(result.constant), 'tensor')} left out, as all elements of each are the same: "
            "equal constants are no evidence of a tie"
        )
    if result.unread:
        at, reason = next(iter(result.unread.items()))
        number, index = places[at]
        name = sources[number].records[index].name
        notes.append(f"{counted(len(result.unread), 'tensor')} not compared; the first is {name}: {reason}")
    return Found(groups, notes)


def distinct(source: Source, found: Found) -> list[int]:
    """Indices of the records less those that are only another name of an earlier one."""
    repeated = {index for group in found.groups for index in _without_first(source.records, group)}
    return [index for index in range(len(source.records)) if index not in repeated]


def _without_first(records: Sequence[TensorRecord], group: TieGroup) -> list[int]:
    """Members that hold the bytes of an earlier one; of an overlap, those that hold exactly the same."""
    if group.kind != "overlap":
        return list(group.indices[1:])
    canonical = ties.find_canonical([records[index] for index in group.indices])
    return [index for index, first in zip(group.indices, canonical, strict=True) if first is not None]


def _equal_group(sources: Sequence[Source], members: Sequence[tuple[int, int]]) -> TieGroup:
    records = [sources[number].records[index] for number, index in members]
    group = ties.make_group("equal", records, range(len(records)), 0)
    numbers = tuple(number for number, _ in members) if len(sources) > 1 else ()
    return group._replace(indices=tuple(index for _, index in members), sources=numbers)


def group_names(records: Sequence[TensorRecord], groups: Sequence[TieGroup]) -> Mapping[str, str]:
    """For each name that has others, one of them that stands for all: equal for names of one tensor.

    In an overlap only names for exactly the same bytes are one tensor; in a group of kind "equal" all are.
    """
    union: _Union[str] = _Union()
    for group in groups:
        members = [records[index] for index in group.indices]
        firsts = ties.find_canonical(members) if group.kind == "overlap" else [None] + [0] * (len(members) - 1)
        for member, first in zip(members, firsts, strict=True):
            if first is not None:
                union.link(members[first].name, member.name)
    return {name: union.root(name) for name in list(union.parents)}


class _Union(Generic[Member]):
    """Things that are found to be one with others.

    Attributes:
        parents: For each thing another one of its set, itself for the one that stands for the set.
    """

    def __init__(self) -> None:
        self.parents: dict[Member, Member] = {}

    def root(self, member: Member) -> Member:
        while (above := self.parents.setdefault(member, member)) != member:
            self.parents[member] = member = self.parents[above]
        return member

    def link(self, one: Member, other: Member) -> None:
        self.parents[self.root(other)] = self.root(one)


GGUF_EMBEDDING = "token_embd.weight"
GGUF_HEAD = "output.weight"
GGUF_ENCODERS = ("bert", "t5encoder", "clip")
"""In the names of architectures that have no output layer."""


def is_stored_apart(checkpoint: Checkpoint) -> bool:
    """Whether its format is one in which no two tensors can share bytes."""
    from paraminspect.formats.table import formats_of_files

    rows = formats_of_files(checkpoint)
    return bool(rows) and not any(row.keeps_ties for row in rows)


def note_ties(checkpoint: Checkpoint) -> str:
    """What to say of a tie that a file leaves out, having no key to declare it; "" where there is nothing to say."""
    from paraminspect.formats.table import formats_of_files, resolve

    remarks = {row.remarks for row in formats_of_files(checkpoint) if row.remarks}
    return "".join(resolve(remark)(checkpoint) for remark in remarks)


def note_omission(checkpoint: Checkpoint) -> str:
    """What to say of a GGUF file without an output layer; "" of any other.

    Source:
        `llama_model::load_tensors` of llama.cpp: where `output.weight` is missing, `token_embd.weight` is used.
    """
    architecture = checkpoint.metadata.get("general.architecture", "")
    if not architecture or any(e in architecture for e in GGUF_ENCODERS):
        return ""
    names = [record.name for record in checkpoint.tensors]
    if GGUF_EMBEDDING not in names or GGUF_HEAD in names:
        return ""
    return f"{GGUF_HEAD} is not stored: llama.cpp uses {GGUF_EMBEDDING} in its place"
