"""Gradient norms as pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from paraminspect.outcomes import GradRecord
from paraminspect.render.chart import WIDTH, draw_chart
from paraminspect.render.gradient_plot import chart_of_gradients
from paraminspect.render.svg import render_html, render_svg
from tests.making.gradients import RECORDS


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_says_what_the_chart_says() -> None:
    svg = "".join(render_svg(draw_chart(chart_of_gradients(RECORDS, "Gradients of <x>", "loss 1"))))
    found = texts(svg)
    assert found[:2] == ["Gradients of <x>", "loss 1"]
    assert {"1e-02", "1e+01", "embed.weight", "uses", "2", "none: body.1 is never called"} <= set(found)
    bars = [float(each.attrib["width"]) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert bars == [WIDTH, pytest.approx(WIDTH / 3, abs=0.01)]


def test_pictures_stand_alone_and_escape() -> None:
    hostile = GradRecord('<script>"&\x1b\u202e', (), "ok", 1.0, 1.0, 0.0, None)
    for render in (render_svg, render_html):
        page = "".join(render(draw_chart(chart_of_gradients([hostile], "<title>", "</svg>"))))
        assert "<script" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    ET.fromstring("".join(render_svg(draw_chart(chart_of_gradients([hostile], "<title>", "</svg>")))))
