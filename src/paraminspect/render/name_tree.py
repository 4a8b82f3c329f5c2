"""Dotted names as lines of a tree: what modules have in common is written once, above them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, Literal

from paraminspect.tuples import NamedTuple

Guides = Literal["lines", "ascii", "blank"]

MIN_FOLDED: Final = 3
"""Layers that are alike are one from this number on."""

MAX_LEVELS: Final = 100
"""Of modules within each other; what a name has beyond stands as one part."""

_MARKS: dict[Guides, tuple[str, str, str, str]] = {
    "lines": ("├─ ", "└─ ", "│  ", "   "),
    "ascii": ("|- ", "`- ", "|  ", "   "),
    "blank": ("   ", "   ", "   ", "   "),
}
"""Before a child, before the last one, and before what is below either."""

_NUMBERED: Final = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})", re.DOTALL)


class NameLine(NamedTuple):
    """One line.

    Attributes:
        label: Lines of the tree, then the part of the name that stands here.
        which: Indices of the names; none where it is a module, several where layers are folded.
    """

    label: str
    which: tuple[int, ...]


class _Branch:
    def __init__(self) -> None:
        self.children: dict[str, _Branch] = {}
        self.indices: tuple[int, ...] = ()


def name_lines(
    names: Sequence[str],
    guides: Guides = "lines",
    *,
    forms: Sequence[Hashable] | None = None,
    ellipsis: str = "…",
) -> list[NameLine]:
    """The lines of a tree in which every name is a leaf, in order of first appearance.

    A module without modules in it has no line of its own: its tensors are `fc.weight` and `fc.bias`. One that holds
    nothing but another module is written with it: `transformer.h`.

    Args:
        names: Dotted, each once.
        guides: What leads from a module to what is in it.
        forms: Of each name. Layers that follow each other in number, whose names are the same and whose forms are
            equal, are one: `h.0…11`. None folds nothing.
        ellipsis: Between the numbers of such a layer.
    """
    root = _Branch()
    for index in in_order_of_depth(names):
        branch = root
        for part in names[index].split(".", MAX_LEVELS):
            branch = branch.children.setdefault(part, _Branch())
        branch.indices += (index,)
    if forms is not None:
        _Folding(forms, ellipsis).fold(root)
    return [NameLine(label, which) for label, which in _lines(root, "", _MARKS[guides], top=True)]


def in_order_of_depth(names: Sequence[str]) -> list[int]:
    """Indices of names as modules follow each other: those that integers name in their order, others as they come."""
    seen: dict[tuple[object, ...], int] = {}

    def key(name: str) -> tuple[int, ...]:
        path: tuple[object, ...] = ()
        places = []
        for part in name.split(".", MAX_LEVELS):
            path = (*path, part)
            first = seen.setdefault((*path[:-1], None) if part.isdecimal() else path, len(seen))
            places += [first, int(part[:18]) if part.isdecimal() else 0]
        return tuple(places)

    keys = [key(name) for name in names]
    return sorted(range(len(names)), key=keys.__getitem__)


class _Folding:
    """Makes one of layers that are alike; from the inside out, so that layers of experts are alike too."""

    def __init__(self, forms: Sequence[Hashable], ellipsis: str) -> None:
        self._forms = forms
        self._ellipsis = ellipsis
        self._known: dict[Hashable, int] = {}

    def fold(self, branch: _Branch) -> int:
        """Fold what is below a branch. What comes back is equal for branches that are alike, in whatever order."""
        alike = {name: self.fold(child) for name, child in branch.children.items()}
        folded: dict[str, _Branch] = {}
        below: list[tuple[str, int]] = []
        for run in self._runs(list(branch.children.items()), list(alike.values())):
            if len(run) < MIN_FOLDED:
                folded.update(run)
                below += [(name, alike[name]) for name, _ in run]
                continue
            label = f"{run[0][0]}{self._ellipsis}{_NUMBERED.fullmatch(run[-1][0])[2]}"  # type: ignore[index]
            while label in folded or label in branch.children:  # names of files may be anything
                label += "'"
            folded[label] = _merged([each for _, each in run])
            below.append((label, alike[run[0][0]]))
        branch.children = folded
        form: Hashable = (tuple(sorted(below)), tuple([self._forms[index] for index in branch.indices]))
        return self._known.setdefault(form, len(self._known))

    @staticmethod
    def _runs(children: Sequence[tuple[str, _Branch]], alike: Sequence[int]) -> Iterator[list[tuple[str, _Branch]]]:
        """Children as they come, those together that follow on from each other in number and are alike."""
        run: list[tuple[str, _Branch]] = []
        follower: tuple[str, int] | None = None
        for (name, child), form in zip(children, alike, strict=True):
            if run and (name, form) != follower:
                yield run
                run = []
            run.append((name, child))
            numbered = _NUMBERED.fullmatch(name)
            follower = (f"{numbered[1]}{int(numbered[2]) + 1}", form) if numbered else None
        if run:
            yield run


def _merged(branches: Sequence[_Branch]) -> _Branch:
    """One branch with the indices of all, which are alike, in the order of the first."""
    whole = _Branch()
    whole.indices = tuple([index for each in branches for index in each.indices])
    for name in branches[0].children:
        whole.children[name] = _merged([each.children[name] for each in branches])
    return whole


def _lines(
    branch: _Branch, stem: str, marks: tuple[str, str, str, str], *, top: bool = False
) -> Iterator[tuple[str, tuple[int, ...]]]:
    entries = list(_entries(branch))
    for place, (label, child) in enumerate(entries):
        last = place == len(entries) - 1
        lead, below = ("", "") if top else ((marks[1], marks[3]) if last else (marks[0], marks[2]))
        yield f"{stem}{lead}{label}", child.indices
        yield from _lines(child, stem + below, marks)


def _entries(branch: _Branch) -> Iterator[tuple[str, _Branch]]:
    """Children as they are written: names joined where there is nothing to tell apart."""
    for label, child in branch.children.items():
        grandchildren = child.children.values()
        only_tensors = all(not each.children for each in grandchildren)
        if not child.indices and (only_tensors or len(child.children) == 1):
            yield from ((f"{label}.{inner}", each) for inner, each in _entries(child))
        else:
            yield label, child
