"""A picture of many histograms: one row a tensor, the first layer at the top, each from its own least to greatest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from paraminspect.errors import LimitExceededError
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.svg import CHAR_WIDTH, GRID, INK, SOFT, Line, Picture, Polygon, Shape, Text
from paraminspect.text import display_width, escape_text, shorten_middle

MAX_RIDGES: Final = 5_000
"""Rows of one picture; browsers draw more only slowly."""

ROW, OVERLAP = 22, 14
"""Pixels between two rows, and how much the highest point of one reaches into the one above."""

WIDTH, MARGIN, GAP = 360, 16, 12
MAX_NAME = 48
NUMBER = 11
"""Characters of a column of numbers."""

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
    for place, (ridge, name) in enumerate(zip(ridges, names, strict=True)):
        base = top + OVERLAP + (place + 1) * ROW
        shapes += _row(ridge, name, base, left, columns)
    width = max(columns.values()) + MARGIN + max([len(ridge.remark) for ridge in ridges] or [0]) * CHAR_WIDTH + GAP
    return Picture(width, top + OVERLAP + len(ridges) * ROW + MARGIN, title, shapes)


_NUMBERS: Final = ("min", "mean", "max", "std")


def _row(ridge: Ridge, name: str, base: float, left: float, columns: dict[str, float]) -> list[Shape]:
    colour = SPOILED if ridge.remark else FILL
    shapes: list[Shape] = [Line(left, base, left + WIDTH, base)]
    if ridge.counts and ridge.low is not None and ridge.high is not None:
        if ridge.low < 0 < ridge.high:
            zero = left + WIDTH * (-ridge.low / (ridge.high - ridge.low))
            shapes.append(Line(zero, base - ROW + 6, zero, base, GRID))
        shapes.append(_ridge(ridge.counts, base, left, colour, f"{ridge.name}: {ridge.low:.4g} to {ridge.high:.4g}"))
    shapes.append(Text(MARGIN, base - 2, name))
    for column, value in zip(_NUMBERS, (ridge.low, ridge.mean, ridge.high, ridge.std), strict=True):
        if value is not None:
            shapes.append(Text(columns[column], base - 2, f"{value:.4g}", SOFT, "end"))
    if ridge.remark:
        shapes.append(Text(max(columns.values()) + GAP, base - 2, ridge.remark, SPOILED))
    return shapes


def _ridge(counts: Sequence[int], base: float, left: float, colour: str, title: str) -> Polygon:
    """The outline over the middles of the bins, down to the base line at both ends."""
    most = max(counts) or 1
    step = WIDTH / len(counts)
    height = ROW + OVERLAP - 4
    outline = [(left + (place + 0.5) * step, base - height * count / most) for place, count in enumerate(counts)]
    return Polygon([(left, base), *outline, (left + WIDTH, base)], f"{colour}55", colour, title)
