"""`paraminspect show`: values of a checkpoint, or of a spec or factory, as text, JSON or npy."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from paraminspect.cli.opened import open_one
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model
from paraminspect.names.selector import parse_selector
from paraminspect.names.suggestions import suggest
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.render.json_rows import SCHEMA, encode
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.text import escape_text, shape_text
from paraminspect.values.display import FULL, PrintOptions, encode_npy, format_tensor, nested_values
from paraminspect.values.dtypes import numpy_dtype
from paraminspect.values.read import read_part, read_summary
from paraminspect.values.slices import parse_slice, take_slice
from paraminspect.values.stored_bytes import Files

Array = np.ndarray[Any, Any]
Index = tuple[Any, ...]
Read = Callable[[TensorRecord, Index, bool], "_Shown"]
"""Gives the part of a tensor that an index means; for a summary, values at the ends of each dimension suffice."""

SUMMARISED = 1000
"""Elements from which on a tensor is summarised, as torch does it."""

LINE_WIDTH = 80
"""Columns that torch prints in; fewer on a narrower terminal."""

_TYPES = {"parameter": "Parameter", "buffer": "Buffer", "tensor": "Tensor"}
_ENDINGS: dict[str, Literal["text", "json", "npy"]] = {".json": "json", ".npy": "npy"}
_GLOB = frozenset("*?[/:")


class ShowOptions(NamedTuple):
    """What is shown and how: names, and the values of --slice, --precision, --full, -o and --format."""

    names: tuple[str, ...]
    slice: str = ""
    precision: int = 4
    full: bool = False
    file: str = ""
    format: Literal["auto", "text", "json", "npy"] = "auto"


class _Shown(NamedTuple):
    """The part of a tensor that is meant, of that shape, or as much of it as a summary needs."""

    record: TensorRecord
    array: Array
    shape: tuple[int, ...]


def show_values(source: str, asked: Asked, how: ShowOptions, output: Output) -> int:
    """Show tensors of one source; returns the exit status.

    Raises:
        ParamInspectError: The source cannot be read, a name is not there, values cannot be had, a file not written.
    """
    index = parse_slice(how.slice) if how.slice else ()
    format_ = _choose_format(how, output)
    model = open_one(source, asked, output)
    if model is None:
        output.finish()
        return output.status
    checkpoint, read = model.checkpoint, _reader(model, output)
    try:
        records = choose_records(checkpoint.tensors, how.names)
        if format_ == "npy" and len(records) != 1:
            raise ParamInspectError(f"npy holds one tensor, not {len(records):,}", hint="name one, or --format json")
        is_summary = format_ == "text" and not how.full
        shown = (read(record, index, is_summary) for record in records)
        match format_:
            case "npy":
                data, note = encode_npy(next(shown).array)
                if note:
                    output.note(note)
                output.write_to(how.file, [data])
            case "json":
                output.write_to(how.file, (text.encode() for text in _as_json(checkpoint, shown, how)))
            case _:
                width = min(output.style().width or LINE_WIDTH, LINE_WIDTH) if not how.file else LINE_WIDTH
                options = PrintOptions(how.precision, FULL if how.full else SUMMARISED, linewidth=width)
                output.write_to(how.file, (text.encode() for text in _as_text(shown, options)))
    except ParamInspectError as error:
        error.source = error.source or source
        raise
    for note in checkpoint.notes:
        output.note(note)
    output.finish()
    return output.status


def choose_records(records: Sequence[TensorRecord], names: Sequence[str]) -> list[TensorRecord]:
    """The tensors of these names and patterns, in the order in which they are asked for, each once.

    Raises:
        SelectionError: A name or pattern means none.
    """
    chosen: dict[str, TensorRecord] = {}
    by_name: dict[str, TensorRecord] = {}
    for record in records:
        by_name.setdefault(record.name, record)
    for name in names:
        if name in by_name:
            chosen[name] = by_name[name]
            continue
        found = []
        if not _GLOB.isdisjoint(name):
            selector = parse_selector(name)
            found = [record for record in records if selector.matches(record.name, *record.module_types)]
        if not found:
            raise _no_such(name, list(by_name))
        chosen.update({record.name: by_name[record.name] for record in found if record.name not in chosen})
    return list(chosen.values())


def _no_such(name: str, names: list[str]) -> SelectionError:
    inside = [known for known in names if known.startswith(f"{name}.")]
    if inside:
        return SelectionError(f"{name!r} is a module, not a tensor", hint=f"'{name}.*' means all {len(inside):,} in it")
    if not _GLOB.isdisjoint(name):
        return SelectionError(f"nothing matches {name!r}")
    endings = [known for known in names if known.endswith(f".{name}")]
    hint = f"did you mean {endings[0]}?" if endings else suggest(name, names, "the tensors are", 6)
    return SelectionError(f"there is no tensor {name!r}", hint=hint or "there are none at all")


def _reader(model: Model, output: Output) -> Read:
    """What reads the values of a source."""
    if model.live is None:
        return _reader_of_files(model.files)
    from paraminspect.live.build.arrays import tensor_array

    unloaded = model.unloaded

    def read(record: TensorRecord, index: Index, _: bool) -> _Shown:
        if record.name in unloaded:
            output.note(f"{record.name} is not loaded from {model.weights}: these are its initial values")
        array = take_slice(tensor_array(model.tensor(record)), index)
        return _Shown(record, array, array.shape)

    return read


def _reader_of_files(files: Files) -> Read:
    def read(record: TensorRecord, index: Index, is_summary: bool) -> _Shown:
        if is_summary:
            edge = PrintOptions().edgeitems
            return _Shown(record, *read_summary(record, index, files, edge=edge, above=SUMMARISED))
        array = read_part(record, index, files)
        return _Shown(record, array, array.shape)

    return read


def _choose_format(how: ShowOptions, output: Output) -> Literal["text", "json", "npy"]:
    ending = os.path.splitext(how.file)[1].lower()
    format_ = _ENDINGS.get(ending, "text") if how.format == "auto" else how.format
    if format_ == "npy" and how.file in ("", "-") and output.is_terminal:
        raise ParamInspectError("npy is binary, and standard output is a terminal", hint="-o FILE.npy, or a pipe")
    return format_


def _as_text(shown: Iterable[_Shown], options: PrintOptions) -> Iterator[str]:
    gap = ""
    for record, array, of in shown:
        shape = shape_text(record.shape or ())
        part = "" if of == record.shape else f" -> {shape_text(of)}"
        name = escape_text(record.name) or EMPTY_NAME
        yield f"{gap}{name}  {_TYPES[record.kind]}  {record.dtype}  {shape}{part}\n"
        dtype = record.dtype if numpy_dtype(record.dtype) is not None else array.dtype.name  # of quantised ones
        is_cut = math.prod(of) > options.threshold  # the array may have only what a summary shows
        yield f"{format_tensor(array, dtype, replace(options, threshold=0) if is_cut else options)}\n"
        gap = "\n"


def _as_json(checkpoint: Checkpoint, shown: Iterable[_Shown], how: ShowOptions) -> Iterator[str]:
    head = f'{{"schema": {SCHEMA}, "source": {encode(checkpoint.source)}, "format": {encode(checkpoint.format)}'
    yield f'{head}, "slice": {encode(how.slice or None)}, "tensors": ['
    separator = "\n"
    for record, array, _ in shown:
        members = {
            "name": record.name,
            "shape": list(array.shape),
            "dtype": record.dtype,
            "kind": record.kind,
            "trainable": record.trainable,
            "values": nested_values(array),
        }
        yield separator + encode(members)
        separator = ",\n"
    yield "\n]}\n"
