"""`numpy.savez`: a zip of .npy files, one for each name.

    NAME.npy    93 NUMPY 1 0, length of the header, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, data

The header is padded with spaces until the data begin at a multiple of 64. numpy has no name for bfloat16, the float8
types and others of torch, and no two arrays of an npz share bytes, so callers widen and repeat tensors beforehand.

Source: NEP 1 and `numpy/lib/_format_impl.py` of numpy 2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.text import quote
from paraminspect.writers.layout import Layout, OutTensor, check_names
from paraminspect.writers.zip_write import ALIGNMENT, ZipWriter

SUFFIX: Final = ".npy"
MAX_NAME_BYTES: Final = 0xFFFF
"""Of a member of a zip."""

DESCRIPTIONS: Final = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "complex128": "<c16", "complex64": "<c8",
    "int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "|i1",
    "uint64": "<u8", "uint32": "<u4", "uint16": "<u2", "uint8": "|u1", "bool": "|b1",
}  # fmt: skip
"""What numpy calls torch's types."""


def plan_npz(tensors: Sequence[OutTensor]) -> Layout:
    """Where everything lies in a file that `numpy.load` reads.

    Args:
        tensors: Of dtypes in `DESCRIPTIONS`, without aliases, in the order in which they are to lie.

    Raises:
        ParamInspectError: A name that comes twice or that no zip can hold, a dtype that numpy lacks; it names the tensor.
        LimitExceededError: More tensors than readers take.
    """
    check_names(tensors)
    names = {tensor.name for tensor in tensors}
    writer = ZipWriter(len(tensors))
    for index, tensor in enumerate(tensors):
        _check(tensor, names)
        writer.add_tensor(tensor.name + SUFFIX, index, tensor.nbytes, _head(tensor))
    return writer.finish()


def _check(tensor: OutTensor, names: set[str]) -> None:
    name = tensor.name
    if "\0" in name or len(name.encode()) + len(SUFFIX) > MAX_NAME_BYTES:
        raise ParamInspectError(f"an npz cannot hold a tensor named {quote(name)}", hint="--rename, or -o FILE.pt")
    if name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in names:
        raise ParamInspectError(
            f"numpy cannot tell {quote(name)} from {quote(name.removesuffix(SUFFIX))} in an npz",
            hint="--rename gives one of them another name",
        )
    if tensor.dtype not in DESCRIPTIONS:
        raise ParamInspectError(f"numpy has no dtype {tensor.dtype}, which {quote(name)} has", hint="-o FILE.pt")


def _head(tensor: OutTensor) -> bytes:
    """What stands before the data of an array."""
    text = f"{{'descr': '{DESCRIPTIONS[tensor.dtype]}', 'fortran_order': False, 'shape': {tensor.shape!r}, }}"
    text += " " * (-(10 + len(text) + 1) % ALIGNMENT) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()
