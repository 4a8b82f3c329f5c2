from __future__ import annotations

import pytest

from paraminspect.render.marks import Area, Bar, Strip, draw_marks
from paraminspect.render.scales import LinearScale, LogScale
from paraminspect.render.svg import Line, Polygon, Rect

STRIP = Strip(100, 200, 0, 26)


def test_a_bar_goes_from_the_foot_to_its_number() -> None:
    (bar,) = draw_marks([("a", Bar(1.0))], STRIP, LogScale(-2, 2), "#102030")
    assert isinstance(bar, Rect)
    assert (bar.x, bar.width, bar.fill, bar.title) == (100, 100, "#102030", "a: 1")


def test_a_band_has_a_line_for_each_bar() -> None:
    marks = [("a", Bar(1.0)), ("b", Bar(10.0)), ("c", Bar(0.1))]
    dark, light, *lines = draw_marks(marks, STRIP, LogScale(-2, 2), "#000000")
    assert isinstance(dark, Rect)
    assert isinstance(light, Rect)
    assert (dark.width, light.width, light.fill) == (50, 100, "#b2b2b2")
    assert light.title == "from 0.1 (c) to 10 (b)"
    assert [line.x1 for line in lines if isinstance(line, Line)] == [150, 200, 250]


def test_a_histogram_is_an_area_over_its_bins() -> None:
    (area,) = draw_marks([("a", Area(-1.0, 1.0, [1, 2]))], STRIP, LinearScale(-2, 2), "#000000")
    assert isinstance(area, Polygon)
    assert [x for x, _ in area.points] == [150, 175, 225, 250]
    heights = [24 - y for _, y in area.points]
    assert heights == pytest.approx([0, 11, 22, 0])


def test_a_constant_is_a_line() -> None:
    (area,) = draw_marks([("a", Area(1.0, 1.0, [0, 9, 0]))], STRIP, LinearScale(0, 2), "#000000")
    assert isinstance(area, Polygon)
    assert {x for x, _ in area.points} == {199, 201}


def test_the_height_of_a_histogram_between_its_bins() -> None:
    area = Area(0.0, 4.0, [0, 4, 2, 0])
    assert [area.height(value) for value in (-1, 0, 0.5, 1, 1.5, 2, 2.5, 4, 5)] == [0, 0, 0, 0.5, 1, 0.75, 0.5, 0, 0]
