"""Write the grids of ggml's iq1, iq2 and iq3 blocks into `values/grid_rows.py`, from the gguf package.

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

FILE = Path(__file__).resolve().parent.parent / "src/paraminspect/values/grid_rows.py"
NAMES = ("iq1_s", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s")

HEAD = '''"""Rows of numbers that the codes of ggml's iq1, iq2 and iq3 blocks stand for, as `grids` unpacks them.

Written by `scripts/make_grids.py` from gguf {version} (llama.cpp, MIT): do not edit.
"""

from __future__ import annotations

from typing import Final

ROWS: Final[dict[str, tuple[int, tuple[int, ...], int, str]]] = {{
'''
TAIL = '''}  # fmt: skip
"""By block type: numbers of a row; the different ones, in the order of their digits; bits of a digit, the first one in the
lowest bits of a byte; the digits of all rows, base64."""
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
        parts.append(f'    "{name}": (\n        {rows.shape[1]}, {tuple(numbers)}, {bits},\n{text},\n    ),\n')
    FILE.write_text("".join([*parts, TAIL]))


if __name__ == "__main__":
    main()
