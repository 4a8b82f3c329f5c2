"""Dotted names as lines of a tree: what modules have in common is written once, above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Guides = Literal["lines", "ascii", "blank"]

_MARKS: dict[Guides, tuple[str, str, str, str]] = {
    "lines": ("├─ ", "└─ ", "│  ", "   "),
    "ascii": ("|- ", "`- ", "|  ", "   "),
    "blank": ("   ", "   ", "   ", "   "),
}
"""Before a child, before the last one, and before what is below either."""


class NameLine(NamedTuple):
    """One line.

    Attributes:
        label: Lines of the tree, then the part of the name that stands here.
        which: Index of the name; None where it is a module.
    """

    label: str
    which: int | None


class _Branch:
    def __init__(self) -> None:
        self.children: dict[str, _Branch] = {}
        self.index: int | None = None


def name_lines(names: Sequence[str], guides: Guides = "lines") -> list[NameLine]:
    """The lines of a tree in which every name is a leaf, in order of first appearance.

    A module without modules in it has no line of its own: its tensors are `fc.weight` and `fc.bias`. One that holds
    nothing but another module is written with it: `transformer.h`.

    Args:
        names: Dotted, each once.
        guides: What leads from a module to what is in it.
    """
    root = _Branch()
    for index, name in enumerate(names):
        branch = root
        for part in name.split("."):
            branch = branch.children.setdefault(part, _Branch())
        branch.index = index
    return [NameLine(label, which) for label, which in _lines(root, "", _MARKS[guides], top=True)]


def _lines(
    branch: _Branch, stem: str, marks: tuple[str, str, str, str], *, top: bool = False
) -> Iterator[tuple[str, int | None]]:
    entries = list(_entries(branch))
    for place, (label, child) in enumerate(entries):
        last = place == len(entries) - 1
        lead, below = ("", "") if top else ((marks[1], marks[3]) if last else (marks[0], marks[2]))
        yield f"{stem}{lead}{label}", child.index
        yield from _lines(child, stem + below, marks)


def _entries(branch: _Branch) -> Iterator[tuple[str, _Branch]]:
    """Children as they are written: names joined where there is nothing to tell apart."""
    for label, child in branch.children.items():
        grandchildren = child.children.values()
        only_tensors = all(not each.children for each in grandchildren)
        if child.index is None and (only_tensors or len(child.children) == 1):
            yield from ((f"{label}.{inner}", each) for inner, each in _entries(child))
        else:
            yield label, child
