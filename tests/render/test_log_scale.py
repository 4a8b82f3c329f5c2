from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.log_scale import MAX_DECADES, LogScale, scale_of

POSITIVE = st.floats(1e-300, 1e300)


@given(st.lists(POSITIVE, min_size=1))
def test_every_number_stands_above_the_foot_in_order_of_size(values: list[float]) -> None:
    scale = scale_of(values)
    places = [scale.fraction(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    assert 0 < scale.high - scale.low <= MAX_DECADES
    assert all(place > 0 for place, value in zip(places, sorted(values), strict=True) if value > 10.0**scale.low * 1.01)


@pytest.mark.parametrize(
    ("values", "due"),
    [
        ([], (-1, 0)), ([0.0, -3.0, math.nan, math.inf], (-1, 0)), ([5.0], (0, 1)), ([1.0], (-1, 0)),
        ([0.01, 100.0], (-3, 2)), ([1e-40, 1.0], (-16, 0)),
    ],
)  # fmt: skip
def test_whole_decades(values: list[float], due: tuple[int, int]) -> None:
    assert scale_of(values) == due


@pytest.mark.parametrize(
    ("value", "due"), [(0, 0), (-1, 0), (math.nan, 0), (math.inf, 1), (1e9, 1), (1e-9, 0), (10, 0.75)]
)
def test_what_is_outside_stands_at_an_end(value: float, due: float) -> None:
    assert LogScale(-2, 2).fraction(value) == due


@pytest.mark.parametrize(("most", "due"), [(9, [-4, -3, -2, -1, 0, 1, 2, 3, 4]), (5, [-4, -2, 0, 2, 4]), (2, [-4, 4])])
def test_ticks_are_no_more_than_asked_for(most: int, due: list[int]) -> None:
    assert LogScale(-4, 4).ticks(most) == due


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
