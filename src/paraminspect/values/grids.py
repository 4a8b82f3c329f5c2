"""Rows of numbers that the codes of ggml's iq1, iq2 and iq3 blocks stand for."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Any

import numpy as np

from paraminspect.values.grid_rows import ROWS

Array = np.ndarray[Any, Any]


@cache
def grid(name: str) -> Array:
    """The rows of a grid, float32, by the name of a block type."""
    width, numbers, bits, text = ROWS[name]
    packed = np.frombuffer(b64decode(text), np.uint8)[:, None]
    digits = packed >> np.arange(0, 8, bits, dtype=np.uint8) & np.uint8((1 << bits) - 1)
    rows: Array = np.array(numbers, np.float32)[digits].reshape(-1, width)
    return rows


@cache
def signs() -> Array:
    """The eight signs for which each code of seven bits stands, 1 or -1: the eighth makes the minus signs even."""
    bits = np.unpackbits(np.arange(128, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    bits[:, 7] = bits.sum(axis=1) & 1
    return np.where(bits, np.float32(-1), np.float32(1))
