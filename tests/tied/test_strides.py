from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.tied import strides
from paraminspect.tied.strides import ByteSet, Effort, equal_sets, interval, separate, share_bytes, strided_set

PLENTY = 10**9


def expand(one: ByteSet) -> set[int]:
    """Every byte of a set."""
    offsets = itertools.product(*(range(0, stride * count, stride) for stride, count in one.dims))
    return {one.start + sum(steps) + u for steps in offsets for u in range(one.run)}


@pytest.mark.parametrize(
    ("shape", "stride", "itemsize", "expected"),
    [
        ([], [], 4, (10, 14, 4, ())),
        ([6, 8], [8, 1], 4, (10, 202, 192, ())),
        ([8, 6], [1, 8], 4, (10, 202, 192, ())),
        ([6, 4], [8, 1], 4, (10, 186, 16, ((32, 6),))),
        ([6, 4], [8, 2], 4, (10, 198, 4, ((8, 24),))),
        ([6, 1, 4], [8, 5, 2], 1, (10, 57, 1, ((2, 24),))),
        ([5, 3], [0, 2], 1, (10, 15, 1, ((2, 3),))),
        ([4, 3], [1, 1], 2, (10, 22, 12, ())),
        ([3], [-4], 2, (-6, 12, 2, ((8, 3),))),
        ([3, 2], [2, 3], 1, (10, 18, 1, ((2, 3), (3, 2)))),
    ],
)
def test_normal_form(shape: list[int], stride: list[int], itemsize: int, expected: object) -> None:
    assert strided_set(10, shape, stride, itemsize) == expected


@st.composite
def sets(draw: st.DrawFn) -> ByteSet:
    shape = draw(st.lists(st.integers(1, 4), max_size=5))
    unit = draw(st.sampled_from([1, 2, 6]))
    stride = [unit * draw(st.integers(0, 40)) for _ in shape]
    return strided_set(draw(st.integers(0, 80)), shape, stride, draw(st.integers(1, 5)))


@settings(max_examples=400)
@given(sets(), sets(), st.sampled_from([0, 1, strides.MAX_NODES]))
def test_share_bytes_equals_expansion(a: ByteSet, b: ByteSet, nodes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strides, "MAX_NODES", nodes)
        assert share_bytes(a, b, Effort(PLENTY)) == bool(expand(a) & expand(b))
        assert share_bytes(b, a, Effort(PLENTY)) == bool(expand(a) & expand(b))


@settings(max_examples=400)
@given(st.integers(0, 300), st.integers(1, 300), st.data())
def test_first_fit_equals_trying_all(stride: int, modulus: int, data: st.DataObject) -> None:
    rest = data.draw(st.integers(-500, 500))
    run = data.draw(st.integers(1, modulus))
    expected = next((i for i in range(modulus) if (rest - i * stride) % modulus < run), None)
    assert strides._first_fit(rest, stride, modulus, run) == expected


def test_one_narrower_stride_is_solved_without_trying_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    """i*p + j*q = r for 60-bit numbers: one solution among 2^29 candidates, and none beside it."""
    monkeypatch.setattr(strides, "MAX_NODES", 1)
    p, q, count = (1 << 31) - 1, (1 << 30) + 3, 1 << 29
    i, j = 123_456_789, 98_765_432
    grid = ByteSet(0, (p + q) * (count - 1) + 1, 1, ((q, count), (p, count)))
    assert share_bytes(grid, interval(i * p + j * q, 1), Effort(PLENTY))
    assert not share_bytes(grid, interval(p - q - 1, 1), Effort(PLENTY))
    assert not share_bytes(grid, interval(grid.end - 3, 1), Effort(PLENTY))


def test_what_stays_undecided_counts_as_meeting_but_not_as_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    dims = tuple((3**place + 1000, 2) for place in range(12))
    knapsack = ByteSet(0, sum(stride for stride, _ in dims) + 1, 1, dims)
    target = interval(sum(stride for stride, _ in dims[::2]) + 1, 1)
    assert not share_bytes(knapsack, target, Effort(PLENTY))
    assert share_bytes(knapsack, target, Effort(20))
    monkeypatch.setattr(strides, "MAX_NODES", 1)
    assert not share_bytes(knapsack, target, Effort(PLENTY))
    monkeypatch.setattr(strides, "MAX_BITS", 1)
    assert share_bytes(knapsack, target, Effort(PLENTY))


