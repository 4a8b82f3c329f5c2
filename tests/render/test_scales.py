from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.scales import MAX_DECADES, REACH, LinearScale, LogScale, linear_scale, log_scale

POSITIVE = st.floats(1e-300, 1e300)


@given(st.lists(POSITIVE, min_size=1))
def test_every_number_stands_above_the_foot_in_order_of_size(values: list[float]) -> None:
    scale = log_scale(values)
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
    assert log_scale(values) == due


@pytest.mark.parametrize(
    ("value", "due"), [(0, 0), (-1, 0), (math.nan, 0), (math.inf, 1), (1e9, 1), (1e-9, 0), (10, 0.75)]
)
def test_what_is_outside_stands_at_an_end(value: float, due: float) -> None:
    assert LogScale(-2, 2).fraction(value) == due


@pytest.mark.parametrize(("most", "due"), [(9, [-4, -3, -2, -1, 0, 1, 2, 3, 4]), (5, [-4, -2, 0, 2, 4]), (2, [-4, 4])])
def test_ticks_are_no_more_than_asked_for(most: int, due: list[int]) -> None:
    assert [tick.label for tick in LogScale(-4, 4).ticks(most)] == [f"1e{each:+03d}" for each in due]


def test_scale() -> None:
    assert log_scale([0.02, 3.0]) == LogScale(-2, 1)
    assert log_scale([]) == LogScale(-1, 0)
    assert log_scale([1.0]) == LogScale(-1, 0)
    assert log_scale([1e-300, 1.0]) == LogScale(-MAX_DECADES, 0)
    scale = LogScale(-2, 2)
    assert [scale.fraction(value) for value in (0, 1e-9, 0.01, 1, 100, 1e9, math.inf, math.nan)] == [
        0, 0, 0, 0.5, 1, 1, 1, 0,
    ]  # fmt: skip
    assert [tick.fraction for tick in LogScale(-7, 2).ticks(4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("ranges", "due"),
    [
        ([], (-1, 1)), ([(0.0, 0.0)], (-1, 1)), ([(-1.0, 2.0)], (-1, 2)), ([(1.0, 2.0)], (0, 2)),
        ([(-1.0, 1.0), (-1.0, 1.0), (-99.0, 5.0)], (-REACH, REACH)), ([(1e-310, 2e-310)], (-1, 1)),
        ([(0.0, 0.0), (0.0, 0.0), (0.0, 3.0)], (0, 3)),
    ],
)  # fmt: skip
def test_an_axis_holds_zero_and_what_is_typical(ranges: list[tuple[float, float]], due: tuple[float, float]) -> None:
    assert linear_scale(ranges) == due


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(FINITE, FINITE).map(lambda pair: (min(pair), max(pair)))), st.integers(2, 12))
def test_round_numbers_stand_on_any_axis(ranges: list[tuple[float, float]], most: int) -> None:
    scale = linear_scale(ranges)
    ticks = scale.ticks(most)
    assert 1 <= len(ticks) <= most
    assert all(0 <= tick.fraction <= 1 for tick in ticks)
    assert any(float(tick.label) == 0 for tick in ticks)
    assert all(0 <= scale.fraction(value) <= 1 for ends in ranges for value in ends)


def test_ticks_of_a_linear_scale_are_round() -> None:
    assert [tick.label for tick in LinearScale(-0.9, 0.9).ticks(6)] == ["-0.5", "0", "0.5"]
    assert [tick.label for tick in LinearScale(0, 10).ticks(6)] == ["0", "2", "4", "6", "8", "10"]
