"""Shares of a whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.shares import CELLS, bar, percentage, share_bar
from paraminspect.render.style import Style


def test_percentages() -> None:
    assert [percentage(part, 1000) for part in (1000, 9996, 999, 500, 1, 0)] == [
        "100%", "100%", "99.9%", "50.0%", "0.1%", "0.0%",
    ]  # fmt: skip
    assert percentage(0, 0) == ""


def test_bars() -> None:
    drawn = [bar(part, 64, Style()) for part in (64, 32, 9, 1, 0)]
    assert drawn == ["████████", "████", "█▏", "▏", ""]
    assert [bar(part, 64, Style(unicode=False)) for part in (64, 32, 1, 0)] == ["########", "####", "#", ""]
    assert share_bar(1, 4, Style()) == "25.0% ██"


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_bar_is_drawn_where_a_share_is_told(one: int, other: int) -> None:
    whole = one + other
    for style in (Style(), Style(unicode=False)):
        drawn = bar(one, whole, style)
        assert len(drawn) <= CELLS
        assert bool(drawn) == (percentage(one, whole) not in {"", "0.0%"})
