"""Numbers as elements of another type, as torch's `Tensor.to(dtype)` has them.

Rounding is to nearest, ties to even, and goes through float32 as it does in torch, from float64 too. What is too large
becomes an infinity; float8_e4m3fn has none, and it becomes the largest finite number, 448. Subnormal numbers stay. A NaN
stays a NaN; its payload and sign are not kept, as torch does not keep them either. Where the type stays the same, all
bits do.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from paraminspect.values.dtypes import numpy_dtype
from paraminspect.values.widen import widen

Array = np.ndarray[Any, Any]

SATURATED: Final = {"float8_e4m3fn": 448.0}
"""The largest number of a type without infinities."""

RANGED: Final = frozenset({"float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"})
"""Types of floating-point numbers, each with a largest one and a smallest one beside zero."""


def cast(array: Array, dtype: str) -> Array:
    """Numbers in a type, contiguous.

    Args:
        array: Numbers, of a type of numpy or ml_dtypes.
        dtype: torch's name of a type that numpy or ml_dtypes has, or complex32.

    Raises:
        ValueError: numpy and ml_dtypes have no such type.
    """
    if dtype == "complex32":
        halves: Array = np.ascontiguousarray(array).view(np.float32).astype(np.float16)
        return halves
    wanted = numpy_dtype(dtype)
    if wanted is None:
        raise ValueError(f"no numbers of type {dtype}")
    if array.dtype == wanted:
        return np.ascontiguousarray(array)
    numbers = widen(array)
    with np.errstate(all="ignore"):
        if wanted.itemsize < 4 and numbers.dtype == np.float64:
            numbers = numbers.astype(np.float32)
        if dtype in SATURATED:
            numbers = np.clip(numbers, -SATURATED[dtype], SATURATED[dtype])
        return np.ascontiguousarray(numbers).astype(wanted)


def is_narrower(dtype: str, before: str) -> bool:
    """Whether numbers of type `before`, of blocks too, may be too large or too small for a floating-point type."""
    if dtype == before or dtype not in RANGED:
        return False
    return dtype not in ("float32", "float64") or before == "float64"


def count_lost(before: Array, after: Array, dtype: str) -> tuple[int, int]:
    """How many finite numbers were too large for a type, and how many that are not zero became zero.

    Args:
        before: Numbers.
        after: What `cast` made of them.
        dtype: The type.
    """
    numbers = widen(before)
    if dtype in SATURATED:
        with np.errstate(invalid="ignore"):
            large = np.count_nonzero(np.abs(numbers) > SATURATED[dtype])
    else:
        large = np.count_nonzero(np.isfinite(numbers)) - np.count_nonzero(np.isfinite(after))
    return int(large), int(np.count_nonzero(numbers) - np.count_nonzero(after))
