"""A live model's modules as `print(model)` draws them, with what each holds on the right.

    Sequential(                                               19   100%
      (0): Linear(in_features=4, out_features=3, bias=True)   15  78.9%
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1, bias=True)    4  21.1%
    )

Three or more siblings that follow on from each other and are alike are written as torch writes those of a ModuleList,
`(0-11): 12 x Block(`; theirs is the sum. A module that has been met before says where: `= 0`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from paraminspect.render.checkpoint_tree import GAP
from paraminspect.render.shares import CELLS as BAR_CELLS
from paraminspect.render.shares import bar, percentage
from paraminspect.render.style import Style
from paraminspect.text import display_width, escape_text, pad, shape_text, shorten_middle, wrap
from paraminspect.tuples import NamedTuple

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]

MIN_FOLDED = 3
"""Siblings that are alike are folded from this number on; in a ModuleList from two, as torch does."""

MIN_LABEL = 28
"""Columns that a module and its arguments keep on a narrow terminal; they are wrapped, the numbers never are."""

MAX_SHAPES = 2
"""Outputs of one module that are shown."""


class Node(Protocol):
    """What is drawn of a module; see `architecture.module_outline.ModuleNode`."""

    @property
    def path(self) -> str:
        """Dotted, "" for the model."""

    @property
    def name(self) -> str:
        """Last part of the path."""

    @property
    def class_name(self) -> str:
        """As `print` shows it."""

    @property
    def module_type(self) -> str:
        """Dotted class."""

    @property
    def extra(self) -> str:
        """Its arguments."""

    @property
    def numel(self) -> int:
        """Elements in it and below it."""

    @property
    def tensors(self) -> int:
        """Number of the parameters that `numel` counts."""

    @property
    def same_as(self) -> str | None:
        """Path of the same module under its first name."""

    @property
    def ties(self) -> Sequence[tuple[str, str]]:
        """Own parameters that are counted elsewhere, and where."""

    @property
    def seen_as(self) -> Sequence[tuple[str, str]]:
        """Own parameters that have bytes of another, and what they are of it."""

    @property
    def children(self) -> Sequence[Node]:
        """In order."""

    @property
    def header(self) -> str:
        """How `print` shows it."""

    @property
    def text(self) -> Sequence[str]:
        """Lines of a `__repr__` of its own."""


class _Line(NamedTuple):
    """One line: on the left what `print` has, on the right what is known.

    Attributes:
        indent: Columns.
        label: After the indent.
        numel: None where there is nothing to count.
        each: Elements of one of several modules that the line stands for.
        tie: What stands in the place of numbers, or below them.
    """

    indent: int
    label: str
    shape: str = ""
    numel: int | None = None
    each: int | None = None
    tie: str = ""


class _Drawing:
    def __init__(self, shapes: Shapes | None, depth: int | None, *, fold: bool, ellipsis: str) -> None:
        self.shapes = shapes
        self.depth = depth
        self.fold = fold
        self.ellipsis = ellipsis
        self._forms: dict[object, int] = {}
        self._known: dict[int, int] = {}

    def lines(self, group: Sequence[Node], level: int, *, labelled: bool = True) -> Iterator[_Line]:
        """The lines of one module, or of several that are alike."""
        node = group[0]
        label = _label(group) if labelled else ""
        if node.header == "own":
            first, *rest = node.text
            yield self._first(group, level, f"{label}{first}")
            for line in rest:
                yield _Line(2 * level, line)
            return
        head = f"{label}{node.class_name}("
        extra = node.extra.split("\n") if node.extra else []
        cut = self.depth is not None and level >= self.depth
        if not node.children or cut:
            below = self.ellipsis if node.children else ""
            if len(extra) < 2:
                yield self._first(group, level, f"{head}{node.extra}{below})")
                return
        yield self._first(group, level, head)
        for line in extra:
            yield _Line(2 * level + 2, line)
        if not cut:
            for run in self._runs(node):
                yield from self.lines(run, level + 1)
        yield _Line(2 * level, ")")

    def _first(self, group: Sequence[Node], level: int, label: str) -> _Line:
        node = group[0]
        numel = sum(each.numel for each in group)
        tie = f"= {node.same_as or 'the model'}" if node.same_as is not None else ""
        if not tie and node.seen_as:
            tie = ", ".join(f"{name} = {what}" for name, what in node.seen_as)
        return _Line(
            2 * level,
            label,
            self._shape(node),
            numel if numel else None,
            node.numel if len(group) > 1 and numel == node.numel * len(group) and numel else None,
            tie,
        )

    def _shape(self, node: Node) -> str:
        if self.shapes is None:
            return ""
        found = self.shapes.get(node.path, ())
        texts = [shape_text(shape) for shape in found[:MAX_SHAPES]]
        return " ".join([*texts, self.ellipsis] if len(found) > MAX_SHAPES else texts)

    def _runs(self, node: Node) -> list[list[Node]]:
        """Children; those that follow on from each other and are alike together."""
        runs: list[list[Node]] = []
        for child in node.children:
            last = runs[-1] if runs else []
            if last and self._follows(last[-1], child) and self._form(last[0]) == self._form(child):
                last.append(child)
            else:
                runs.append([child])
        folded = [run for run in runs if len(run) > 1]
        if not folded:
            return runs
        least = 2 if node.header == "list" else MIN_FOLDED if self.fold else 1 + len(node.children)
        return [part for run in runs for part in ([run] if len(run) >= least else [[each] for each in run])]

    def _follows(self, one: Node, other: Node) -> bool:
        return one.name.isdecimal() and other.name.isdecimal() and int(other.name[:18]) == int(one.name[:18]) + 1

    def _form(self, node: Node) -> int:
        """Equal for modules that look and count the same."""
        known = self._known.get(id(node))
        if known is None:
            below = tuple((child.name, self._form(child)) for child in node.children)
            same = node.same_as is not None
            ties = tuple(node.seen_as)
            form = (node.class_name, node.extra, tuple(node.text), node.numel, same, ties, self._shape(node), below)
            known = self._known[id(node)] = self._forms.setdefault(form, len(self._forms))
        return known


def render_modules(
    root: Node,
    style: Style,
    *,
    shapes: Shapes | None = None,
    depth: int | None = None,
    fold: bool = True,
    closing: str = "",
) -> Iterator[str]:
    """Draw a module tree.

    Args:
        shapes: Of outputs, by path; None leaves the column out.
        depth: Levels below the first line; None for all.
        fold: Write siblings that are alike as one.
        closing: Last line, after an empty one.
    """
    drawing = _Drawing(shapes, depth, fold=fold, ellipsis=style.ellipsis)
    lines = [_escaped(line) for line in drawing.lines([root], 0, labelled=False)]
    yield from _aligned(lines, root.numel, style)
    if closing:
        yield f"\n{wrap(closing, style.width)}\n"


def node_object(node: Node, shapes: Shapes | None = None) -> dict[str, Any]:
    """A module and all below it as JSON has it."""
    members: dict[str, Any] = {
        "name": node.name,
        "type": node.module_type,
        "arguments": node.extra,
        "tensors": node.tensors,
        "numel": node.numel,
        "same_as": node.same_as,
        "tied": dict(node.ties),
    }
    views = dict(node.seen_as).items() - dict(node.ties).items()
    if views:
        members["seen_as"] = dict(sorted(views))
    if shapes is not None:
        members["outputs"] = shapes.get(node.path)
    return {**members, "children": [node_object(child, shapes) for child in node.children]}


def _label(group: Sequence[Node]) -> str:
    first, last = group[0].name, group[-1].name
    return f"({first}): " if len(group) == 1 else f"({first}-{last}): {len(group)} x "


def _escaped(line: _Line) -> _Line:
    return line._replace(label=escape_text(line.label), tie=escape_text(line.tie))


def _aligned(lines: Sequence[_Line], whole: int, style: Style) -> Iterator[str]:
    counts = ["" if line.numel is None else f"{line.numel:,}" for line in lines]
    shares = ["" if line.numel is None else percentage(line.numel, whole) for line in lines]
    shape_width, count_width, share_width = (
        max(map(len, texts)) for texts in ([line.shape for line in lines], counts, shares)
    )
    right = sum(width + len(GAP) for width in (shape_width, count_width, share_width) if width)
    label_width = max(line.indent + display_width(line.label) + _each_width(line) for line in lines)
    drawn = [bar(line.numel or 0, whole, style) if style.drawn else "" for line in lines]
    if style.width is not None:
        if label_width + right + len(GAP) + BAR_CELLS > style.width:
            drawn = ["" for _ in lines]
        label_width = min(label_width, max(style.width - right, MIN_LABEL))
    broken = [_broken(line, label_width) for line in lines]
    label_width = max(display_width(pieces[0]) + _each_width(line) for line, pieces in zip(lines, broken, strict=True))
    for line, (first, *rest), count, part, blocks in zip(lines, broken, counts, shares, drawn, strict=True):
        each = f"{line.each:,} each" if line.each is not None else ""
        if each and display_width(first) + len(GAP) + len(each) <= label_width:
            cells = [first + each.rjust(label_width - display_width(first))]
        else:
            cells = [pad(first, label_width)]
        cells += [style.ink("shape", line.shape) + " " * (shape_width - len(line.shape))] if shape_width else []
        used = label_width + len(GAP) + (shape_width + len(GAP) if shape_width else 0)
        room = None if style.width is None else style.width - used
        beside = bool(line.tie) and line.numel is None and (room is None or len(line.tie) <= room)
        numbers = [count.rjust(count_width), part.rjust(share_width), style.ink("bar", blocks)]
        cells += [style.ink("tie", line.tie)] if beside else numbers
        yield GAP.join(cells).rstrip() + "\n"
        yield from [f"{text}\n" for text in rest]
        if line.tie and not beside:
            indent = line.indent + 4
            tie = line.tie if style.width is None else shorten_middle(line.tie, style.width - indent, style.ellipsis)
            yield f"{' ' * indent}{style.ink('tie', tie)}\n"


def _each_width(line: _Line) -> int:
    return 0 if line.each is None else len(GAP) + len(f"{line.each:,} each")


def _broken(line: _Line, width: int) -> list[str]:
    """A line in pieces of at most `width` columns, broken between arguments; one that is longer still stays whole."""
    stem = " " * line.indent
    if line.indent + display_width(line.label) <= width:
        return [stem + line.label]
    pieces: list[str] = []
    now = stem
    for word in _arguments(line.label):
        if now.strip() and display_width(now + word.rstrip()) > width:
            pieces.append(now.rstrip())
            now = stem + "    "
        now += word
    return [*pieces, now.rstrip()]


def _arguments(label: str) -> list[str]:
    """A module in the pieces it may be broken into: its name and class with "(", then one argument each."""
    pieces = [""]
    inside = 0
    start = label.find(": ") + 1  # the name in parentheses is no argument
    for place, character in enumerate(label):
        pieces[-1] += character
        if place < start:
            continue
        inside += (character in "([{") - (character in ")]}")
        if inside == 1 and (character == "(" or label[place - 1 : place + 1] == ", "):
            pieces.append("")
    return pieces
