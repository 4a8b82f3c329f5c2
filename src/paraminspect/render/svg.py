"""Pictures: a few shapes at places in pixels, written as SVG or as a page of HTML around it.

A picture stands alone: no script, no font to be fetched, colours that are readable on white, a white ground of its own.
What others named is escaped first as on a terminal, then for XML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from paraminspect.text import escape_text
from paraminspect.tuples import NamedTuple

FONT = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"
FONT_SIZE = 12
CHAR_WIDTH = 7.23
"""Of a monospaced font of that size, as wide as any in use."""

INK, SOFT, GRID = "#1f2328", "#59636e", "#d1d9e0"

Anchor = Literal["start", "middle", "end"]


class Rect(NamedTuple):
    """A filled rectangle; `title` is shown where a pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str = ""


class Line(NamedTuple):
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    stroke: str = GRID


class Polygon(NamedTuple):
    """A filled area within its corners, (x, y) each."""

    points: Sequence[tuple[float, float]]
    fill: str
    stroke: str = "none"
    title: str = ""


class Text(NamedTuple):
    """A line of text; `y` is that of its base line."""

    x: float
    y: float
    text: str
    fill: str = INK
    anchor: Anchor = "start"
    bold: bool = False


Shape = Rect | Line | Polygon | Text


class Picture(NamedTuple):
    """Shapes on a white ground, the first one lowest.

    Attributes:
        width: In pixels.
        height: In pixels.
        title: What it shows, for those who do not see it.
    """

    width: float
    height: float
    title: str
    shapes: Sequence[Shape]


def render_svg(picture: Picture) -> Iterator[str]:
    width, height = _number(picture.width), _number(picture.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="{FONT}" font-size="{FONT_SIZE}">\n'
    )
    yield f"<title>{_escape(picture.title)}</title>\n"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
    for shape in picture.shapes:
        yield _shape(shape) + "\n"
    yield "</svg>\n"


def render_html(picture: Picture) -> Iterator[str]:
    """A page of HTML that holds the picture."""
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{_escape(picture.title)}</title>\n"
    yield "<style>body { margin: 1em; background: #ffffff } svg { max-width: 100%; height: auto }</style>\n"
    yield "</head>\n<body>\n"
    yield from render_svg(picture)
    yield "</body>\n</html>\n"


def _shape(shape: Shape) -> str:
    match shape:
        case Rect(x, y, width, height, fill, title):
            numbers = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
            return _titled(f"<rect {numbers} fill={_quote(fill)}", "rect", title)
        case Line(x1, y1, x2, y2, stroke):
            ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
            return f"<line {ends} stroke={_quote(stroke)}/>"
        case Polygon(points, fill, stroke, title):
            corners = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
            return _titled(f'<polygon points="{corners}" fill={_quote(fill)} stroke={_quote(stroke)}', "polygon", title)
        case Text(x, y, text, fill, anchor, bold):
            weight = ' font-weight="bold"' if bold else ""
            place = f'x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"'
            return f'<text {place} fill={_quote(fill)}{weight} xml:space="preserve">{_escape(text)}</text>'


def _titled(start: str, tag: str, title: str) -> str:
    return f"{start}><title>{_escape(title)}</title></{tag}>" if title else f"{start}/>"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _escape(text: str) -> str:
    safe = escape_text(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        safe = safe.replace(character, entity)
    return safe


def _quote(text: str) -> str:
    return f'"{_escape(text)}"'
