"""Names that share bytes: which tensors of a checkpoint are one, views of one, or overlap.

Two tensors can only share bytes if their `storage` is the same object; within one, `strides` decides exactly. Work
grows with the number of records, as n log n within a storage wherever extents or positions modulo the common stride
(columns of a matrix) keep tensors apart; only what is left is compared pair by pair. What a hostile file can cost is
bounded by `MAX_EFFORT`: beyond it, tensors of one storage whose extents meet are reported as overlapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from paraminspect.records import TensorRecord, TieGroup, TieKind
from paraminspect.tied.strides import (
    ByteSet,
    Effort,
    count_bytes,
    equal_sets,
    interval,
    separate,
    share_bytes,
    strided_set,
)
from paraminspect.tuples import NamedTuple

MAX_EFFORT = 1_000_000
"""Steps, of about a microsecond, that one call may spend on views that are not contiguous; a pair takes some 10."""

_STORAGE = attrgetter("storage")

FREE_DIMENSIONS = 8
"""With more of them, even to see that a tensor is contiguous takes effort."""


def find_ties(records: Sequence[TensorRecord]) -> list[TieGroup]:
    """Group the names that share bytes of one storage.

    Two names are in one group if they share a byte, or if a chain of names connects them that do so pairwise.
    Views of one buffer that keep apart (the weights of a flattened LSTM, interleaved slices) are in none.

    Args:
        records: Any order, names need not be unique. A record without a storage, without elements or of unknown size
            is in no group; without a stride it is the `nbytes` bytes from `offset` on.

    Returns:
        Groups of two or more, sorted by their first member; members in the order of the records. "alias" if all have
        the same offset, shape, stride and dtype; "view" if all cover the same bytes; else "overlap". An "alias" is
        "declared" if a member is, "module" or "parameter" if its members are known to be one object.

    Source:
        Unlike safetensors' `_filter_shared_not_shared`: exact for strided tensors, and the running maximum of the ends
        finds extents that are nested in one another.

    Example:
        >>> find_ties(open_source("gpt2.pt").tensors)[0].names
        ('transformer.wte.weight', 'lm_head.weight')
    """
    effort = Effort(MAX_EFFORT)
    groups = []
    for candidates in _with_common_storage(records):
        views = _Views(records, candidates, effort)
        for places in views.with_the_rest(_connected(views.sets, effort)):
            indices = views.indices(places)
            kind = views.kind(places, effort)
            if kind == "alias":
                kind = _kind_of_alias([records[index] for index in indices])
            saved = _saved([records[index] for index in indices], views.count(places, kind, effort))
            groups.append(make_group(kind, records, indices, saved))
    groups.sort(key=lambda group: group.indices[0])
    return groups


def find_canonical(records: Sequence[TensorRecord]) -> list[int | None]:
    """For each record, where the tensor stands that it is another name of.

    Returns:
        As long as `records`: the index of the first earlier record that covers exactly the same bytes (an alias or a
        view, not an overlap); None where there is none.
    """
    effort = Effort(MAX_EFFORT)
    canonical: list[int | None] = [None] * len(records)
    for candidates in _with_common_storage(records):
        views = _Views(records, candidates, effort)
        for places in views.with_the_rest(_equal(views.sets, effort)):
            first, *others = views.indices(places)
            for index in others:
                canonical[index] = first
    return canonical


class Overlap(NamedTuple):
    """What a record has in common with earlier ones.

    Attributes:
        first: The first that it shares bytes with, one that holds all of them before others.
        nbytes: How many of its bytes earlier records hold.
    """

    first: int
    nbytes: int


def find_overlaps(records: Sequence[TensorRecord]) -> dict[int, Overlap]:
    """By index: what earlier records hold of a record, of those that hold some of its bytes and not the same ones.

    Left out too is what stays undecided.
    """
    effort = Effort(MAX_EFFORT)
    found: dict[int, Overlap] = {}
    for candidates in _with_common_storage(records):
        views = _Views(records, candidates, effort)
        for places in _connected(views.sets, effort):
            found.update(views.overlaps(places, effort))
    return found


def count_covered(records: Sequence[TensorRecord], effort: Effort) -> int | None:
    """How many different bytes of their one storage some records use; None if that stayed undecided."""
    views = _Views(records, range(len(records)), effort)
    return count_bytes(views.sets, effort) if effort.left >= 0 else None


def make_group(kind: TieKind, records: Sequence[TensorRecord], indices: Sequence[int], saved: int | None) -> TieGroup:
    """The group of some records, of which the first is canonical."""
    first = records[indices[0]]
    names = tuple(records[index].name for index in indices)
    return TieGroup(kind, names, tuple(indices), first.shape, first.dtype, first.nbytes, saved)


def _kind_of_alias(members: Sequence[TensorRecord]) -> TieKind:
    """The kind of records that all have the same offset, shape, stride and dtype."""
    if any(record.declared for record in members):
        return "declared"
    first = members[0].identity
    tensors = {None if record.identity is None else record.identity[0] for record in members}
    if first is None or tensors != {first[0]}:
        return "alias"
    places = {(record.identity and record.identity[1], record.name.rpartition(".")[2]) for record in members}
    if len(places) == 1:
        return "module"
    return "parameter" if all(record.kind == "parameter" for record in members) else "alias"


def _saved(members: Sequence[TensorRecord], stored: int | None) -> int | None:
    return None if stored is None else sum(record.nbytes or 0 for record in members) - stored


class _Views:
    """The records of one storage, grouped by the bytes they cover and by the form of the view.

    Args:
        records: All records.
        candidates: Indices of those that are views of the storage, ascending.
        effort: Spent on views that are not contiguous. When it is used up, such a view counts as all bytes from its
            offset to the end of the storage, and as equal only to views of the same form.

    Attributes:
        sets: What is covered, each once. Their places in this list stand for them everywhere else.
    """

    def __init__(self, records: Sequence[TensorRecord], candidates: Iterable[int], effort: Effort) -> None:
        self.sets: list[ByteSet] = []
        self._first: list[int] = []  # for each set, its first record
        self._forms: dict[int, list[int]] = {}  # for each set of several forms, the first records of the others
        self._repeats: dict[int, list[int]] = {}  # for the first record of a form, the others of this form
        layouts: dict[object, int] = {}
        covered_at_0: list[ByteSet | None] = []  # by each layout
        by_form: dict[tuple[int, int], int] = {}
        by_bytes: dict[ByteSet, int] = {}
        for index in candidates:
            record = records[index]
            if not record.nbytes or record.numel < 1:
                continue
            key = (record.form, record.nbytes)
            layout = layouts.setdefault(key, len(covered_at_0))
            if layout == len(covered_at_0):
                covered_at_0.append(_bytes_of(record, effort))
            offset = record.offset
            first = by_form.setdefault((offset, layout), index)
            if first != index:
                self._repeats.setdefault(first, []).append(index)
                continue
            place = len(self.sets)
            covered = covered_at_0[layout]
            if covered is None:
                covered = _rest_of_storage(record)
            else:
                covered = ByteSet(covered.start + offset, covered.end + offset, covered.run, covered.dims)
                place = by_bytes.setdefault(covered, place)
                if place < len(self.sets):
                    self._forms.setdefault(place, []).append(index)
                    continue
            self.sets.append(covered)
            self._first.append(index)

    def with_the_rest(self, groups: list[list[int]]) -> list[list[int]]:
        """The groups of places, and each set beside them that has several records."""
        grouped = {place for places in groups for place in places}
        several = set(self._forms)
        if self._repeats:
            several.update(place for place, first in enumerate(self._first) if first in self._repeats)
        return groups + [[place] for place in several - grouped]

    def indices(self, places: Iterable[int]) -> list[int]:
        firsts = [index for place in places for index in (self._first[place], *self._forms.get(place, ()))]
        return sorted(index for first in firsts for index in (first, *self._repeats.get(first, ())))

    def kind(self, places: Sequence[int], effort: Effort) -> TieKind:
        """What ties the records of some sets."""
        if len(places) == 1:
            return "view" if places[0] in self._forms else "alias"
        return "overlap" if any(equal_sets([self.sets[place] for place in places], effort)) else "view"

    def overlaps(self, places: Sequence[int], effort: Effort) -> Iterator[tuple[int, Overlap]]:
        """Of sets that are connected, what earlier ones hold of each, by the index of its first record."""
        before: list[int] = []
        held: int | None = 0
        widest: int | None = None
        for place in sorted(places, key=self._first.__getitem__):
            one = self.sets[place]
            wide = None if widest is None else self.sets[widest]
            if widest is not None and wide is not None and wide.start <= one.start and one.end <= wide.end:
                yield self._first[place], Overlap(self._first[widest], count_bytes([one], effort) or 0)
                continue
            before.append(place)
            now = count_bytes([self.sets[each] for each in before], effort) if effort.spend(len(before)) else None
            own = count_bytes([one], effort)
            if now is None or held is None or own is None:
                return
            if shared := own - (now - held):
                yield self._first[place], Overlap(self._first[self._meeting(one, before, effort)], shared)
            held = now
            if not one.dims and (wide is None or one.end - one.start > wide.end - wide.start):
                widest = place

    def _meeting(self, one: ByteSet, places: Sequence[int], effort: Effort) -> int:
        return next(place for place in places if share_bytes(self.sets[place], one, effort))

    def count(self, places: Sequence[int], kind: TieKind, effort: Effort) -> int | None:
        """Bytes that the records of some sets, tied in this way, take together; None if that stayed undecided."""
        if effort.left < 0:
            return None  # some sets are larger than what they stand for
        sets = [self.sets[place] for place in places]
        return count_bytes(sets if kind == "overlap" else sets[:1], effort)


def _with_common_storage(records: Sequence[TensorRecord]) -> list[list[int]]:
    """Indices of the records of each storage that has several, fewest first.

    In this order the effort goes to the many ordinary storages before it goes to a hostile one.
    """
    if len(set(map(id, map(_STORAGE, records)))) == len(records):
        return []  # as of nearly all files
    first: dict[int, int] = {}
    several: dict[int, list[int]] = {}
    for index, record in enumerate(records):
        storage = record.storage
        if storage is not None:
            key = id(storage)
            earlier = first.setdefault(key, index)
            if earlier != index:
                several.setdefault(key, [earlier]).append(index)
    return sorted(several.values(), key=len)


def _bytes_of(record: TensorRecord, effort: Effort) -> ByteSet | None:
    """The bytes a record covers, as if its offset were 0; None if its strides are not worth the effort that is left."""
    nbytes = record.nbytes or 0
    shape, stride = record.shape, record.stride
    itemsize, rest = divmod(nbytes, record.numel)
    if shape is None or stride is None or len(shape) != len(stride) or rest:
        return interval(0, nbytes)
    if len(shape) > FREE_DIMENSIONS and not effort.spend(len(shape)):
        return None
    step = 1
    for size, actual in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1:
            if actual != step:
                return strided_set(0, shape, stride, itemsize) if effort.spend(1 + len(shape)) else None
            step *= size
    return interval(0, nbytes)


def _rest_of_storage(record: TensorRecord) -> ByteSet:
    size = record.storage.nbytes if record.storage is not None else 0
    return interval(record.offset, max(record.nbytes or 0, size - record.offset))


def _equal(sets: Sequence[ByteSet], effort: Effort) -> list[list[int]]:
    """Places of the sets that hold the same bytes in another form, several a list."""
    equal: dict[int, list[int]] = {}
    for place, first in enumerate(equal_sets(sets, effort)):
        if place != first:
            equal.setdefault(first, [first]).append(place)
    return list(equal.values())


def _connected(sets: Sequence[ByteSet], effort: Effort) -> list[list[int]]:
    """Places of the sets that share bytes, directly or through others, several a list."""
    return [
        component for lot in separate(sets, effort) for component in _sweep(sets, lot, effort) if len(component) > 1
    ]


def _sweep(sets: Sequence[ByteSet], lot: list[int], effort: Effort) -> list[list[int]]:
    """The components of one lot: each set, by ascending start, against those before it whose extent reaches it."""
    lot.sort(key=sets.__getitem__)
    closed: list[list[int]] = []
    open_: list[tuple[list[ByteSet], list[int]]] = []
    for place in lot:
        one = sets[place]
        reach, places = [one], [place]
        apart = []
        for component in open_:
            meets = _meets(one, component[0], effort)
            if not component[0]:
                closed.append(component[1])
            elif not meets:
                apart.append(component)
            else:
                old = component
                if len(component[1]) > len(places):
                    old, (reach, places) = (reach, places), component
                reach += old[0]
                places += old[1]
                if reach[-2].end > reach[-1].end:  # what reaches farther is the likelier to meet the next one
                    reach[-2:] = reach[:-3:-1]
        open_ = [*apart, (reach, places)]
    return closed + [places for _, places in open_]


def _meets(one: ByteSet, component: list[ByteSet], effort: Effort) -> bool:
    """Whether a set shares bytes with a component, from which the sets that end before it are dropped.

    The set that is met is moved to the end, where the next call looks first: a hub is found at once.
    """
    for at in range(len(component) - 1, -1, -1):
        other = component[at]
        if other.end <= one.start:
            component[at] = component[-1]
            component.pop()
        elif share_bytes(one, other, effort):
            component[at], component[-1] = component[-1], other
            return True
    return False
