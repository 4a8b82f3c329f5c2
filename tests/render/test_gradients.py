"""Gradient norms as a chart and as pictures."""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError
from paraminspect.records import GradRecord, UseRecord
from paraminspect.render import gradient_plot, png
from paraminspect.render.gradient_chart import render_chart
from paraminspect.render.gradient_plot import plot_gradients
from paraminspect.render.log_scale import MAX_DECADES, LogScale, scale_of
from paraminspect.render.name_tree import name_lines
from paraminspect.render.png import render_png
from paraminspect.render.style import Style
from paraminspect.render.svg import Line, Picture, Polygon, Rect, Text, render_html, render_svg
from paraminspect.text import display_width

TWICE = (UseRecord("a", "mm"), UseRecord("b", "mm"))
RECORDS = [
    GradRecord("embed.weight", (4, 2), "ok", 10.0, 9.0, 0.0, 1.0, TWICE),
    GradRecord("body.0.fc.weight", (2,), "ok", 0.1, 0.1, 0.0, 1.0),
    GradRecord("body.0.fc.bias", (2,), "zero", 0.0, 0.0, 1.0, 0.0, reason="body.0.act (ReLU) is zero"),
    GradRecord("body.1.fc.weight", (2,), "none", reason="body.1 is never called"),
    GradRecord("scale", (), "frozen"),
]


def chart(records: list[GradRecord], closing: str = "", **style: object) -> list[str]:
    return "".join(render_chart(records, Style(**style), closing=closing)).splitlines()  # type: ignore[arg-type]


def test_chart() -> None:
    assert chart(RECORDS, "loss 1", width=80) == [
        "parameter           norm          1e-02          1e-01           1e+00     1e+01",
        "embed.weight    1.00e+01  2 uses  " + "█" * 46,
        "body",
        "├─ 0.fc.weight  1.00e-01          " + "█" * 15 + "▍",
        "├─ 0.fc.bias    0.00e+00          zero: body.0.act (ReLU) is zero",
        "└─ 1.fc.weight                    none: body.1 is never called",
        "scale                             frozen",
        "",
        "loss 1",
    ]


def test_chart_in_ascii() -> None:
    lines = chart(RECORDS, width=60, unicode=False)
    assert all(line.isascii() for line in lines)
    assert lines[3].startswith("|- 0.fc.weight")
    assert lines[3].endswith("  #########")


def test_colour_only_repeats_the_words() -> None:
    coloured = chart(RECORDS, width=80, colour=True)
    assert "\x1b[1;31mnone\x1b[0m: body.1 is never called" in coloured[5]
    import re

    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == chart(RECORDS, width=80)


def test_empty_and_odd() -> None:
    assert chart([], "nothing") == ["nothing"]
    assert chart([GradRecord("", (), "ok", 0.5, 0.5, 0.0, None)])[1].startswith('""')
    assert "\x1b" not in "".join(chart([GradRecord("a\x1b[2J", (), "nan", math.nan, math.nan, 0.0, None)]))


NORMS = st.none() | st.floats(0) | st.sampled_from([0.0, math.inf, math.nan, 5e-324, 1.7e308])
NAMES = st.lists(st.text(st.characters(), max_size=30), max_size=8, unique=True)


