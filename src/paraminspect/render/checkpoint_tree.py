"""The module tree as lines of text: name and class, shape and dtype at the leaves, elements, share of the total.

    gpt2.safetensors                                124,439,808   100%
    ├── h.0 … h.11  ×12       7,087,872 each         85,054,464  68.3%
    │   ├── ln_1                                          1,536   0.0%
    │   │   ├── weight        [768] float32                 768   0.0%

Below a folded line stand the modules of one of the run: times its number they add up to it. Modules that hold nothing
but one other are written as one path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from paraminspect.names.listing import Leaf, Module
from paraminspect.render.delimited import CHUNK_ROWS
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.shares import CELLS as BAR_CELLS
from paraminspect.render.shares import bar, percentage
from paraminspect.render.style import Style
from paraminspect.render.table import MIN_SHORTENED
from paraminspect.text import display_width, escape_text, shape_text, shorten_end, shorten_middle, shorten_names, wrap
from paraminspect.tuples import NamedTuple

MIN_LABEL = 16
"""Columns a name keeps on a narrow terminal; a line that is longer still wraps."""

MIN_DETAIL = 24
"""Columns that shapes and dtypes keep where names are long: enough for most, but not for how a tensor is packed."""

MAX_LABEL = 1_000
"""Columns that lines are filled up to; a longer one stands out, or one name of a megabyte would make as many of each line."""

MAX_REPEATED = 24
"""Columns of a path that the last of a run is written with; behind a longer one its own name does: `a.long.path.0 … 11`."""

GAP = "  "
_GUIDES = ("├── ", "└── ", "│   ", "    ")
_GUIDES_ASCII = ("|-- ", "`-- ", "|   ", "    ")
_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})", re.DOTALL)


class _Run(NamedTuple):
    """Siblings that are alike below their names; `times` as many, often one."""

    first: Module | Leaf
    last: Module | Leaf
    times: int


class _Line(NamedTuple):
    stem: str
    label: str
    note: str
    detail: str
    numel: int | None


class _Tree:
    """Turns modules into lines; holds what the recursion shares."""

    def __init__(self, style: Style, depth: int | None, *, fold: bool) -> None:
        self.guides = _GUIDES if style.unicode else _GUIDES_ASCII
        self.ellipsis = style.ellipsis
        self.cross = "×" if style.unicode else "x"
        self.depth = depth
        self.fold = fold
        self._known: dict[int, list[_Run]] = {}
        self._shapes: dict[object, int] = {}
        self._alike: dict[int, int] = {}

    def lines(self, module: Module, stem: str = "", level: int = 0) -> Iterator[_Line]:
        """Lines of everything below a module that stands at `level`."""
        runs = self._runs(module)
        branch, end, pipe, blank = self.guides
        for run in runs:
            last = run is runs[-1]
            path, final, below = self._follow(run, level + 1)
            yield self._line(stem + (end if last else branch), path, final)
            if isinstance(final.first, Module) and not self._is_floor(below):
                yield from self.lines(final.first, stem + (blank if last else pipe), below)

    def _is_floor(self, level: int) -> bool:
        return self.depth is not None and level >= self.depth

    def _follow(self, run: _Run, level: int) -> tuple[list[Module], _Run, int]:
        """Go down while there is one way; returns the modules passed, the run at their end, and its level."""
        path: list[Module] = []
        while self.fold and run.times == 1 and isinstance(run.first, Module) and not self._is_floor(level):
            runs = self._runs(run.first)
            if len(runs) != 1:
                break
            path.append(run.first)
            run = runs[0]
            level += 1
        return path, run, level

    def _line(self, stem: str, path: Sequence[Module], run: _Run) -> _Line:
        first = run.first
        names = [module.name for module in path]
        label = _label([*names, first.name])
        if run.times > 1:
            joint = ", " if run.times == 2 else f" {self.ellipsis} "
            last = _label([*names, run.last.name])
            last = last if len(last) <= MAX_REPEATED else _label([run.last.name])
            label = f"{label}{joint}{last}  {self.cross}{run.times}"
        if isinstance(first, Module):
            detail = f"{first.numel:,} each" if run.times > 1 else ""
            return _Line(stem, label, _class_name(first), detail, first.numel * run.times)
        note = _class_name(path[-1]) if path else ""
        held = first.seen_as is not None and not first.numel
        return _Line(
            stem, label, note, _describe(first), None if held or not first.counted else first.numel * run.times
        )

    def _runs(self, module: Module) -> list[_Run]:
        """Children of a module; those that follow on from each other in name and are alike are one."""
        known = self._known.get(id(module))
        if known is not None:
            return known
        if not self.fold:
            return [_Run(child, child, 1) for child in module.children]
        runs = self._known[id(module)] = []
        follower: str | None = None
        for child in module.children:
            if child.name == follower and self._signature(child) == self._signature(runs[-1].first):
                runs[-1] = _Run(runs[-1].first, child, runs[-1].times + 1)
            else:
                runs.append(_Run(child, child, 1))
            numbered = _NUMBERED.fullmatch(child.name)
            follower = f"{numbered[1]}{int(numbered[2]) + 1}" if numbered else None
        return runs

    def _signature(self, node: Module | Leaf) -> int:
        """Equal for modules with the same class and, below them, the same names, shapes, dtypes and ties.

        In whatever order: a layer that lies in two shards has its tensors in another one.
        """
        known = self._alike.get(id(node))
        if known is None:
            if isinstance(node, Module):
                below = tuple(sorted([(child.name, self._signature(child)) for child in node.children]))
                form: object = (node.module_type, below)
            else:
                form = (node.record.shape, node.record.dtype, node.numel, node.seen_as, node.counted)
            known = self._alike[id(node)] = self._shapes.setdefault(form, len(self._shapes))
        return known


def _label(names: Sequence[str]) -> str:
    return escape_text(".".join(names)) or EMPTY_NAME


def _class_name(module: Module) -> str:
    return escape_text((module.module_type or "").rpartition(".")[2])


def _describe(leaf: Leaf) -> str:
    """Shape, dtype, and the canonical name of a tied tensor."""
    shape = leaf.record.shape
    size = "[?]" if shape is None else shape_text(shape)
    tie = "" if leaf.seen_as is None else f" = {leaf.seen_as}"
    label, logical = leaf.record.encoding_label, leaf.record.logical_shape
    meant = f" ({label}{'' if logical in (None, shape) else ' ' + shape_text(logical)})" if label else ""
    return escape_text(f"{size} {leaf.record.dtype}{meant}{tie}")


def render_tree(
    root: Module,
    label: str,
    style: Style,
    *,
    depth: int | None = None,
    fold: bool = True,
    closing: str = "",
    most: int | None = None,
) -> Iterator[str]:
    """Draw a module tree.

    Args:
        label: What the first line calls it.
        depth: Levels below the first line; None for all.
        fold: Make one line of siblings that are alike, and of modules that hold nothing but one other.
        closing: Last line, after an empty one.
        most: Lines below the first; None for all. That there are more is said.
    """
    tree = _Tree(style, depth, fold=fold)
    lines = [_Line("", escape_text(label), _class_name(root), "", root.numel)]
    below = tree.lines(root) if depth != 0 else iter(())
    lines += islice(below, most)
    yield from _aligned(lines, root.numel, style)
    if most is not None and next(below, None) is not None:
        yield f"{style.ellipsis}\n"
    if closing:
        yield f"\n{wrap(closing, style.width)}\n"


def tree_object(module: Module) -> dict[str, Any]:
    """A module and all below it as JSON has it: modules have `children`, tensors have a `shape`."""
    return {
        "name": module.name,
        "type": module.module_type,
        "tensors": module.tensors,
        "numel": module.numel,
        "children": [
            tree_object(child) if isinstance(child, Module) else _leaf_object(child) for child in module.children
        ],
    }


def _leaf_object(leaf: Leaf) -> dict[str, Any]:
    record = leaf.record
    view = {} if leaf.seen_as == leaf.tied_to else {"seen_as": leaf.seen_as}
    return {
        "name": leaf.name,
        "shape": record.shape,
        "dtype": record.dtype,
        "numel": record.numel,
        "nbytes": record.nbytes,
        "kind": record.kind,
        "trainable": record.trainable,
        "tied_to": leaf.tied_to,
        **view,
    }


def _aligned(lines: Sequence[_Line], whole: int, style: Style) -> Iterator[str]:
    counts = ["" if line.numel is None else f"{line.numel:,}" for line in lines]
    shares = ["" if line.numel is None else percentage(line.numel, whole) for line in lines]
    # What a tied tensor says may reach into the columns of numbers, which it leaves empty.
    detail_width = max(display_width(line.detail) for line in lines if line.numel is not None)
    count_width, share_width = max(map(len, counts)), max(map(len, shares))
    label_width = min(max(map(_width, lines)), MAX_LABEL)
    bars = style.drawn
    if style.width is not None:
        rest = style.width - detail_width - count_width - share_width - 3 * len(GAP)
        bars = bars and label_width + BAR_CELLS + len(GAP) <= rest
        if label_width > rest:
            lines = [line._replace(stem=_narrow(line.stem)) for line in lines]
            label_width = min(max(map(_width, lines)), MAX_LABEL)
            cut = max(min(detail_width, rest + detail_width - label_width), min(detail_width, MIN_DETAIL))
            rest, detail_width = rest + detail_width - cut, cut
        label_width = min(label_width, max(rest, MIN_LABEL))
        room = style.width - label_width - len(GAP)
        lines = [
            line._replace(detail=shorten_middle(line.detail, room, style.ellipsis))
            if line.numel is None
            else line._replace(detail=_shorten_detail(line.detail, detail_width, style.ellipsis))
            for line in lines
        ]
    lines = _fitted(lines, label_width, style)
    drawn = [bar(line.numel or 0, whole, style) if bars else "" for line in lines]
    for start in range(0, len(lines), CHUNK_ROWS):
        chunk = slice(start, start + CHUNK_ROWS)
        yield "".join(
            [
                f"{_left(line, label_width, style)}{GAP}{_detail(line, detail_width, style)}{GAP}"
                f"{count:>{count_width}}{GAP}{share:>{share_width}}{GAP}{style.ink('bar', blocks)}".rstrip()
                + "\n"
                for line, count, share, blocks in zip(
                    lines[chunk], counts[chunk], shares[chunk], drawn[chunk], strict=True
                )
            ]
        )


def _shorten_detail(detail: str, width: int, ellipsis: str) -> str:
    """What does not fit loses how it is packed before anything of its shape and dtype."""
    if display_width(detail) <= width:
        return detail
    plain, bracket, _ = detail.partition(" (")
    shorter = f"{plain} {ellipsis}"
    return shorter if bracket and display_width(shorter) <= width else shorten_end(detail, width, ellipsis)


def _narrow(stem: str) -> str:
    """Guides of half the width: their first character and a space for each level."""
    return "".join(f"{character} " for character in stem[::4])


def _width(line: _Line) -> int:
    """Of guides, name and class; a guide is one column wide."""
    note = len(GAP) + display_width(line.note) if line.note else 0
    return len(line.stem) + display_width(line.label) + note


def _fitted(lines: Sequence[_Line], width: int, style: Style) -> Sequence[_Line]:
    """What does not fit loses its class, then parts of its name; no two names of one level become one."""
    if style.width is None or max(map(_width, lines)) <= width:
        return lines
    fitted = [line if _width(line) <= width else line._replace(note="") for line in lines]
    levels: dict[int, list[int]] = {}
    for index, line in enumerate(fitted):
        levels.setdefault(len(line.stem), []).append(index)
    for indent, places in levels.items():
        room = max(width - indent, MIN_SHORTENED)
        for index, label in zip(
            places, shorten_names([fitted[index].label for index in places], room, style.ellipsis), strict=True
        ):
            fitted[index] = fitted[index]._replace(label=label)
    return fitted


def _left(line: _Line, width: int, style: Style) -> str:
    """Guides, name and class, filled up to `width`."""
    note = GAP + style.ink("dim", line.note) if line.note else ""
    return style.ink("dim", line.stem) + line.label + note + " " * (width - _width(line))


def _detail(line: _Line, width: int, style: Style) -> str:
    """What is known of a tensor, filled up; the name that it is tied to stands out."""
    shape, tie, name = line.detail.partition(" = ")
    painted = style.ink("shape", shape) + style.ink("tie", f"{tie}{name}")
    return painted + " " * (width - display_width(line.detail))
