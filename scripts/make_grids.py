"""Write the grids of ggml's iq1, iq2 and iq3 blocks into `values/grids.py`, from the gguf package.

    python -m scripts.make_grids

Each code of such a block stands for a row of numbers, of which there are a few different ones; the rows are written as
digits, four bits a digit for grids of eight numbers, two bits for those of three.
"""

from __future__ import annotations

import base64
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf import quants

FILE = Path(__file__).resolve().parent.parent / "src/paraminspect/values/grids.py"
NAMES = ("iq1_s", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s")

HEAD = '''"""Rows of numbers that the codes of ggml's iq1, iq2 and iq3 blocks stand for.

Written by `scripts/make_grids.py` from gguf {version} (llama.cpp, MIT): do not edit.
"""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class _Grid(NamedTuple):
    """Rows of numbers.

    Attributes:
        width: Numbers of a row.
        numbers: The different ones, in the order of their digits.
        bits: Of a digit, the first one in the lowest bits of a byte.
        digits: Of all rows, base64.
    """

    width: int
    numbers: tuple[int, ...]
    bits: int
    digits: str


@cache
def grid(name: str) -> Array:
    """The rows of a grid, float32, by the name of a block type."""
    found = _GRIDS[name]
    packed = np.frombuffer(b64decode(found.digits), np.uint8)[:, None]
    digits = packed >> np.arange(0, 8, found.bits, dtype=np.uint8) & np.uint8((1 << found.bits) - 1)
    rows: Array = np.array(found.numbers, np.float32)[digits].reshape(-1, found.width)
    return rows


def signs() -> Array:
    """The eight signs for which each code of seven bits stands, 1 or -1: the eighth makes the minus signs even."""
    bits = np.unpackbits(np.arange(128, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    bits[:, 7] = bits.sum(axis=1) & 1
    return np.where(bits, np.float32(-1), np.float32(1))


_GRIDS: Final[dict[str, _Grid]] = {{
'''


def main() -> None:
    """Write the file."""
    parts = [HEAD.format(version=version("gguf"))]
    for name in NAMES:
        kind = getattr(quants, name.upper())
        kind.init_grid()
        rows = kind.grid.reshape(kind.grid_shape)
        numbers = [int(number) for number in kind.grid_map]
        bits = 2 if len(numbers) <= 4 else 4
        digits = np.searchsorted(numbers, rows.reshape(-1)).astype(np.uint8).reshape(-1, 8 // bits)
        packed = np.bitwise_or.reduce(digits << np.arange(0, 8, bits, dtype=np.uint8), axis=1)
        lines = textwrap.wrap(base64.b64encode(packed.astype(np.uint8).tobytes()).decode(), 100)
        text = "\n".join(f'        "{line}"' for line in lines)
        parts.append(f'    "{name}": _Grid(\n        {rows.shape[1]}, {tuple(numbers)}, {bits},\n{text},\n    ),\n')
    FILE.write_text("".join([*parts, "}  # fmt: skip\n"]))


if __name__ == "__main__":
    main()
