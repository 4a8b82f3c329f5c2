"""What stands for a tensor in a picture: a histogram or a bar; for several tensors in one row, a band."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_high
from typing import Final

from paraminspect.render.scales import Scale
from paraminspect.render.svg import Line, Polygon, Rect, Shape
from paraminspect.tuples import NamedTuple

POINTS: Final = 96
"""At which the histograms of a band are compared."""

THIN: Final = 1.0
"""Pixels to both sides of what would be no area."""

DEEP, LIGHT = 0.75, 0.3
"""Of a colour on white: as far as half of the tensors of a row reach, and as far as any does."""

TEXT_BASE: Final = 6
"""Pixels between the base line of text and the end of its row."""


class Area(NamedTuple):
    """A histogram: counts in bins of one width from `low` to `high`."""

    low: float
    high: float
    counts: Sequence[int]

    def height(self, value: float) -> float:
        """At a value, relative to the highest bin; 0 outside."""
        if not self.low <= value <= self.high:
            return 0.0
        place = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2) * len(self.counts) - 0.5
        before = min(max(int(place), 0), len(self.counts) - 1)
        after = min(before + 1, len(self.counts) - 1)
        share = min(max(place - before, 0.0), 1.0)
        return (self.counts[before] * (1 - share) + self.counts[after] * share) / (max(self.counts) or 1)


class Bar(NamedTuple):
    """A number, from the foot of the axis."""

    value: float


Mark = Area | Bar


class Strip(NamedTuple):
    """Where a row is drawn, in pixels."""

    left: float
    width: float
    top: float
    height: float

    @property
    def base(self) -> float:
        """Of its text."""
        return self.top + self.height - TEXT_BASE

    def x(self, fraction: float) -> float:
        """Where a place on the axis is."""
        return self.left + self.width * fraction


def draw_marks(marks: Sequence[tuple[str, Mark]], strip: Strip, scale: Scale, colour: str) -> list[Shape]:
    """What stands for all tensors of one row.

    Args:
        marks: Of each its name, and what stands for it alone; all of one kind.
        colour: Six hexadecimal digits behind a #.
    """
    bars = [(mark.value, name) for name, mark in marks if isinstance(mark, Bar)]
    areas = [mark for _, mark in marks if isinstance(mark, Area)]
    title = marks[0][0] if marks else ""
    return _bars(bars, strip, scale, colour) if bars else _areas(areas, title, strip, scale, colour)


def _bars(bars: Sequence[tuple[float, str]], strip: Strip, scale: Scale, colour: str) -> list[Shape]:
    (least, low_name), (greatest, high_name) = min(bars), max(bars)
    y, height = strip.top + 4, strip.height - 7
    low, high = (max(scale.fraction(value) * strip.width, THIN) for value in (least, greatest))
    title = f"{low_name}: {least:.4g}"
    shapes: list[Shape] = [Rect(strip.left, y, low, height, colour, title)]
    if len(bars) == 1:
        return shapes
    title = f"from {least:.4g} ({low_name}) to {greatest:.4g} ({high_name})"
    shapes.append(Rect(strip.left + low, y, high - low, height, _tint(colour, LIGHT), title))
    places = sorted({round(strip.x(scale.fraction(value)), 1) for value, _ in bars})
    return [*shapes, *[Line(x, y, x, y + height, colour) for x in places]]


def _areas(areas: Sequence[Area], name: str, strip: Strip, scale: Scale, colour: str) -> list[Shape]:
    if not areas:
        return []
    low, high = min(each.low for each in areas), max(each.high for each in areas)
    base, tall = strip.top + strip.height - 2, strip.height - 4
    points = [(x, base) for x in (strip.x(scale.fraction(low)), strip.x(scale.fraction(high)))]
    title = f"{name}: {low:.4g} to {high:.4g}"
    wide = [each for each in areas if strip.width * (scale.fraction(each.high) - scale.fraction(each.low)) >= 2 * THIN]
    thin = {round(strip.x(scale.fraction(each.low)), 1) for each in areas if each not in wide}
    shapes: list[Shape] = [
        Polygon(
            [(x - THIN, base), (x - THIN, base - tall), (x + THIN, base - tall), (x + THIN, base)], colour, title=title
        )
        for x in sorted(thin)
    ]  # all values are one, or next to it
    if wide:
        values = _places(wide[0]) if len(wide) == 1 else [low + (high - low) * (i / POINTS) for i in range(POINTS + 1)]
        curves = [[each.height(value) for value in values] for each in wide]
        x = [strip.x(scale.fraction(value)) for value in values]
        for pick, share in ((max, LIGHT), (median_high, DEEP)):
            top = [(x[i], base - tall * pick([curve[i] for curve in curves])) for i in range(len(x))]
            shapes.append(Polygon([points[0], *top, points[1]], _tint(colour, share), colour, title))
        shapes = shapes[:-2] + shapes[-1:] if len(wide) == 1 else shapes
    return shapes


def _tint(colour: str, share: float) -> str:
    """So much of a colour, the rest white: what is drawn over it stays opaque in every kind of picture."""
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(part * share + 255 * (1 - share)):02x}" for part in parts)


def _places(area: Area) -> list[float]:
    """Middles of the bins."""
    step = (area.high / 2 - area.low / 2) / len(area.counts) * 2
    return [area.low + (place + 0.5) * step for place in range(len(area.counts))]
