"""Pictures are XML that a parser reads, whatever names are in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.svg import Line, Picture, Polygon, Rect, Text, render_html, render_svg

XML = "{http://www.w3.org/2000/svg}"


def parsed(*shapes: Rect | Line | Polygon | Text, title: str = "t") -> ET.Element:
    return ET.fromstring("".join(render_svg(Picture(100, 50.5, title, shapes))))


def test_every_shape_has_its_numbers() -> None:
    root = parsed(
        Rect(1, 2.5, 3, 4, "#fff", "what"), Line(0, 0, 10, 1 / 3), Polygon([(0, 0), (1, 2)], "red"),
        Text(5, 6, "word", anchor="end", bold=True),
    )  # fmt: skip
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("100", "50.5", "0 0 100 50.5")
    ground, rect, line, polygon, text = list(root)[1:]
    assert ground.get("fill") == "#ffffff"
    assert [rect.get(key) for key in ("x", "y", "width", "height")] == ["1", "2.5", "3", "4"]
    assert [each.text for each in rect] == ["what"]
    assert line.get("y2") == "0.33"
    assert (polygon.get("points"), polygon.get("stroke"), list(polygon)) == ("0,0 1,2", "none", [])
    assert (text.text, text.get("text-anchor"), text.get("font-weight")) == ("word", "end", "bold")


@given(st.text(), st.text())
def test_any_name_is_text_and_nothing_else(name: str, title: str) -> None:
    root = parsed(Text(0, 0, name), Rect(0, 0, 1, 1, "red", name), title=title)
    assert [each.tag.removeprefix(XML) for each in root.iter()].count("text") == 1
    assert not {"script", "a", "image"} & {each.tag.removeprefix(XML) for each in root.iter()}


def test_a_name_is_escaped_for_xml_and_for_the_eye() -> None:
    (text,) = parsed(Text(0, 0, '<b>&"\x1b[2J\u202e')).iter(f"{XML}text")
    assert text.text == '<b>&"\\x1b[2J\\u202e'


def test_a_page_holds_the_same_picture() -> None:
    picture = Picture(10, 10, "a < b", [Line(0, 0, 1, 1)])
    page = "".join(render_html(picture))
    assert "".join(render_svg(picture)) in page
    assert "<title>a &lt; b</title>" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
