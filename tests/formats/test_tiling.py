"""Whether boxes are the whole, held against counting each element."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError
from paraminspect.formats.tiling import find_flaw
from paraminspect.limits import OPCODES, one_effort
from tests.making.distributed import Box, grid

SIZES = st.lists(st.integers(1, 4), max_size=3)


@st.composite
def divided(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box]]:
    """A shape, and boxes that come of cutting it again and again; perhaps one is moved, taken away or put in twice."""
    shape = tuple(draw(SIZES))
    boxes: list[Box] = [((0,) * len(shape), shape)]
    for _ in range(draw(st.integers(0, 6))):
        begin, sizes = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.sampled_from(range(len(shape)))) if shape else None
        if axis is None or sizes[axis] < 2:
            boxes.append((begin, sizes))
            continue
        cut = draw(st.integers(1, sizes[axis] - 1))
        boxes.append((begin, (*sizes[:axis], cut, *sizes[axis + 1 :])))
        after = (*begin[:axis], begin[axis] + cut, *begin[axis + 1 :])
        boxes.append((after, (*sizes[:axis], sizes[axis] - cut, *sizes[axis + 1 :])))
    if draw(st.booleans()):
        begin = tuple(draw(st.integers(0, size - 1)) for size in shape)
        sizes = tuple(draw(st.integers(0, size - at)) for size, at in zip(shape, begin, strict=True))
        boxes[draw(st.integers(0, len(boxes) - 1))] = begin, sizes
    return shape, draw(st.permutations(boxes))


@given(divided())
def test_like_counting_each_element(case: tuple[tuple[int, ...], list[Box]]) -> None:
    shape, boxes = case
    counts = dict.fromkeys(product(*map(range, shape)), 0)
    for begin, sizes in boxes:
        for place in product(*(range(at, at + size) for at, size in zip(begin, sizes, strict=True))):
            counts[place] += 1
    flaw = find_flaw(shape, boxes)
    assert (flaw is None) == (set(counts.values()) <= {1})
    covered = sum(counts.values())
    if flaw is not None:
        assert flaw.code == ("hole" if covered < len(counts) else "overlap")


def test_what_is_said() -> None:
    assert find_flaw((4, 4), [((0, 0), (2, 4)), ((2, 0), (2, 3))]) == ("hole", "its pieces hold 14 of 16 elements")
    assert find_flaw((4, 4), [((0, 0), (3, 4)), ((2, 0), (1, 4))]) == ("overlap", "its pieces overlap")
    assert find_flaw((4,), [((0,), (2,)), ((1,), (2,))]) == ("overlap", "its pieces overlap")  # and leave a hole
    assert find_flaw((), []) == ("hole", "its pieces hold 0 of 1 elements")
    assert find_flaw((), [((), ())]) is None
    assert find_flaw((), [((), ())] * 2) == ("overlap", "its pieces overlap")
    assert find_flaw((4,), [((0,), (4,))] * 2) == ("overlap", "its pieces overlap")
    assert find_flaw((0, 3), []) is None
    assert find_flaw((4, 4), [((0, 0), (4, 4)), ((4, 0), (0, 4))]) is None  # a rank that has nothing


def test_work_grows_with_the_boxes() -> None:
    spent = []
    for parts in (16, 32):
        with one_effort(afresh=True) as effort:
            assert find_flaw((4096, 4096), grid((4096, 4096), (parts, parts))) is None
            spent.append(effort.spent(OPCODES))
    assert spent[1] == 4 * spent[0]


def test_more_divided_dimensions_than_any_program_divides() -> None:
    shape = (2,) * 9
    with pytest.raises(LimitExceededError, match="divided dimensions"):
        find_flaw(shape, grid(shape, shape))