def test_without_effort_sets_meet_where_their_extents_do() -> None:
    even, odd = strided_set(0, [9], [2], 1), strided_set(1, [9], [2], 1)
    assert not share_bytes(even, odd, Effort(PLENTY))
    assert share_bytes(even, odd, Effort(0))
    assert not share_bytes(even, strided_set(17, [9], [2], 1), Effort(0))


TWO_FORMS = [strided_set(0, [4, 5], [5, 2], 1), strided_set(0, [2, 10], [5, 2], 1)]


def test_two_forms_of_one_set_are_equal_while_they_can_be_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TWO_FORMS[0] != TWO_FORMS[1]
    assert expand(TWO_FORMS[0]) == expand(TWO_FORMS[1])
    assert equal_sets(TWO_FORMS, Effort(PLENTY)) == [0, 0]
    assert equal_sets(TWO_FORMS, Effort(1)) == [0, 1]
    monkeypatch.setattr(strides, "MAX_BITS", 23)
    assert equal_sets(TWO_FORMS, Effort(PLENTY)) == [0, 1]


@settings(max_examples=300)
@given(st.lists(sets(), max_size=6))
def test_equal_sets_equals_expansion(some: list[ByteSet]) -> None:
    distinct = list(dict.fromkeys([*some, *TWO_FORMS]))
    expanded = [expand(one) for one in distinct]
    assert equal_sets(distinct, Effort(PLENTY)) == [expanded.index(one) for one in expanded]


@settings(max_examples=300)
@given(st.lists(sets(), max_size=8), st.integers(0, 60))
def test_separate_keeps_sets_that_meet_together(some: list[ByteSet], effort: int) -> None:
    lots = separate(some, Effort(effort))
    places = [place for lot in lots for place in lot]
    assert len(places) == len(set(places))
    lot_of = {place: number for number, lot in enumerate(lots) for place in lot}
    for a, b in itertools.combinations(range(len(some)), 2):
        if expand(some[a]) & expand(some[b]):
            assert a in lot_of
            assert lot_of[a] == lot_of.get(b)


def test_separate_cuts_the_circle_where_nothing_reaches_across() -> None:
    """Columns of a matrix of width 10, of which the first wraps around the end of the row."""
    columns = [ByteSet(8, 61, 3, ((10, 6),)), ByteSet(1, 54, 2, ((10, 6),)), ByteSet(3, 58, 5, ((10, 6),))]
    assert separate(columns, Effort(PLENTY)) == []
    assert separate(columns, Effort(0)) == [[1, 2, 0]]
    assert separate([*columns, ByteSet(10, 61, 1, ((10, 6),))], Effort(PLENTY)) == [[0, 3]]


def test_separate_does_not_cut_inside_a_wide_column() -> None:
    """Modulo 10: one column at 8..13, one at 2..8, and in it two narrow ones; only at 8 does nothing reach across."""
    narrow = [ByteSet(3, 54, 1, ((10, 6),)), ByteSet(5, 56, 1, ((10, 6),))]
    columns = [ByteSet(8, 63, 5, ((10, 6),)), ByteSet(2, 58, 6, ((10, 6),)), *narrow]
    assert sorted(map(sorted, separate(columns, Effort(PLENTY)))) == [[0, 1, 2, 3]]
    columns[0] = ByteSet(8, 62, 4, ((10, 6),))
    assert sorted(map(sorted, separate(columns, Effort(PLENTY)))) == [[1, 2, 3]]


def test_separate_by_extent_sees_nested_extents() -> None:
    some = [interval(0, 100), interval(10, 5), interval(20, 5), interval(100, 5)]
    assert separate(some, Effort(PLENTY)) == [[0, 1, 2]]