@given(NAMES, st.data(), st.integers(40, 200))
def test_every_line_fits_and_every_parameter_has_one(names: list[str], data: st.DataObject, width: int) -> None:
    norms = [data.draw(NORMS) for _ in names]
    records = [
        GradRecord(name, (), "none" if norm is None else "ok", norm, 1.0, 0.0)
        for name, norm in zip(names, norms, strict=True)
    ]
    lines = chart(records, width=width)
    assert all(display_width(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    assert sum(line.which is not None for line in name_lines(names)) == len(names)
    root = ET.fromstring("".join(render_svg(plot_gradients(records, "t", "c"))))
    assert root.tag.endswith("svg")


def test_scale() -> None:
    assert scale_of([0.02, 3.0]) == LogScale(-2, 1)
    assert scale_of([]) == LogScale(-1, 0)
    assert scale_of([1.0]) == LogScale(-1, 0)
    assert scale_of([1e-300, 1.0]) == LogScale(-MAX_DECADES, 0)
    scale = LogScale(-2, 2)
    assert [scale.fraction(value) for value in (0, 1e-9, 0.01, 1, 100, 1e9, math.inf, math.nan)] == [
        0, 0, 0, 0.5, 1, 1, 1, 0,
    ]  # fmt: skip
    assert LogScale(-7, 2).ticks(4) == [-7, -4, -1, 2]


def test_names_as_a_tree() -> None:
    names = ["a.weight", "a.bias", "h.0.x.w", "h.0.y.w", "h.1.x.w", "deep.er.est.w", "w", "h.0.own"]
    assert [(line.label, line.which) for line in name_lines(names)] == [
        ("a.weight", 0),
        ("a.bias", 1),
        ("h", None),
        ("├─ 0", None),
        ("│  ├─ x.w", 2),
        ("│  ├─ y.w", 3),
        ("│  └─ own", 7),
        ("└─ 1.x.w", 4),
        ("deep.er.est.w", 5),
        ("w", 6),
    ]


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_says_what_the_chart_says() -> None:
    svg = "".join(render_svg(plot_gradients(RECORDS, "Gradients of <x>", "loss 1")))
    found = texts(svg)
    assert found[:2] == ["Gradients of <x>", "loss 1"]
    assert {"1e-02", "1e+01", "embed.weight", "2 uses", "none: body.1 is never called"} <= set(found)
    bars = [float(each.attrib["width"]) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [gradient_plot.BARS, pytest.approx(gradient_plot.BARS / 3, abs=0.01)]


def test_pictures_stand_alone_and_escape() -> None:
    hostile = GradRecord('<script>"&\x1b\u202e', (), "ok", 1.0, 1.0, 0.0, None)
    for render in (render_svg, render_html):
        page = "".join(render(plot_gradients([hostile], "<title>", "</svg>")))
        assert "<script" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    ET.fromstring("".join(render_svg(plot_gradients([hostile], "<title>", "</svg>"))))


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_plot, "MAX_ROWS", 3)
    with pytest.raises(ParamInspectError, match="lines of a picture; the limit is 3"):
        plot_gradients(RECORDS, "t", "c")


SHAPES = Picture(
    40, 20, "shapes", [Rect(2, 2, 10, 5, "#ff0000"), Line(0, 15, 40, 15, "#0000ff"), Polygon([(20, 2), (30, 2), (25, 8)], "#00ff00", "#000000"), Text(0, 12, "a")]
)  # fmt: skip


def test_png_draws_the_same_shapes() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is an extra")
    data = render_png(SHAPES)
    opened = image.open(io.BytesIO(data))
    assert (opened.format, opened.size) == ("PNG", (80, 40))
    assert [opened.getpixel(at) for at in ((10, 8), (25, 8), (50, 6), (40, 30), (70, 36))] == [
        (255, 0, 0), (255, 255, 255), (0, 255, 0), (0, 0, 255), (255, 255, 255),
    ]  # fmt: skip
    assert ET.fromstring("".join(render_svg(SHAPES)))[0].text == "shapes"


def test_png_without_pillow_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.ImageDraw", None)
    with pytest.raises(ParamInspectError, match="png pictures need Pillow") as caught:
        render_png(SHAPES)
    assert caught.value.hint == "pip install 'paraminspect[png]', or .svg"
    extra = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert "\npng = [" in extra


def test_a_png_past_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL.Image", reason="Pillow is an extra")
    monkeypatch.setattr(png, "MAX_PIXELS", 3199)
    with pytest.raises(ParamInspectError, match="80 x 40 pixels is too large"):
        render_png(SHAPES)
