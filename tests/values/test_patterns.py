"""Numbers of 8 or 16 bits, counted by bit pattern: every pattern of every type, held against numpy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from paraminspect.values.patterns import of_patterns

NARROW = [
    *map(np.dtype, ("bool", "int8", "uint8", "int16", "uint16", "float16")),
    *(np.dtype(getattr(ml_dtypes, name)) for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")),
]


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_each_pattern_so_often_as_it_is(dtype: np.dtype[np.generic]) -> None:
    size = 1 << 8 * dtype.itemsize
    counts = np.arange(size, dtype=np.int64) % 5
    patterns = np.repeat(np.arange(size, dtype=f"u{dtype.itemsize}"), counts)
    with np.errstate(invalid="ignore"):
        values = patterns.view(dtype).astype(np.float64)
    found, nan, inf = of_patterns(dtype, counts)
    assert (nan, inf) == (np.isnan(values).sum(), np.isinf(values).sum())
    assert (np.repeat(found.lows, found.counts) == np.sort(values[np.isfinite(values)])).all()
    assert found.is_exact
    assert (found.counts > 0).all()


def test_of_none() -> None:
    found, nan, inf = of_patterns(np.dtype(np.float16), np.zeros(1 << 16, np.int64))
    assert (found.counts.size, nan, inf) == (0, 0, 0)
