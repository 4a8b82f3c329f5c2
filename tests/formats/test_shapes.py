"""Shapes that a file declares, held against torch and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.formats.shapes import (
    MAX_DIMENSIONS,
    MAX_NUMEL,
    check_sizes,
    contiguous_stride,
    count_elements,
    is_dense,
    storage_order,
)

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(SHAPES)
def test_the_stride_of_a_shape_is_that_of_torch(shape: tuple[int, ...]) -> None:
    assert contiguous_stride(shape) == torch.empty(shape).stride()
    assert count_elements(shape) == torch.empty(shape).numel()


@given(SHAPES.filter(lambda shape: 0 not in shape), st.randoms(use_true_random=False))
def test_a_permuted_tensor_is_dense_and_its_order_leads_back(shape: tuple[int, ...], random: object) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)  # type: ignore[attr-defined]
    tensor = torch.arange(math.prod(shape)).reshape(shape).permute(order)
    assert is_dense(tuple(tensor.shape), tensor.stride())
    back = tensor.permute(storage_order(tensor.stride())) if order else tensor
    assert is_dense(tuple(back.shape), back.stride())
    assert sorted(back.stride(), reverse=True) == list(back.stride())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 7)), max_size=3))
def test_dense_is_one_element_at_each_place(sizes: list[tuple[int, int]]) -> None:
    shape, stride = tuple(size for size, _ in sizes), tuple(step for _, step in sizes)
    places = sorted(int(np.dot(index, stride)) for index in np.ndindex(*shape))
    assert is_dense(shape, stride) is (places == list(range(math.prod(shape))))


@pytest.mark.parametrize("stride", [(), (9,), (0, 0)])
def test_no_elements_are_dense_whatever_the_stride(stride: tuple[int, ...]) -> None:
    assert is_dense((0,) * max(1, len(stride)), stride or (1,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3,4", "no list"), ({3: 4}, "no list"), (None, "no list"), ([3.0], "no integer"), ([True], "no integer"),
        ((3, "4"), "no integer"), ([3, -1], "negative number -1"), ([-(10**30)], "negative number -9,?223"),
    ],
)  # fmt: skip
def test_sizes_that_are_none(value: object, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check_sizes(value)


def test_dimensions_are_bounded() -> None:
    assert check_sizes([1] * MAX_DIMENSIONS) == (1,) * MAX_DIMENSIONS
    with pytest.raises(LimitExceededError) as caught:
        check_sizes([1] * (MAX_DIMENSIONS + 1))
    assert (caught.value.limit, caught.value.actual) == (MAX_DIMENSIONS, MAX_DIMENSIONS + 1)


def test_a_size_of_zero_does_not_hide_too_many_elements() -> None:
    assert count_elements((MAX_NUMEL,)) == MAX_NUMEL
    for shape in ((MAX_NUMEL, 2), (0, MAX_NUMEL, 2), (MAX_NUMEL, 2, 0)):
        with pytest.raises(LimitExceededError):
            count_elements(shape)
