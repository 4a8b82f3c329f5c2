"""Narrow numbers as wide ones, held against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paraminspect.values.dtypes import numpy_dtype
from paraminspect.values.widen import narrow_values, to_float64, to_python, widen
from tests.making.newer_torch import dtypes

NARROW = [
    "bfloat16",
    "float16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


@pytest.mark.parametrize("name", dtypes(NARROW))
def test_every_pattern_is_the_number_that_torch_says(name: str) -> None:
    dtype = numpy_dtype(name)
    assert dtype is not None
    bits = np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}")
    due = torch.from_numpy(bits.copy()).view(getattr(torch, name)).float().numpy()
    for found in (widen(bits.view(dtype)), narrow_values(dtype)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, due)
        finite = ~np.isnan(due)
        assert np.array_equal(np.signbit(found[finite]), np.signbit(due[finite]))


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float32", "float64", "complex64"])
def test_wide_numbers_are_left_as_they_are(dtype: str) -> None:
    array = np.ones(3, dtype)
    assert widen(array) is array


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">c8"])
def test_the_other_byte_order(dtype: str) -> None:
    found = widen(np.array([1, 2], dtype))
    assert found.dtype.isnative
    assert found.tolist() == [1, 2]


def test_a_long_double_is_taken_as_float64() -> None:
    assert widen(np.ones(2, np.longdouble)).dtype == np.float64


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.zeros(1, "M8[s]"), np.zeros(1, "i4,f4")])
def test_what_is_no_number_is_refused(array: np.ndarray[tuple[int, ...], np.dtype[np.void]]) -> None:
    with pytest.raises(TypeError, match="has no arithmetic"):
        widen(array)


def test_patterns_of_wide_types_are_not_listed() -> None:
    with pytest.raises(TypeError, match="more than 16 bits"):
        narrow_values(np.dtype(np.float32))


def test_numbers_of_python() -> None:
    half = numpy_dtype("bfloat16")
    assert to_python(np.array([[0.5, 1]], half)) == [[0.5, 1.0]]
    assert to_python(np.array([2**62 + 1])) == [2**62 + 1]
    assert to_float64(np.array([0x7F800001], np.uint32).view(np.float32)).dtype == np.float64  # a signalling NaN
