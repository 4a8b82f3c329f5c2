"""Read a file once and sum it: what statistics of every value cannot do without.

    python benchmarks/floors/read_sum.py FILE [DTYPE]

Its bytes, the header's too, are taken for numbers of a type that numpy or ml_dtypes knows, float32 unless one is named, and
summed as float32.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

PIECE = 1 << 20


def main() -> None:
    """Read and sum, print the sum."""
    kind = find_type(sys.argv[2]) if len(sys.argv) > 2 else np.dtype(np.float32)
    total = 0.0
    fd = os.open(sys.argv[1], os.O_RDONLY)
    while piece := os.read(fd, PIECE):
        numbers = np.frombuffer(piece, kind, len(piece) // kind.itemsize)
        with np.errstate(all="ignore"):
            total += float(numbers.astype(np.float32, copy=False).sum())
    print(total)


def find_type(name: str) -> np.dtype[Any]:
    """The type of numpy, else of ml_dtypes."""
    if hasattr(np, name):
        return np.dtype(name)
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


if __name__ == "__main__":
    main()
