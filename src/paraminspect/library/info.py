"""What a source says of itself, in one record: format, size, training, metadata, architecture, safety, modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, takewhile
from typing import Final

from paraminspect.files.paths import is_masked, shown
from paraminspect.models.open import Opened
from paraminspect.names.listing import Listing, Module, count_hidden, make_listing, make_tree, total
from paraminspect.summaries import Info, ModuleShare, Safety, Training

MAX_MODULES: Final = 2_000
"""Modules that are told of one source; `tree` has them all."""

MAX_OUTER: Final = 16
"""Modules in each other that hold nothing else; an honest file has two or three."""

_LIVE: Final = {
    "spec": "no code: spec",
    "factory": "runs the factory's code",
    "module": "a model in memory",
    "folder": "no code of the folder: a class of transformers",
}


class Described:
    """A source that was opened, described.

    Attributes:
        info: What it says of itself.
        notes: Remarks besides those of the checkpoint.
    """

    def __init__(self, opened: Opened) -> None:
        checkpoint = opened.checkpoint
        listing = make_listing(checkpoint.tensors, aliases=True)
        totals = total(listing)
        self._listing = listing
        self.notes: tuple[str, ...] = ()
        model, training = self._tell(opened)
        safety = _safety(opened)
        self.info = Info(
            source=checkpoint.source,
            format=checkpoint.format,
            version=checkpoint.version or None,
            files=tuple(map(shown, checkpoint.files)),
            nbytes=None if opened.is_live else checkpoint.nbytes,
            tensors=totals.tensors,
            parameters=totals.parameters,
            logical_parameters=totals.parameters if totals.encodings else None,
            tied=totals.tied,
            dtypes=totals.dtypes,
            training=training,
            metadata=checkpoint.metadata,
            safety=safety.line,
            model=model,
            others=count_hidden(checkpoint.tensors),
            modules=tuple(_modules(listing, totals.parameters)),
            severity=safety.severity,
            stored=totals.stored,
            encodings=totals.encodings,
        )

    def tree(self) -> Module:
        """Its tensors by module, aliases among them."""
        return make_tree(self._listing)

    def _tell(self, opened: Opened) -> tuple[Mapping[str, object], Training | None]:
        if opened.is_live:
            return _of_live(opened), None
        from paraminspect.formats.table import formats_of_files, resolve

        checkpoint = opened.checkpoint
        facts: Mapping[str, object] = next(
            (resolve(row.facts)(checkpoint) for row in formats_of_files(checkpoint) if row.facts), {}
        )
        training = None
        if checkpoint.root is not None:
            from paraminspect.formats.training import find_training

            training = find_training(checkpoint.root)
        from paraminspect.formats.companions import find_folder

        folder = find_folder(checkpoint)  # other files may tell of it: a single file speaks for itself
        if folder is not None:
            from paraminspect.formats.beside import read_beside

            beside = read_beside(folder)
            self.notes = beside.notes
            facts = {**facts, **beside.model}
            training = beside.training or training
        return facts, training


def _safety(opened: Opened) -> Safety:
    """What loading it would run."""
    if opened.is_live:
        return Safety(_LIVE["folder" if opened.kind == "factory" and _is_folder(opened.source) else opened.kind])
    from paraminspect.checks.safety import tell_safety

    checkpoint = opened.checkpoint
    if checkpoint.kept_open is not None or is_masked(checkpoint.source):  # a pipe is gone, a URL is not known any more
        return tell_safety(checkpoint.files, checkpoint)
    return tell_safety((opened.source or checkpoint.source,), checkpoint)


def _is_folder(source: str) -> bool:
    """Whether a factory is a folder, whose model transformers makes."""
    from paraminspect.live.build.factory_name import parse_factory

    named = parse_factory(source)
    return named is not None and bool(named.folder)


def _of_live(opened: Opened) -> dict[str, object]:
    """Modules, rules, input and loss of a spec; the class of what a factory makes."""
    told: dict[str, object] = {"modules": len(opened.outline.once())}
    plan = opened.architecture
    if plan is None:
        return {"architecture": opened.outline.classes[0].rpartition(".")[2], **told}
    told["loss"] = plan.loss.kind if not plan.loss.part else str(plan.loss.text)
    rules = [rule for each in plan.rule_sets for rule in each.rules]
    if plan.vars:
        told["vars"] = dict(plan.vars)
    if plan.ties:
        told["ties"] = {each.alias: each.source for each in plan.ties}
    if rules:
        told["rules"] = [rule.text for rule in rules]
    if plan.inputs:
        told["input"] = {each.name: _input(each.shape, each.dtype, each.file) for each in plan.inputs}
    return told


def _input(shape: tuple[int, ...] | None, dtype: str | None, file: str | None) -> str:
    return file or f"[{','.join(map(str, shape or ()))}] {dtype}"


def _modules(listing: Listing, whole: int) -> list[ModuleShare]:
    """The modules of two levels, below those that hold all there is; those that integers name in their order."""
    sums: dict[str, dict[str, int]] = {}
    types: dict[str, str] = {}
    outer = _find_outer([record.name for record in listing.records])
    for index, record in enumerate(listing.records):
        if record.module_type:
            types[record.name.rpartition(".")[0]] = record.module_type
        first, inside, rest = record.name[len(outer) :].partition(".")
        if not inside:
            continue
        second, deeper, _ = rest.partition(".")
        below = sums.setdefault(first, {"": 0})
        numel = listing.numel_of(index)
        below[""] += numel
        if deeper and second:
            below[second] = below.get(second, 0) + numel
    paths = [outer[:at] for at, character in enumerate(outer) if character == "."]
    found = [ModuleShare(path, types.get(path), whole, 1.0) for path in paths]
    for first, below in islice(sums.items(), MAX_MODULES):
        names = [second for second in below if second]
        if all(map(str.isdecimal, names)):
            names.sort(key=lambda name: (len(name), name))
        inner = [(f"{outer}{first}.{second}", below[second]) for second in names]
        for path, numel in ((f"{outer}{first}", below[""]), *inner):
            found.append(ModuleShare(path, types.get(path), numel, numel / whole if whole else 0.0))
    return found[:MAX_MODULES]


def _find_outer(names: Sequence[str]) -> str:
    """Path, with the dot behind it, of the modules that hold nothing but each other; "" if there are none."""
    if not names:
        return ""
    first, last = min(names).split(".")[:-1], max(names).split(".")[:-1]
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    return "".join(f"{part}." for part in shared[:MAX_OUTER])
