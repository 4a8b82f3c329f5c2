"""A picture of many histograms: one row a tensor, the first layer at the top, all on one axis.

A tensor that reaches much further than most would make slivers of the others: the axis ends before it, an arrow says
that there is more, and the numbers beside the row are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Final, NamedTuple

from paraminspect.errors import LimitExceededError
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.svg import CHAR_WIDTH, GRID, INK, SOFT, Line, Picture, Polygon, Shape, Text
from paraminspect.text import display_width, escape_text, shorten_middle

MAX_RIDGES: Final = 5_000
"""Rows of one picture; browsers draw more only slowly."""

ROW, HIGH = 26, 22
"""Pixels between two rows, and of the highest point of one."""

WIDTH, MARGIN, GAP = 360, 16, 12
MAX_NAME = 48
NUMBER = 11
"""Characters of a column of numbers."""

REACH: Final = 4
"""The axis is so many times as long as the typical row at most."""

TICKS: Final = 5

THIN: Final = 1.0
"""Pixels to both sides of what would be no area."""

FILL, SPOILED = "#0969da", "#cf222e"
"""Of a row, and of one whose tensor holds values that are not finite."""


class Ridge(NamedTuple):
    """One row.

    Attributes:
        name: Dotted.
        counts: In bins from `low` to `high`; None without a finite value.
        std: Of all; None below two.
        remark: What is wrong with it: "3 NaN".
    """

    name: str
    counts: Sequence[int] | None
    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    remark: str = ""


def draw_ridges(ridges: Sequence[Ridge], title: str) -> Picture:
    """The picture of all rows.

    Raises:
        LimitExceededError: More than `MAX_RIDGES`.
    """
    if len(ridges) > MAX_RIDGES:
        raise LimitExceededError(
            "rows in one picture", limit=MAX_RIDGES, actual=len(ridges), hint="--depth N draws one row a module"
        )
    names = [shorten_middle(escape_text(ridge.name) or EMPTY_NAME, MAX_NAME) for ridge in ridges]
    left = MARGIN + max([display_width(name) for name in [*names, "name"]]) * CHAR_WIDTH + GAP
    columns = {name: left + WIDTH + GAP + (place + 1) * NUMBER * CHAR_WIDTH for place, name in enumerate(_NUMBERS)}
    top = MARGIN + 2 * ROW
    shapes: list[Shape] = [Text(MARGIN, MARGIN + 12, title, INK, bold=True), Text(MARGIN, top + 4, "name", SOFT)]
    shapes += [Text(x, top + 4, name, SOFT, "end") for name, x in columns.items()]
    axis = _axis_of(ridges, left)
    shapes += _draw_axis(axis, top, top + 8 + len(ridges) * ROW)
    for place, (ridge, name) in enumerate(zip(ridges, names, strict=True)):
        base = top + 8 + (place + 1) * ROW
        shapes += _row(ridge, name, base, axis, columns)
    width = max(columns.values()) + MARGIN + max([len(ridge.remark) for ridge in ridges] or [0]) * CHAR_WIDTH + GAP
    return Picture(width, top + 8 + len(ridges) * ROW + MARGIN, title, shapes)


_NUMBERS: Final = ("min", "mean", "max", "std")


class Axis(NamedTuple):
    """Values at both ends, `high` above `low`, and the pixel where it begins."""

    low: float
    high: float
    left: float

    def x(self, value: float) -> float:
        """Where a value stands; one outside stands at the end."""
        return self.left + WIDTH * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def _axis_of(ridges: Sequence[Ridge], left: float) -> Axis:
    """One that holds most rows, and zero."""
    ends = [(each.low, each.high) for each in ridges if each.low is not None and each.high is not None]
    reach = sorted(max(abs(low), abs(high)) for low, high in ends)
    if not reach or not reach[-1]:
        return Axis(-1.0, 1.0, left)
    most = min(reach[-1], REACH * reach[len(reach) // 2] or reach[-1])
    low = max(min(0.0, *(low for low, _ in ends)), -most)
    return Axis(low, min(max(0.0, *(high for _, high in ends)), most), left)


def _draw_axis(axis: Axis, top: float, bottom: float) -> list[Shape]:
    """Lines at round numbers from the heading down through all rows."""
    span = axis.high - axis.low
    decade = 10.0 ** floor(log10(span / TICKS))
    step = decade * next(factor for factor in (1, 2, 5, 10) if span / (factor * decade) <= TICKS)
    shapes: list[Shape] = []
    for number in range(ceil(axis.low / step - 1e-9), floor(axis.high / step + 1e-9) + 1):
        x = axis.x(number * step)
        shapes += [Line(x, top + 8, x, bottom, GRID), Text(x, top + 4, f"{number * step:.3g}", SOFT, "middle")]
    return shapes


def _row(ridge: Ridge, name: str, base: float, axis: Axis, columns: dict[str, float]) -> list[Shape]:
    colour = SPOILED if ridge.remark else FILL
    shapes: list[Shape] = [Line(axis.left, base, axis.left + WIDTH, base)]
    if ridge.counts and ridge.low is not None and ridge.high is not None:
        shapes.append(_outline(ridge.name, ridge.counts, (ridge.low, ridge.high), base, axis, colour))
        shapes += [Text(axis.left - 2, base - 2, "◂", colour, "end")] if ridge.low < axis.low else []
        shapes += [Text(axis.left + WIDTH + 2, base - 2, "▸", colour)] if ridge.high > axis.high else []
    shapes.append(Text(MARGIN, base - 2, name))
    for column, value in zip(_NUMBERS, (ridge.low, ridge.mean, ridge.high, ridge.std), strict=True):
        if value is not None:
            shapes.append(Text(columns[column], base - 2, f"{value:.4g}", SOFT, "end"))
    if ridge.remark:
        shapes.append(Text(max(columns.values()) + GAP, base - 2, ridge.remark, SPOILED))
    return shapes


def _outline(  # noqa: PLR0917 - a private step of `_row`
    name: str, counts: Sequence[int], ends: tuple[float, float], base: float, axis: Axis, colour: str
) -> Polygon:
    """Over the middles of the bins, down to the base line at both ends, as far as the axis goes."""
    low, high = ends
    step = (high - low) / len(counts)
    height = HIGH / (max(counts) or 1)
    middles = [(axis.x(low + (place + 0.5) * step), base - height * count) for place, count in enumerate(counts)]
    points = [(axis.x(low), base), *middles, (axis.x(high), base)]
    if points[-1][0] - points[0][0] < THIN:  # all values are one, or next to it
        x, top = points[0][0], base - HIGH
        points = [(x - THIN, base), (x - THIN, top), (x + THIN, top), (x + THIN, base)]
    return Polygon(points, f"{colour}55", colour, f"{name}: {low:.4g} to {high:.4g}")
