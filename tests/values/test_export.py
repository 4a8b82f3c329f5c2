"""Values for other programs."""

from __future__ import annotations

import io
import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.values.display import encode_npy, nested_values


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_float32_survives_json(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    back = np.array(json.loads(json.dumps(nested_values(array))), np.float32)
    assert back.tobytes() == array.tobytes()


def test_float32_has_no_more_digits_than_it_needs() -> None:
    assert nested_values(np.array([[0.1], [1.0]], np.float32)) == [[0.1], [1.0]]


@pytest.mark.parametrize(
    ("array", "due"),
    [
        (np.array(2.5, np.float32), 2.5),
        (np.array([True, False]), [True, False]),
        (np.array([2**53 + 1]), [2**53 + 1]),
        (np.array([1 + 2j], np.complex64), [[1.0, 2.0]]),
        (np.array([1.5], ml_dtypes.bfloat16), [1.5]),
        (np.zeros((2, 0), np.float32), [[], []]),
    ],
)
def test_values(array: np.ndarray, due: object) -> None:  # type: ignore[type-arg]
    assert nested_values(array) == due


def test_npy_can_be_loaded() -> None:
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    data, note = encode_npy(array)
    assert note is None
    assert (np.load(io.BytesIO(data)) == array).all()


def test_npy_of_bfloat16_is_widened_and_says_so() -> None:
    data, note = encode_npy(np.array([2.0**100, -2], ml_dtypes.bfloat16))
    assert note == "npy has no bfloat16: written as float32, without loss"
    assert np.load(io.BytesIO(data)).tolist() == [2.0**100, -2]
