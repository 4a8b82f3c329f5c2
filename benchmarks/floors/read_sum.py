"""Read a file once and sum its bytes as float32: what statistics of every value cannot do without."""

from __future__ import annotations

import os
import sys

import numpy as np

PIECE = 1 << 20


def main() -> None:
    total = 0.0
    fd = os.open(sys.argv[1], os.O_RDONLY)
    while piece := os.read(fd, PIECE):
        numbers = np.frombuffer(piece, np.float32, len(piece) // 4)
        with np.errstate(all="ignore"):
            total += float(numbers.sum())
    print(total)


if __name__ == "__main__":
    main()
