"""A picture of many tensors: a row each, in the tree of their names, every mark on one axis.

A mark is a histogram or a bar. Layers that are alike are one row, and its mark is a band: a histogram is dark as far as
half of them reach, light as far as any does; a bar is dark to the least, light to the greatest, with a line for each.
The numbers beside it are the least and the greatest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Literal

from paraminspect.errors import LimitExceededError
from paraminspect.render.marks import Area, Bar, Mark, Strip, draw_marks
from paraminspect.render.name_tree import name_lines
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.scales import LinearScale, Scale, linear_scale, log_scale
from paraminspect.render.svg import CHAR_WIDTH, GRID, INK, SOFT, Line, Picture, Polygon, Shape, Text
from paraminspect.text import display_width, escape_text, shorten_end, shorten_names
from paraminspect.tuples import NamedTuple

MAX_LINES: Final = 10_000
"""Of one picture; browsers draw more only slowly."""

WIDTH: Final = 420
"""Of the axis, in pixels."""

MARGIN, GAP, LINE = 16, 14, 18
"""Around it all, between columns, and of a line of words, in pixels."""

MAX_LABEL: Final = 60
"""Characters of a name; longer ones lose their middle."""

MAX_WORDS: Final = 56
"""Of what stands in the place of a mark."""

MAX_TITLE: Final = 110

TALL: Final = 26
"""Pixels of a row with a histogram."""

ARROW: Final = 5
TICKS: Final = 6
COLOURS: Final = {"plain": "#2f6fb0", "odd": "#8a6100", "bad": "#b3261e", "quiet": "#59636e"}
Colour = Literal["plain", "odd", "bad", "quiet"]


class Row(NamedTuple):
    """One tensor, or one module.

    Attributes:
        name: Dotted.
        form: Rows of layers that are alike have equal ones.
        mark: What is drawn; None if there is nothing to draw.
        numbers: One for each column, None where there is none.
        words: In the place of the mark.
        remark: Behind the numbers.
    """

    name: str
    form: Hashable
    mark: Mark | None
    numbers: Sequence[float | int | None]
    words: str = ""
    remark: str = ""
    colour: Colour = "plain"


class Chart(NamedTuple):
    """What a picture shows.

    Attributes:
        title: Above it all.
        closing: Below that.
        columns: Headings of the numbers.
        sections: Rows below a heading, which may be "".
    """

    title: str
    closing: str
    columns: Sequence[str]
    sections: Sequence[tuple[str, Sequence[Row]]]


class _Line(NamedTuple):
    """A line of the picture: some rows, or a module or heading without any."""

    label: str
    rows: Sequence[Row] = ()
    is_heading: bool = False

    @property
    def colour(self) -> str:
        return COLOURS[self.rows[0].colour]

    @property
    def words(self) -> str:
        return _common([row.words for row in self.rows])

    @property
    def remark(self) -> str:
        return _common([row.remark for row in self.rows])


def _common(texts: Sequence[str]) -> str:
    """What all say; of "none: why" the first word, where they have their own reasons."""
    return "" if not texts else texts[0] if len(set(texts)) == 1 else texts[0].partition(":")[0]


class _Places(NamedTuple):
    """Where everything is, in pixels: the axis begins at `left`, columns of numbers end at `ends`, remarks begin."""

    left: float
    ends: Sequence[float]
    remarks: float
    height: float


def draw_chart(
    chart: Chart, *, fold: bool = True, own: bool = False, shown: Callable[[str], str] = escape_text
) -> Picture:
    """The picture.

    Args:
        fold: Layers that are alike are one row.
        own: Each row has a scale of its own, and there is no axis.
        shown: What the writer makes of a text, which room is kept for.

    Raises:
        LimitExceededError: More than `MAX_LINES`.
    """
    lines = [line for heading, rows in chart.sections for line in _lines(heading, rows, fold=fold)]
    if len(lines) > MAX_LINES:
        raise LimitExceededError("lines of a picture", limit=MAX_LINES, actual=len(lines), hint="--select fewer")
    numbers = [
        [_range([row.numbers[place] for row in line.rows]) for line in lines] for place in range(len(chart.columns))
    ]
    rows = [row for line in lines for row in line.rows]
    legend = _legend(rows, is_folded=any(len(line.rows) > 1 for line in lines), own=own)
    head = [shorten_end(text, MAX_TITLE) for text in (chart.title, chart.closing, *legend) if text]
    top = MARGIN + (len(head) + 1) * LINE + 10
    widest = max([display_width(shown(line.label)) for line in lines], default=0)
    places = _places_of(widest, numbers, chart.columns, tall=any(isinstance(row.mark, Area) for row in rows))
    bottom = top + len(lines) * places.height
    scale = _scale_of(rows)
    shapes: list[Shape] = [
        Text(MARGIN, MARGIN + 10 + place * LINE, text, SOFT if place else INK, bold=not place)
        for place, text in enumerate(head)
    ]
    shapes += [
        Text(end, top - 7, name, SOFT, "end")
        for name, end, cells in zip(chart.columns, places.ends, numbers, strict=True)
        if any(cells)
    ]
    shapes += [] if own else _axis(scale, places.left, top, bottom)
    for place, line in enumerate(lines):
        strip = Strip(places.left, WIDTH, top + place * places.height, places.height)
        shapes += _draw(line, strip, _scale_of(line.rows) if own else scale)
        cells = zip([column[place] for column in numbers], places.ends, strict=True)
        shapes += [Text(end, strip.base, cell, SOFT, "end") for cell, end in cells if cell]
        if line.remark:
            shapes.append(Text(places.remarks, strip.base, line.remark, line.colour))
    right = [places.remarks + display_width(shown(line.remark)) * CHAR_WIDTH for line in lines]
    right += [MARGIN + (display_width(shown(text)) + 1) * CHAR_WIDTH for text in head]
    return Picture(max(right) + MARGIN, bottom + MARGIN, ": ".join(head), shapes)


def _lines(heading: str, rows: Sequence[Row], *, fold: bool) -> list[_Line]:
    """Rows in the tree of their names, below their heading."""
    names = [row.name or EMPTY_NAME for row in rows]  # the writers escape
    tree = name_lines(names, "blank", forms=[row.form for row in rows] if fold else None)
    labels = shorten_names([line.label for line in tree], MAX_LABEL)
    found = [_Line(label, [rows[index] for index in line.which]) for line, label in zip(tree, labels, strict=True)]
    return [_Line(shorten_end(heading, MAX_LABEL), is_heading=True), *found] if heading else found


def _places_of(widest: int, numbers: Sequence[Sequence[str]], columns: Sequence[str], *, tall: bool) -> _Places:
    left = MARGIN + widest * CHAR_WIDTH + GAP
    ends, end = [], left + WIDTH + GAP
    for name, cells in zip(columns, numbers, strict=True):
        end += max(map(len, [name, *cells])) * CHAR_WIDTH + GAP
        ends.append(end)
    return _Places(left, ends, end + GAP, TALL if tall else LINE)


def _scale_of(rows: Sequence[Row]) -> Scale:
    areas = [(row.mark.low, row.mark.high) for row in rows if isinstance(row.mark, Area)]
    return linear_scale(areas) if areas else log_scale([row.mark.value for row in rows if isinstance(row.mark, Bar)])


def _axis(scale: Scale, left: float, top: float, bottom: float) -> list[Shape]:
    """Lines at round numbers from the heading down through all rows."""
    shapes: list[Shape] = []
    for tick in scale.ticks(TICKS):
        x = left + tick.fraction * WIDTH
        shapes += [Line(x, top - 3, x, bottom, GRID), Text(x, top - 7, tick.label, SOFT, "middle")]
    return shapes


def _draw(line: _Line, strip: Strip, scale: Scale) -> list[Shape]:
    """The name, and what stands for the tensors; arrows where they reach beyond the axis."""
    shapes: list[Shape] = [
        Text(MARGIN, strip.base, line.label, INK if line.rows or line.is_heading else SOFT, bold=line.is_heading)
    ]
    if not line.rows:
        return shapes
    if line.words:
        return [*shapes, Text(strip.left + 4, strip.base, shorten_end(line.words, MAX_WORDS), line.colour)]
    marks = [(row.name, row.mark) for row in line.rows if row.mark is not None]
    shapes += draw_marks(marks, strip, scale, line.colour)
    if isinstance(scale, LinearScale):
        ends = [(mark.low, mark.high) for _, mark in marks if isinstance(mark, Area)]
        shapes += [_arrow(strip.left - 2, strip, -1, line.colour)] if any(low < scale.low for low, _ in ends) else []
        beyond = any(high > scale.high for _, high in ends)
        shapes += [_arrow(strip.left + WIDTH + 2, strip, 1, line.colour)] if beyond else []
    return shapes


def _arrow(x: float, strip: Strip, way: int, colour: str) -> Shape:
    middle = strip.top + strip.height / 2
    return Polygon([(x, middle - ARROW), (x + way * ARROW, middle), (x, middle + ARROW)], colour)


def _range(numbers: Sequence[float | int | None]) -> str:
    """A number, or the least and the greatest of several."""
    known = [number for number in numbers if number is not None]
    if not known:
        return ""
    low, high = (f"{number:,}" if isinstance(number, int) else f"{number:.3g}" for number in (min(known), max(known)))
    return low if low == high else f"{low} … {high}"


def _legend(rows: Sequence[Row], *, is_folded: bool, own: bool) -> list[str]:
    """How to read the rows."""
    is_area = any(isinstance(row.mark, Area) for row in rows)
    band = (
        "dark where half of them reach, light where any does" if is_area else "dark to the least, light to the greatest"
    )
    told = ["each row on a scale of its own"] if own else []
    return [*told, f"layers that are alike are one row: {band}"] if is_folded else told
