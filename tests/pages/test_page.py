"""The page around the data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.pages.page import render_page

NOTHING = b"".join(render_page({})).decode()


def data_of(page: str) -> Any:
    """What the browser hands to JSON.parse: all up to the first end of a script element."""
    behind = page.split('<script type="application/json" id="data">', 1)[1]
    return json.loads(behind.split("</script", 1)[0])


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text()), max_size=4))
def test_any_text_comes_through_and_stays_text(document: dict[str, Any]) -> None:
    page = b"".join(render_page(document)).decode("ascii", "surrogateescape")
    assert data_of(page) == document


@pytest.mark.parametrize(
    "text", ["</script><script>x()</script>", "<!--<script>", "]]>", "&lt;", "\u2028\u2029", "\ud800"]
)
def test_nothing_gets_out_of_the_data(text: str) -> None:
    page = b"".join(render_page({"name": text})).decode()
    assert data_of(page) == {"name": text}
    assert page.replace(page.split('id="data">')[1].split("</script>")[0], "{}") == NOTHING


def test_the_policy_allows_the_style_and_the_script_and_nothing_else() -> None:
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', NOTHING)[0]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", NOTHING, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert allowed[rule] == f"'sha256-{digest}'"
    assert set(allowed) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


def test_the_page_asks_for_nothing_and_names_its_licences() -> None:
    assert not re.findall(r"(?:src|href|action)=[\"']?(?!data:|#)[^\"']", NOTHING.split("<script>")[0])
    assert not re.findall(r"https?://(?!www\.w3\.org/)\S+", NOTHING.split("<script>")[1])
    for library in ("preact", "d3-hierarchy", "@tanstack/virtual-core"):
        assert re.search(rf"{library} \d", NOTHING)
    assert len(NOTHING) < 400_000


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text("a<&é", max_size=4),
        lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text("a<&é", max_size=4), inside, max_size=4),
        max_leaves=20,
    )
)
def test_the_data_is_what_json_writes(data: Any) -> None:
    """Level by level, and all of it below."""
    document = {"first": data, "tables": [{"column": [data, data]}, data]}
    page = b"".join(render_page(document)).decode()
    expected = json.dumps(document, separators=(",", ":"))
    for character in "<>&":
        expected = expected.replace(character, f"\\u{ord(character):04x}")
    assert page.split('id="data">')[1].split("</script")[0] == expected


def test_pieces_are_few_and_none_is_small_but_the_last() -> None:
    rows = [{"name": f"h.{number}.weight", "shape": [3, 4]} for number in range(20_000)]
    pieces = list(render_page({"sources": [{"rows": rows}]}))
    assert 4 < len(pieces) < 40
    assert min(map(len, pieces)) >= 1 << 16


def test_no_number_is_written_that_is_none() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        b"".join(render_page({"x": float("nan")}))
