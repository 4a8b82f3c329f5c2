"""Gradient norms as a chart and as pictures."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.outcomes import GradRecord
from paraminspect.render.chart import draw_chart
from paraminspect.render.gradient_chart import render_chart
from paraminspect.render.gradient_plot import chart_of_gradients
from paraminspect.render.name_tree import name_lines
from paraminspect.render.style import Style
from paraminspect.render.svg import render_svg
from paraminspect.text import display_width
from tests.making.gradients import RECORDS
from tests.making.inks import INKS, without_inks


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
    coloured = chart(RECORDS, width=80, inks=INKS)
    assert "<bad>none</bad>: body.1 is never called" in coloured[5]
    assert [without_inks(line) for line in coloured] == chart(RECORDS, width=80)


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
    assert sum(len(line.which) for line in name_lines(names)) == len(names)
    root = ET.fromstring("".join(render_svg(draw_chart(chart_of_gradients(records, "t", "c")))))
    assert root.tag.endswith("svg")
