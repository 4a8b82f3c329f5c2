"""Read the tensors of a GGUF file, dequantise them by the gguf package and sum: `python benchmarks/floors/gguf_sum.py FILE`."""

from __future__ import annotations

import sys

import gguf
import numpy as np

ROWS = 256


def main() -> None:
    """Sum, some rows at a time, print the sum."""
    total = 0.0
    for tensor in gguf.GGUFReader(sys.argv[1]).tensors:
        rows = tensor.data.reshape(-1, tensor.data.shape[-1])
        for begin in range(0, len(rows), ROWS):
            numbers = gguf.dequantize(np.asarray(rows[begin : begin + ROWS]), tensor.tensor_type)
            total += float(numbers.sum())
    print(total)


if __name__ == "__main__":
    main()
