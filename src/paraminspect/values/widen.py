"""Numbers of narrow types as types that numpy computes with at full speed, without loss."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from paraminspect.values.dtypes import is_floating, is_foreign

Array = np.ndarray[Any, Any]

_WIDEST = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16}
"""Bytes of the widest type of a kind that torch has: long doubles are taken as float64."""


def widen(array: Array) -> Array:
    """The same numbers as bool, integer, float32, float64 or complex; the array itself where it is one of these.

    Raises:
        TypeError: No numbers: text, dates, records.
    """
    dtype = array.dtype
    if is_foreign(dtype):
        return _table(array)
    if dtype.kind not in "biufc":
        raise TypeError(f"{dtype} has no arithmetic")
    if dtype.itemsize > _WIDEST[dtype.kind]:
        return array.astype(f"{dtype.kind}{_WIDEST[dtype.kind]}")
    if dtype.kind == "f" and dtype.itemsize == 2:
        return array.astype(np.float32)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def to_float64(array: Array) -> Array:
    """The same real numbers as float64. A signalling NaN becomes a quiet one, about which numpy would warn."""
    with np.errstate(invalid="ignore"):
        numbers: Array = array.astype(np.float64)
    return numbers


def to_python(array: Array) -> Any:
    """Python's own numbers in nested lists; types that numpy does not know are floats of at most 64 bits."""
    return (to_float64(array) if is_floating(array.dtype) else array).tolist()


def _table(array: Array) -> Array:
    """Those of ml_dtypes: a bfloat16 is the upper half of a float32, others are looked up."""
    dtype = array.dtype
    bits = np.ascontiguousarray(array)
    if dtype.name == "bfloat16":
        return (bits.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return narrow_values(dtype).take(bits.view(np.uint8))


@cache
def narrow_values(dtype: np.dtype[Any]) -> Array:
    """The numbers that the bit patterns of a type of 8 or 16 bits stand for, in their order, as float32.

    Raises:
        TypeError: It has more bits.
    """
    if dtype.itemsize > 2:
        raise TypeError(f"{dtype} has more than 16 bits")
    patterns = np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}")
    values: Array = patterns.view(dtype).astype(np.float32)
    return values
