"""Pictures as PNG, drawn by Pillow, which is not installed unless it is asked for.

The font is the one that Pillow brings, so that a picture is the same on every machine. It has the letters of ASCII and hardly
any more; others are written by their number, as control characters are.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any, Final

from paraminspect.errors import ParamInspectError
from paraminspect.extras import install_line
from paraminspect.render.svg import FONT_SIZE, Line, Picture, Polygon, Rect, Shape, Text
from paraminspect.text import escape_code, escape_text

SCALE = 2
"""Pixels of the file to one of the picture."""

_NO_CHARACTER: Final = "\uffff"
"""Which no font has, so that it looks like all that a font lacks."""

MAX_PIXELS = 200_000_000
"""Of one file: beyond that, half of the programs that show pictures give up."""


def require_pillow() -> None:
    """Say early that Pillow is missing.

    Raises:
        ParamInspectError: It is, with the command that installs it.
    """
    try:
        import PIL.ImageDraw  # noqa: F401
    except ImportError:
        raise ParamInspectError(
            "png pictures need Pillow, which is not installed", hint=f"{install_line('png')}, or .svg"
        ) from None


def in_letters(text: str) -> str:
    r"""Text as it stands in a picture: escaped, and with `\u4e2d` for a letter that the font lacks. Pillow must be there."""
    safe = escape_text(text)
    if safe.isascii():
        return safe
    return "".join(escape_code(each) if _is_lacking(each) else each for each in safe)


@cache
def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(FONT_SIZE * SCALE)


@cache
def _look_of(character: str) -> tuple[bytes, tuple[int, int]]:
    mask = _font().getmask(character)
    return bytes(mask), mask.size


def _is_lacking(character: str) -> bool:
    return not character.isascii() and _look_of(character) == _look_of(_NO_CHARACTER)


def render_png(picture: Picture) -> bytes:
    """A file of PNG.

    Raises:
        ParamInspectError: Pillow is missing, or the picture is too large for it.
    """
    require_pillow()
    from PIL import Image, ImageDraw

    width, height = round(picture.width * SCALE), round(picture.height * SCALE)
    if width * height > MAX_PIXELS:
        raise ParamInspectError(f"a png of {width:,} x {height:,} pixels is too large", hint="write .svg or .html")
    image = Image.new("RGB", (width, height), "#ffffff")
    draw = ImageDraw.Draw(image)
    font = _font()
    for shape in picture.shapes:
        _draw(draw, font, shape)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _draw(draw: Any, font: Any, shape: Shape) -> None:
    match shape:
        case Rect(x, y, width, height, fill, _):
            if width > 0 and height > 0:
                draw.rectangle([x * SCALE, y * SCALE, (x + width) * SCALE - 1, (y + height) * SCALE - 1], fill=fill)
        case Line(x1, y1, x2, y2, stroke):
            draw.line([x1 * SCALE, y1 * SCALE, x2 * SCALE, y2 * SCALE], fill=stroke, width=SCALE)
        case Polygon(points, fill, stroke, _):
            outline = None if stroke == "none" else stroke
            draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=fill, outline=outline)
        case Text(x, y, text, fill, anchor, _):  # the font that Pillow brings has one weight
            place = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
            draw.text((x * SCALE, y * SCALE), in_letters(text), fill, font, place)
