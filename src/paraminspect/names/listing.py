"""Records by module: the part of a checkpoint that is meant, its totals, sums by module path, the module tree.

A tied tensor (several names, one run of bytes) counts once, under its canonical name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from paraminspect.errors import SelectionError
from paraminspect.names.selector import make_filter
from paraminspect.names.suggestions import find_meant
from paraminspect.records import OF_MODEL, Classes, TensorRecord
from paraminspect.text import join_words
from paraminspect.tied.seen_as import describe_view
from paraminspect.tied.shared_bytes import find_canonical, find_overlaps
from paraminspect.tuples import NamedTuple

MAX_DEPTH = 128
"""Levels of modules that are told apart; what is deeper stays in one name (an honest model has some 20)."""

MAX_SUGGESTED = 5_000
"""Names that are searched for one that was meant."""


_HIDDEN: Final = {
    "buffer": ("buffer", "buffers"),
    "part": ("part of a quantised tensor", "parts of quantised tensors"),
    "copy": ("tensor of a second copy of the model", "tensors of a second copy of the model"),
    "unsaved": ("buffer that no state dict has", "buffers that no state dict has"),
    "attribute": ("plain tensor attribute", "plain tensor attributes"),
    "optimizer": ("tensor of optimizer state", "tensors of optimizer state"),
    "state": ("tensor of other training state", "tensors of other training state"),
}

_KIND_AND_ROLE: Final = attrgetter("kind", "role")


class Totals(NamedTuple):
    """Sums over tensors, each counted once.

    Attributes:
        tensors: Number of different tensors.
        parameters: Elements of those that are or may be parameters; of quantised ones, of what they stand for.
        nbytes: Their size as stored, with scales and what else belongs to quantised ones; None if one is not known.
        tied: Names that are left out of the counts because another name holds the same bytes.
        dtypes: The most bytes first.
        stored: Elements that are stored for the parameters, with those of scales and the like.
        encodings: How quantised ones are packed, in the order of the file.
    """

    tensors: int
    parameters: int
    nbytes: int | None
    tied: int
    dtypes: tuple[str, ...]
    stored: int
    encodings: tuple[str, ...] = ()


class Listing(NamedTuple):
    """Tensors of a checkpoint that are meant.

    Attributes:
        records: In the order of the file; names are relative to the module asked for.
        tied_to: By index in `records`: canonical name of a tensor that is known by an earlier name too. That name is
            whole where it lies outside the module asked for.
        repeated: Indices of those whose canonical tensor is in `records` as well: they do not count.
        tied: Names that do not count, left out or in `repeated`.
        hidden: What was left out because it is no parameter of the model, "buffer" or a role, and how many.
        candidates: Number of tensors that the selectors chose from.
        shared: By index in `records`: how many elements of a tensor that counts lie in an earlier one that does, and
            do not count again.
        seen_as: By index in `records`: of a tensor that has bytes of another, what it is of that one, "NAME (transposed)",
            "NAME[0:2]"; the name as in `tied_to`.
    """

    records: Sequence[TensorRecord]
    tied_to: Mapping[int, str]
    repeated: frozenset[int]
    tied: int
    hidden: Mapping[str, int]
    candidates: int
    shared: Mapping[int, int] = {}
    seen_as: Mapping[int, str] = {}

    def numel_of(self, index: int) -> int:
        """Elements of what a tensor stands for, those that an earlier one holds left out."""
        return 0 if index in self.repeated else self.records[index].meant_numel - self.shared.get(index, 0)


class ModuleSum(NamedTuple):
    """What lies in one module, those below it included.

    Attributes:
        name: Dotted path, "" for the outermost.
        tensors: Number of different tensors.
        numel: Elements that are stored for them.
        nbytes: Their size as stored; None if that of one is not known.
        dtypes: The most bytes first.
        logical_numel: Elements of what they stand for, where some are quantised.
    """

    name: str
    tensors: int
    numel: int
    nbytes: int | None
    dtypes: tuple[str, ...]
    logical_numel: int | None = None


class Leaf(NamedTuple):
    """A tensor in the tree.

    Attributes:
        name: Last component of its name.
        tied_to: Its canonical name, if it has another one.
        counted: False where the canonical tensor is in the tree too.
        numel: Elements of what it stands for, without those that an earlier tensor holds.
        seen_as: What it is of the tensor whose bytes it has.
    """

    name: str
    record: TensorRecord
    tied_to: str | None
    counted: bool
    numel: int
    seen_as: str | None


class Module:
    """A module in the tree.

    Attributes:
        name: Last component of its path.
        module_type: Dotted class, None where the file does not say.
        numel: Elements of the tensors in it and below it, each tensor counted once.
        tensors: Number of those tensors.
        children: In the order of the file; those that integers name, in the order of these.
    """

    __slots__ = ("children", "module_type", "name", "numel", "tensors")

    def __init__(self, name: str) -> None:
        self.name = name
        self.module_type: str | None = None
        self.numel = 0
        self.tensors = 0
        self.children: list[Module | Leaf] = []


def is_shown(record: TensorRecord) -> bool:
    """Whether it is or may be a parameter: no buffer, no part of another, neither optimizer state nor an attribute."""
    return record.kind != "buffer" and record.role == "model"


def _are_shown(records: Sequence[TensorRecord]) -> bool:
    """Whether all are; one is asked of each kind and role."""
    return all(map(is_shown, dict(zip(map(_KIND_AND_ROLE, records), records, strict=True)).values()))


def count_hidden(records: Sequence[TensorRecord]) -> Counter[str]:
    """How many are no parameters, by what they are: "buffer", "part", "optimizer", .."""
    return Counter(record.role if record.role != "model" else "buffer" for record in records if not is_shown(record))


def name_hidden(hidden: Mapping[str, int]) -> str:
    """What `count_hidden` counts, in words: "12 buffers and 248 tensors of optimizer state"; "" for nothing."""
    return join_words([f"{hidden[each]:,} {_HIDDEN[each][hidden[each] != 1]}" for each in _HIDDEN if hidden.get(each)])


def make_listing(
    records: Sequence[TensorRecord],
    *,
    module: str = "",
    keep: Callable[[str, Classes], bool] | None = None,
    everything: bool = False,
    aliases: bool = False,
) -> Listing:
    """Choose the tensors that are meant.

    Args:
        records: In the order of the file.
        module: Dotted path of the module to stay inside; "" for the whole.
        keep: Decides over (name, classes), the name relative to `module`; None keeps all.
        everything: Buffers, optimizer state and other tensors that are no parameters, too.
        aliases: Every name of a tied tensor.

    Raises:
        SelectionError: There is no such module.
    """
    inside = records
    if module:
        inside = _enter(records, module)
        records = _as_model(records, inside)
        inside = _as_model(inside, inside)
    hidden: Counter[str] = Counter()
    if not everything and not _are_shown(records):
        hidden = count_hidden(inside)
        records = [record for record in records if is_shown(record)]
    prefix = f"{module}." if module else ""
    chosen: Sequence[int] = range(len(records))
    if prefix:
        chosen = [i for i in chosen if records[i].name.startswith(prefix)]
    candidates = len(chosen)
    if keep is not None:
        chosen = [i for i in chosen if keep(records[i].name[len(prefix) :], records[i].classes)]
    return _untie(records, chosen, prefix, aliases=aliases)._replace(hidden=hidden, candidates=candidates)


def select_records(
    records: Sequence[TensorRecord], module: str, select: Sequence[str], exclude: Sequence[str], everything: bool
) -> tuple[list[TensorRecord], Mapping[str, int]]:
    """Every name of the tensors that are meant, buffers included; what was left out because it is no part of the model.

    Args:
        records: In the order of the file.
        module: Dotted path of the module to stay inside, whose names become relative to it; "" for the whole.
        select: Selectors, any of which must match; empty for all.
        exclude: Selectors none of which may match.
        everything: Optimizer state, plain attributes and other state too.

    Raises:
        SelectionError: There is no such module, or a selector cannot be parsed.
    """
    inside = _enter(records, module) if module else records
    inside = _as_model(inside, inside) if module else inside
    hidden = Counter() if everything else count_hidden([record for record in inside if record.role not in OF_MODEL])
    keep = make_filter(select, exclude)
    start = len(module) + 1 if module else 0
    named = [record._replace(name=record.name[start:]) if start else record for record in inside]
    chosen = [
        record for record in named if (everything or record.role in OF_MODEL) and keep(record.name, record.classes)
    ]
    return chosen, hidden


def without_parts(records: Sequence[TensorRecord], wholes: Iterable[TensorRecord]) -> list[TensorRecord]:
    """All but the parts of quantised tensors that some of `wholes` are made of."""
    made_of = {part.name for whole in wholes for part in whole.beside}
    return [record for record in records if record.role != "part" or record.name not in made_of]


def total(listing: Listing) -> Totals:
    parameters = stored = 0
    sizes: dict[str, int | None] = {}
    encodings: dict[str, None] = {}
    for index, record in enumerate(listing.records):
        if index in listing.repeated:
            continue
        if is_shown(record):
            parameters += listing.numel_of(index)
            stored += record.numel - listing.shared.get(index, 0)
            if (label := record.encoding_label) is not None:
                encodings[label] = None
                stored += sum(part.numel for part in record.beside)
        for each in _counted(record):
            _add_size(sizes, each, listing.shared.get(index, 0) if each is record else 0)
    return Totals(
        tensors=len(listing.records) - len(listing.repeated),
        parameters=parameters,
        nbytes=_sum_sizes(sizes),
        tied=listing.tied,
        dtypes=_by_size(sizes),
        stored=stored,
        encodings=tuple(encodings),
    )


def _counted(record: TensorRecord) -> tuple[TensorRecord, ...]:
    """A tensor and what is stored for it besides, under whatever name it is listed; its parts count with it."""
    if record.role == "part":
        return ()
    return (record, *record.beside) if record.encoding_label else (record,)


def add_totals(totals: Sequence[Totals]) -> Totals:
    sizes = [each.nbytes for each in totals]
    return Totals(
        tensors=sum(each.tensors for each in totals),
        parameters=sum(each.parameters for each in totals),
        nbytes=None if None in sizes else sum(size or 0 for size in sizes),
        tied=sum(each.tied for each in totals),
        dtypes=tuple(dict.fromkeys(dtype for each in totals for dtype in each.dtypes)),
        stored=sum(each.stored for each in totals),
        encodings=tuple(dict.fromkeys(label for each in totals for label in each.encodings)),
    )


def sum_modules(listing: Listing, depth: int) -> list[ModuleSum]:
    """One sum for each module at `depth`, and for each shallower one that holds tensors itself, in the order of the file.

    Depth 0 is the outermost module. Every tensor counts in exactly one row.
    """
    counts: dict[str, list[int]] = {}
    sizes: dict[str, dict[str, int | None]] = {}
    packed: set[str] = set()
    for index, record in enumerate(listing.records):
        if index in listing.repeated:
            continue
        owner = record.name.rpartition(".")[0]
        path = ".".join(owner.split(".", depth)[:depth])
        count = counts.setdefault(path, [0, 0, 0])
        count[0] += 1
        if record.role == "part":  # whose elements count with those of the tensor it is part of
            continue
        if record.logical_numel is not None:
            packed.add(path)
        shared = listing.shared.get(index, 0)
        count[2] += record.meant_numel - shared
        for each in _counted(record):
            again = shared if each is record else 0
            count[1] += each.numel - again
            _add_size(sizes.setdefault(path, {}), each, again)
    return [
        ModuleSum(path, tensors, numel, _sum_sizes(found), _by_size(found), logical if path in packed else None)
        for path, (tensors, numel, logical) in counts.items()
        for found in [sizes.get(path, {})]
    ]


def make_tree(listing: Listing) -> Module:
    """Arrange a listing by module; made with `aliases`, its tied names stand in the tree without counting."""
    root = Module("")
    modules = {"": root}
    for index, record in enumerate(listing.records):
        owner, name = _split_name(record.name)
        module = modules.get(owner) or _add_module(modules, owner)
        if record.module_type and not module.module_type:
            module.module_type = record.module_type
        counted = index not in listing.repeated
        numel = listing.numel_of(index) if counted else record.meant_numel
        module.children.append(
            Leaf(name, record, listing.tied_to.get(index), counted, numel, listing.seen_as.get(index))
        )
    for module in modules.values():
        _order(module.children)
    _add_up(root)
    return root


def suggest_module(names: Sequence[str], path: str) -> str | None:
    """The module path that may have been meant by `path`."""
    modules: dict[str, None] = {}
    for name in names:
        while name := name.rpartition(".")[0][:256]:
            if name in modules or len(modules) >= MAX_SUGGESTED:
                break
            modules[name] = None
    endings = [module for module in modules if module.endswith(f".{path}")]
    return endings[0] if endings else find_meant(path, modules)


def _enter(records: Sequence[TensorRecord], module: str) -> list[TensorRecord]:
    prefix = f"{module}."
    inside = [record for record in records if record.name.startswith(prefix)]
    if inside:
        return inside
    names = [record.name for record in records]
    if module in names:
        raise SelectionError(f"{module!r} is a tensor, not a module", hint=f"--select {module!r} chooses it by name")
    meant = suggest_module(names, module)
    if meant is not None:
        hint = f"did you mean {meant!r}?"
    else:
        first = list(dict.fromkeys(name.partition(".")[0] for name in names if "." in name))[:5]
        hint = f"the outermost modules are {', '.join(map(repr, first))}" if first else "no tensor here is in a module"
    raise SelectionError(f"there is no module {module!r}", hint=hint)


def _as_model(records: Sequence[TensorRecord], inside: Sequence[TensorRecord]) -> Sequence[TensorRecord]:
    """The records, of which copies of the model are the model itself where nothing else is inside what was asked for."""
    if any(record.role != "copy" for record in inside):
        return records
    return [record._replace(role="model") if record.role == "copy" else record for record in records]


def _untie(records: Sequence[TensorRecord], chosen: Sequence[int], prefix: str, *, aliases: bool) -> Listing:
    """Leave out, or mark, the chosen records whose bytes another chosen one holds; make names relative."""
    canonical = find_canonical(records)
    seen: set[int] = set()
    tied_to: dict[int, str] = {}
    seen_as: dict[int, str] = {}
    repeated: list[int] = []
    kept: list[TensorRecord] = []
    tied = 0
    unique = canonical.count(None) == len(canonical)
    for index in chosen:
        first = None if unique else canonical[index]
        root = index if first is None else first
        if not unique and root in seen:
            tied += 1
            if not aliases:
                continue
            repeated.append(len(kept))
        seen.add(root)
        record = records[index]
        if first is not None:
            name = tied_to[len(kept)] = records[first].name.removeprefix(prefix)
            seen_as[len(kept)] = name + describe_view(records[first], record)
        kept.append(record._replace(name=record.name[len(prefix) :]) if prefix else record)
    shared: dict[int, int] = {}
    again = set(repeated)
    counted = [index for index in range(len(kept)) if index not in again] if again else range(len(kept))
    for place, overlap in find_overlaps([kept[index] for index in counted] if again else kept).items():
        index, first = counted[place], counted[overlap.first]
        if kept[index].encoding_label:
            continue  # whose elements are not counted by its bytes
        shared[index] = overlap.nbytes * kept[index].numel // (kept[index].nbytes or 1)
        seen_as[index] = kept[first].name + describe_view(kept[first], kept[index])
    return Listing(kept, tied_to, frozenset(repeated), tied, {}, len(chosen), shared, seen_as)


def _add_size(sizes: dict[str, int | None], record: TensorRecord, shared: int = 0) -> None:
    """Add the bytes of a record, without those of `shared` elements."""
    size, nbytes = sizes.get(record.dtype, 0), record.nbytes
    again = shared * nbytes // record.numel if shared and nbytes is not None else 0
    sizes[record.dtype] = None if size is None or nbytes is None else size + nbytes - again


def _sum_sizes(sizes: Mapping[str, int | None]) -> int | None:
    known = [size for size in sizes.values() if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _by_size(sizes: Mapping[str, int | None]) -> tuple[str, ...]:
    return tuple(sorted(sizes, key=lambda dtype: -(sizes[dtype] or 0)))


def _split_name(name: str) -> tuple[str, str]:
    if name.count(".") <= MAX_DEPTH:
        owner, _, last = name.rpartition(".")
        return owner, last
    parts = name.split(".", MAX_DEPTH)
    return ".".join(parts[:-1]), parts[-1]


def _add_module(modules: dict[str, Module], path: str) -> Module:
    """Make the module at `path`, and those above it that are missing."""
    missing = []
    while path not in modules:
        missing.append(path)
        path = path.rpartition(".")[0]
    module = modules[path]
    for path in reversed(missing):
        child = Module(path.rpartition(".")[2])
        module.children.append(child)
        modules[path] = module = child
    return module


_DIGITS = r"0|[1-9][0-9]{0,8}"


def _order(children: list[Module | Leaf]) -> None:
    """Sort the children that integers name, each among the places they hold: files often have 10 before 2."""
    places = [i for i, child in enumerate(children) if re.fullmatch(_DIGITS, child.name)]
    numbered = sorted((children[i] for i in places), key=lambda child: int(child.name))
    for place, child in zip(places, numbered, strict=True):
        children[place] = child


def _add_up(module: Module) -> None:
    for child in module.children:
        if isinstance(child, Module):
            _add_up(child)
            module.numel += child.numel
            module.tensors += child.tensors
        elif child.counted:
            module.numel += child.numel
            module.tensors += 1
