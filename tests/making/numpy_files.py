"""Files of numpy, as it writes them and by hand."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np


def npy_bytes(array: Any, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # "format 3.0 needs numpy 1.17"
        np.lib.format.write_array(stream, np.asanyarray(array), version)
    return stream.getvalue()


def npz_bytes(compressed: bool = False, /, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def npy_header(descr: str = "'<f4'", fortran: str = "False", shape: str = "(2,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def raw_npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """An npy file with any header at all."""
    text = header.encode("utf-8" if version == 3 else "latin-1")
    return b"\x93NUMPY" + bytes((version, 0)) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + data
