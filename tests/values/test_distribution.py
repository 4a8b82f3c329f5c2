"""Quantiles and histograms, held against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paraminspect.values import distribution as module
from paraminspect.values.distribution import BINS, QUANTILES, Distribution, count_places
from tests.making.cells import in_cells

Array = np.ndarray[Any, Any]
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32).map(lambda x: 0.0 if abs(x) < 1e-30 else x)
LISTS = st.lists(FLOATS, min_size=1, max_size=60)


def exact(values: Array) -> Distribution:
    numbers, counts = np.unique(values, return_counts=True)
    return Distribution.of_values(numbers, counts)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.intp])
def test_places_of_any_size_are_added_to_what_was_counted(kind: type[np.generic]) -> None:
    counts = np.array([5, 0, 0, 1])
    count_places(np.array([3, 3, 1, 0], kind), counts)
    assert counts.tolist() == [6, 1, 0, 3]


@given(LISTS)
def test_quantiles_of_numbers_are_those_of_numpy(values: list[float]) -> None:
    array = np.array(values, np.float64)
    found = exact(array).quantiles()
    np.testing.assert_allclose(found, np.quantile(array, QUANTILES), rtol=1e-12, atol=1e-12 * np.abs(array).max())


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60))
def test_a_histogram_of_numbers_is_that_of_numpy(values: list[int]) -> None:
    array = np.array(values, np.float64)
    found = exact(array).histogram(array.min(), array.max())
    assert (len(found), sum(found)) == (BINS, array.size)
    if array.min() < array.max():
        assert list(found) == np.histogram(array, BINS)[0].tolist()
    else:
        assert found[BINS // 2] == array.size


@example([0.0] * 15 + [1.0] * 11)
@given(LISTS)
def test_cells_are_off_by_less_than_a_hundred_and_twenty_eighth(values: list[float]) -> None:
    """Of one rank, so that nothing is interpolated between cells."""
    array = np.sort(np.array(values, np.float32))
    cells = in_cells(array)
    assert int(cells.counts.sum()) == array.size
    shares = tuple(rank / max(array.size - 1, 1) for rank in range(array.size))
    for found, due in zip(cells.quantiles(shares) or (), array.astype(np.float64), strict=True):
        assert found == pytest.approx(due, rel=1 / 64, abs=0)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_zero_among_many_is_zero(zero: float) -> None:
    array = np.tile(np.arange(-1000, 1001, dtype=np.float32) / 50000, 50)
    array[array == 0] = zero
    found = in_cells(array).quantiles((0.5,))
    assert found is not None
    assert str(found[0]) == "0.0"
    histogram = np.array(in_cells(array).histogram(array.min(), array.max()))
    assert np.abs(histogram - np.histogram(array, BINS)[0]).max() <= array.size / 500


def test_numbers_that_are_not_finite_are_left_out() -> None:
    values = np.array([np.nan, -np.inf, 2.0, np.inf, 1.0])
    found = Distribution.of_values(values, np.array([1, 1, 3, 1, 0]))
    assert (found.lows.tolist(), found.counts.tolist()) == ([2.0], [3])
    assert int(in_cells(values.astype(np.float32)).counts.sum()) == 2


def test_float64_past_float32_is_counted_at_its_end() -> None:
    cells = in_cells(np.array([1e300, -1e300, 1.0]))
    assert int(cells.counts.sum()) == 3
    assert cells.highs[-1] == np.finfo(np.float32).max


def test_zeros_between_bins_are_of_the_upper_one_however_many_numbers_there_are() -> None:
    numbers = np.concatenate([np.zeros(1000), np.linspace(-1, 1, 70_000)]).astype(np.float32)
    found = in_cells(numbers).histogram(-1, 1)
    assert found[16] - found[15] == 1000


def test_of_nothing() -> None:
    nothing = Distribution.of_values(np.empty(0), np.empty(0, np.int64))
    assert nothing.quantiles() is None
    other = exact(np.array([1.0]))
    assert nothing.merge(other) is other
    assert other.merge(nothing) is other


NUMBERS = st.sampled_from([0.0, -0.0, 1.0, 1.5, -1.5, 2.0**-140, -(2.0**-140), 1e300, -1e300]) | st.floats(
    allow_nan=False, allow_infinity=False, width=32
)
PARTS = st.lists(st.tuples(st.lists(NUMBERS, max_size=12), st.booleans()), min_size=1, max_size=6)


def contents(found: Distribution) -> dict[tuple[float, float], int]:
    """Counts by cell; there are two of zero, one for each of its signs."""
    cells: dict[tuple[float, float], int] = {}
    for low, high, count in zip(found.lows.tolist(), found.highs.tolist(), found.counts.tolist(), strict=True):
        cells[low, high] = cells.get((low, high), 0) + count
    return cells


@given(PARTS, st.integers(0, 40), st.data())
def test_parts_in_any_order_and_of_either_kind_are_one_whole(
    parts: list[tuple[list[float], bool]], bound: int, data: st.DataObject
) -> None:
    left = [(exact if kept else in_cells)(np.array(numbers, np.float64)) for numbers, kept in parts]
    whole = np.concatenate([np.repeat(each.lows, each.counts) for each in left])
    are_kept = all(each.is_exact for each in left)  # a cell of zeros is a number too
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EXACT", bound)
        while len(left) > 1:
            one, other = (left.pop(data.draw(st.integers(0, len(left) - 1))) for _ in range(2))
            left.append(one.merge(other))
    alone = sum(bool(numbers) for numbers, _ in parts) < 2  # nothing was to be merged with it
    is_kept = are_kept and (alone or np.unique(whole).size <= bound)
    assert contents(left[0]) == contents((exact if is_kept else in_cells)(whole))
    assert (np.diff(left[0].lows) >= 0).all()
    assert left[0].counts.dtype == np.int64


@pytest.mark.parametrize("bound", [0, 2])
def test_counts_that_no_float_holds_are_added(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", bound)
    one, other = (Distribution.of_values(np.array([1.0]), np.array([count])) for count in (2**53, 1))
    assert one.merge(other).counts.tolist() == [2**53 + 1]


@pytest.mark.parametrize("bound", [2, 3, 4])
def test_so_many_numbers_are_kept_and_no_more(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", bound)
    found = exact(np.array([1.0, 2.0, 2.0])).merge(exact(np.array([2.0, 3.0])))
    assert found.is_exact == (bound >= 3)
    assert found.counts.tolist() == [1, 3, 1]
