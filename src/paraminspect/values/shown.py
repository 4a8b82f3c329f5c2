"""Parts of tensors as text, as torch prints them, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from paraminspect.limits import SHOWN, effort
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.render.json_rows import SCHEMA, encode
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.text import escape_text, shape_text
from paraminspect.tuples import NamedTuple
from paraminspect.values.display import PrintOptions, format_tensor, nested_values
from paraminspect.values.dtypes import numpy_dtype

SUMMARISED = 1000
"""Elements from which on a tensor is summarised, as torch does it."""

_TYPES = {"parameter": "Parameter", "buffer": "Buffer", "tensor": "Tensor"}


class Part(NamedTuple):
    """The part of a tensor that is meant, of that shape, or as much of it as a summary needs."""

    record: TensorRecord
    array: np.ndarray[Any, Any]
    shape: tuple[int, ...]


def parts_as_text(parts: Iterable[Part], options: PrintOptions) -> Iterator[str]:
    """Name, kind, type and shape in a line, the values below."""
    gap = ""
    run = effort()
    for record, array, of in parts:
        run.spend(SHOWN, array.size)
        name = escape_text(record.name) or EMPTY_NAME
        yield f"{gap}{name}  {_TYPES[record.kind]}  {_describe(record, of)}\n"
        dtype = record.as_meant.dtype
        dtype = dtype if numpy_dtype(dtype) is not None else array.dtype.name  # of quantised ones
        is_cut = math.prod(of) > options.threshold  # the array may have only what a summary shows
        yield f"{format_tensor(array, dtype, replace(options, threshold=0) if is_cut else options)}\n"
        gap = "\n"


def _describe(record: TensorRecord, of: tuple[int, ...]) -> str:
    """Type and shape, of what it stands for too, and the shape of the part that is shown."""
    meant, stored = record.as_meant, f"{record.dtype}  {shape_text(record.shape or ())}"
    part = "" if of == meant.shape else f" -> {shape_text(of)}"
    if record.logical is None:
        return f"{stored}{part}"
    return f"{stored}  {record.encoding_label}: {meant.dtype}  {shape_text(meant.shape or ())}{part}"


def parts_as_json(parts: Iterable[Part], checkpoint: Checkpoint, slice_: str) -> Iterator[str]:
    """One object; `slice_` is what was typed."""
    head = f'{{"schema": {SCHEMA}, "source": {encode(checkpoint.source)}, "format": {encode(checkpoint.format)}'
    yield f'{head}, "slice": {encode(slice_ or None)}, "tensors": ['
    separator = "\n"
    run = effort()
    for record, array, _ in parts:
        run.spend(SHOWN, array.size)
        members = {
            "name": record.name,
            "shape": list(array.shape),
            "dtype": record.as_meant.dtype,
            "kind": record.kind,
            "trainable": record.trainable,
            "encoding": record.encoding_label,
            "values": nested_values(array),
        }
        yield separator + encode(members)
        separator = ",\n"
    yield "\n]}\n"
