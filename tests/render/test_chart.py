"""Rows of a picture: on one axis, folded, whatever is in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError
from paraminspect.render import chart
from paraminspect.render.chart import WIDTH, Chart, Row, draw_chart
from paraminspect.render.marks import Area, Bar, Mark
from paraminspect.render.svg import CHAR_WIDTH, Picture, Polygon, Rect, Text, render_svg


def row(name: str, mark: Mark | None = None, *, form: object = "", **more: Any) -> Row:
    return Row(name, form, mark, (1.0,), **more)


def drawn(*rows: Row, **options: Any) -> Picture:
    return draw_chart(Chart("title", "closing", ("min",), [("", rows)]), **options)


def texts(picture: Picture) -> list[str]:
    return [shape.text.strip() for shape in picture.shapes if isinstance(shape, Text)]


def widths(picture: Picture) -> list[float]:
    points = [[x for x, _ in shape.points] for shape in picture.shapes if isinstance(shape, Polygon)]
    found = [max(each) - min(each) for each in points]
    return [width for width in found if width > chart.ARROW]


FAR = [row(name, Area(-end, end, [1, 5, 1])) for name, end in (("a", 1.0), ("b", 2.0), ("c", 1.0), ("far", 99.0))]


def test_rows_stand_on_one_axis() -> None:
    picture = drawn(*FAR)
    found = widths(picture)
    assert found[0] == pytest.approx(found[1] / 2)
    assert found[3] == pytest.approx(WIDTH)  # it reaches further than the axis
    ticks = [float(shape.text) for shape in picture.shapes if isinstance(shape, Text) and shape.anchor == "middle"]
    assert 0 in ticks
    assert len(ticks) >= 3
    arrows = [shape for shape in picture.shapes if isinstance(shape, Polygon) and len(shape.points) == 3]
    assert len(arrows) == 2


def test_names_have_the_room_that_their_writer_needs() -> None:
    plain = drawn(row("层", Bar(1.0), remark="层"))
    wide = drawn(row("层", Bar(1.0), remark="层"), shown=lambda text: text.replace("层", "x" * 22))
    (at,), (moved,) = [[shape.x for shape in each.shapes if isinstance(shape, Rect)] for each in (plain, wide)]
    assert moved - at == pytest.approx(20 * CHAR_WIDTH)
    assert wide.width - plain.width == pytest.approx(40 * CHAR_WIDTH)
    assert "层" in texts(wide)  # the writer escapes


def test_each_row_on_a_scale_of_its_own() -> None:
    picture = drawn(*FAR, own=True)
    assert widths(picture) == pytest.approx([WIDTH] * 4)
    assert not [shape for shape in picture.shapes if isinstance(shape, Text) and shape.anchor == "middle"]
    assert "each row on a scale of its own" in texts(picture)


def test_layers_are_one_row_with_their_range() -> None:
    rows = [row(f"h.{i}.w", Bar(10.0**i), form="w")._replace(numbers=(10.0**i,)) for i in range(4)]
    picture = drawn(*rows)
    assert "h.0…3.w" in texts(picture)
    assert "1 … 1e+03" in texts(picture)
    dark, light = [shape for shape in picture.shapes if isinstance(shape, Rect)]
    assert (dark.width, light.x + light.width) == (pytest.approx(WIDTH / 4), pytest.approx(dark.x + WIDTH))
    assert "h.3.w" in light.title
    assert texts(drawn(*rows, fold=False)).count("h.0.w") + texts(drawn(*rows, fold=False)).count("0.w") == 1


def test_a_band_is_light_where_any_reaches_and_dark_where_half_do() -> None:
    rows = [row(f"h.{i}", Area(-end, end, [1, 5, 1]), form="w") for i, end in enumerate((1.0, 1.0, 3.0))]
    light, dark = [shape for shape in drawn(*rows).shapes if isinstance(shape, Polygon)]
    highest = [min(y for _, y in shape.points) for shape in (light, dark)]
    assert highest[0] == pytest.approx(highest[1], abs=1)
    areas = [sum(max(y for _, y in shape.points) - y for _, y in shape.points) for shape in (light, dark)]
    assert areas[0] > 1.5 * areas[1]
    assert light.fill != dark.fill


def test_a_layer_with_a_remark_stands_alone() -> None:
    rows = [row(f"h.{i}.w", Bar(1.0), form=i == 3, remark="3 NaN" if i == 3 else "") for i in range(7)]
    found = texts(drawn(*rows))
    assert [text for text in found if "…" in text] == ["0…2.w", "4…6.w"]
    assert "3 NaN" in found


def test_words_of_layers_that_have_their_own_reasons() -> None:
    rows = [row(f"h.{i}.w", words=f"none: h.{i} is never called", colour="bad") for i in range(3)]
    assert "none" in texts(drawn(*rows))
    assert "none: h.0 is never called" in texts(drawn(*rows[:1]))


def test_a_picture_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "MAX_LINES", 3)
    assert drawn(*[row(str(i), form=i) for i in (5, 7, 9)]).shapes
    with pytest.raises(LimitExceededError, match="lines of a picture"):
        drawn(*[row(str(i), form=i) for i in (5, 7, 9, 11)])


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
AREAS = st.tuples(NUMBERS, NUMBERS, st.lists(st.integers(0, 1 << 62), min_size=1, max_size=32)).map(
    lambda each: Area(min(each[:2]), max(each[:2]), each[2])
)
NAMES = st.lists(st.text(st.sampled_from("a.0123<&é层\x1b\\"), max_size=12), unique=True, max_size=12)


@given(NAMES, st.data(), st.booleans(), st.booleans())
def test_any_rows_make_a_picture(names: list[str], data: st.DataObject, fold: bool, own: bool) -> None:
    marks = AREAS if data.draw(st.booleans()) else st.floats().map(Bar)
    rows = [row(name, data.draw(st.none() | marks)) for name in names]
    picture = drawn(*rows, fold=fold, own=own)
    assert ET.fromstring("".join(render_svg(picture))).tag.endswith("svg")
    assert all(
        0 <= x <= picture.width and 0 <= y <= picture.height
        for shape in picture.shapes if isinstance(shape, Polygon) for x, y in shape.points
    )  # fmt: skip
