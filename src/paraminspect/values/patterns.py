"""Numbers of 8 or 16 bits, counted by bit pattern: few enough to say how often each of them occurs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from paraminspect.tuples import NamedTuple
from paraminspect.values.distribution import Distribution
from paraminspect.values.widen import narrow_values, to_float64

Array = np.ndarray[Any, Any]


class Counted(NamedTuple):
    """What bit patterns stand for.

    Attributes:
        numbers: The finite ones; 0 and -0 are two.
        nan: How many are no number.
        inf: How many are infinite.
    """

    numbers: Distribution
    nan: int
    inf: int


class _Known(NamedTuple):
    """The bit patterns of a type.

    Attributes:
        order: Those of finite numbers, in ascending order of these.
        values: These numbers, float64.
        nan: Those that stand for no number.
        inf: Those that stand for infinity, of either sign.
    """

    order: Array
    values: Array
    nan: Array
    inf: Array


def of_patterns(dtype: np.dtype[Any], counts: Array) -> Counted:
    """Numbers of a type.

    Args:
        dtype: Of at most 16 bits.
        counts: int64, how often each bit pattern occurs.
    """
    known = _known(dtype)
    in_order = counts[known.order]
    there = np.flatnonzero(in_order)
    numbers = known.values[there]
    found = Distribution(numbers, numbers, in_order[there])
    return Counted(found, int(counts[known.nan].sum()), int(counts[known.inf].sum()))


@cache
def _known(dtype: np.dtype[Any]) -> _Known:
    values = to_float64(narrow_values(dtype))
    finite = np.flatnonzero(np.isfinite(values))
    order = finite[np.argsort(values[finite], kind="stable")]
    return _Known(order, values[order], np.flatnonzero(np.isnan(values)), np.flatnonzero(np.isinf(values)))
