"""Pictures of pixels, held against what was drawn."""

from __future__ import annotations

import io
import sys

import pytest
from PIL import Image, ImageDraw, ImageFont

from paraminspect.errors import ParamInspectError
from paraminspect.render import png
from paraminspect.render.png import SCALE, in_letters, render_png
from paraminspect.render.svg import FONT_SIZE, Line, Picture, Polygon, Rect, Text


def drawn(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(render_png(picture))).convert("RGB")


def test_shapes_lie_where_they_should() -> None:
    shapes = [
        Rect(2, 2, 4, 4, "#ff0000"), Rect(0, 0, 0, 5, "#00ff00"), Line(10, 15, 18, 15, "#0000ff"),
        Polygon([(10, 2), (18, 2), (18, 8), (10, 8)], "#00ff00"),
    ]  # fmt: skip
    image = drawn(Picture(20, 20, "", shapes))
    assert image.size == (20 * SCALE, 20 * SCALE)
    seen = {
        place: image.getpixel((place[0] * SCALE, place[1] * SCALE)) for place in ((0, 0), (4, 4), (14, 15), (14, 5))
    }
    assert seen == {(0, 0): (255,) * 3, (4, 4): (255, 0, 0), (14, 15): (0, 0, 255), (14, 5): (0, 255, 0)}


def test_text_is_anchored() -> None:
    for anchor, columns in (("start", range(30, 60)), ("end", range(30))):
        image = drawn(Picture(60, 20, "", [Text(30, 15, "WWW", "#000000", anchor)]))  # type: ignore[arg-type]
        inked = {
            x // SCALE for x in range(image.width) for y in range(image.height) if image.getpixel((x, y)) < (99,) * 3
        }
        assert inked
        assert inked <= set(columns)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("h.0.weight", "h.0.weight"),
        ("0 … 11", "0 … 11"),
        ("层.权重", r"\u5c42.\u6743\u91cd"),
        ("größe", r"gr\xf6\xdfe"),
        ("\U0001f600", r"\U0001f600"),
        (r"\u5c42", r"\\u5c42"),
        ("a\x1b", r"a\x1b"),
    ],
)
def test_a_letter_that_the_font_lacks_is_written_by_its_number(text: str, shown: str) -> None:
    assert in_letters(text) == shown
    assert drawn(Picture(200, 20, "", [Text(2, 15, text, "#000000")])).tobytes() == ink_of(shown)


def ink_of(text: str) -> bytes:
    """The picture of a text as Pillow draws it."""
    image = Image.new("RGB", (200 * SCALE, 20 * SCALE), "#ffffff")
    font = ImageFont.load_default(FONT_SIZE * SCALE)
    ImageDraw.Draw(image).text((2 * SCALE, 15 * SCALE), text, "#000000", font, "ls")
    return image.tobytes()


def test_a_picture_too_large_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MAX_PIXELS", 20 * 20 * SCALE**2)
    assert drawn(Picture(20, 20, "", [])).size == (20 * SCALE, 20 * SCALE)
    with pytest.raises(ParamInspectError, match="too large") as caught:
        render_png(Picture(20, 21, "", []))
    assert "svg" in (caught.value.hint or "")


def test_pillow_that_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.ImageDraw", None)
    with pytest.raises(ParamInspectError, match="need Pillow") as caught:
        render_png(Picture(1, 1, "", []))
    assert caught.value.hint == "pip install pillow, or .svg"
