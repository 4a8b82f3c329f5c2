"""`paraminspect show`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, declare
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError

if TYPE_CHECKING:  # numpy, for which a help text does not wait
    from paraminspect.values.shown import Part

ShowForm = Literal["text", "markdown", "json", "npy"]

TEXTS: frozenset[ShowForm] = frozenset({"text", "markdown"})
_ENDINGS: dict[str, ShowForm] = {".json": "json", ".md": "markdown", ".npy": "npy"}

Names = Annotated[
    tuple[str, ...], Argument(metavar="NAME...", help="Tensors: whole names, globs or /REGEX/."), Is("name")
]
Slice = Annotated[str, Option("--slice", metavar="INDEX", help="A part of each: '0,:4' as in tensor[0, :4].")]
Precision = Annotated[int, Option("--precision", min=0, max=64, metavar="N", help="Digits behind the point.")]
Full = Annotated[bool, Option("--full", help="All values, of more than 1,000 too.")]
OutputFile = Annotated[
    str, Option("--output", "-o", metavar="FILE", help="Write to a file, - is standard output."), Is("file")
]
ShowFormat = Annotated[
    Literal["auto", "text", "markdown", "json", "npy"],
    Option(
        "--format",
        "-f",
        help="auto is what the name of the file ends in, else text; markdown is a block of code, npy takes one tensor.",
        rich_help_panel=options.OUTPUT,
    ),
]


@declare(
    examples="""
paraminspect show model.safetensors h.0.attn.c_attn.bias --slice :8
paraminspect show model.pt fc.bias -f json | jq '.tensors[0].values | max'
""",
    often="slice_ precision full output_file force stored",
    status="0, 1 if --weights do not fit, 2 after an error, such as a name that is not there.",
    names="all",
)
def command(
    source: options.Source,
    name: Names,
    *,
    slice_: Slice = "",
    precision: Precision = 4,
    full: Full = False,
    stored: options.Stored = False,
    output_file: OutputFile = "",
    force: options.Force = False,
    rules: options.Rules,
    build: options.Build,
    output_format: ShowFormat = "auto",
    color: options.Color = "auto",
    wide: options.Wide = False,
) -> int:
    """Show the values of tensors, as torch prints them.

    Those of a file are read without torch, and only as far as they are shown. A spec or factory is initialised first,
    by its rules or --rule, or filled from --weights.
    """
    from paraminspect.cli.opened import open_one
    from paraminspect.names.wanted import choose_records
    from paraminspect.render.delimited import fenced
    from paraminspect.values.display import FULL, PrintOptions
    from paraminspect.values.shown import SUMMARISED, parts_as_json, parts_as_text
    from paraminspect.values.slices import parse_slice

    options.refuse_without_output(output_file, {"--force": force})
    out = Output("auto", colour=color, wide=wide)
    index = parse_slice(slice_) if slice_ else ()
    format_ = _choose_format(output_format, output_file, out)
    model = open_one(source, options.asked("values", build, rules), out)
    if model is not None:
        model = model.as_stored() if stored else model
        try:
            records = choose_records(model.checkpoint.tensors, name)
            if format_ == "npy" and len(records) != 1:
                hint = "name one, or --format json"
                raise ParamInspectError(f"npy holds one tensor, not {len(records):,}", hint=hint)
            model.expect(records)
            unloaded = model.unloaded
            out.notes(
                f"{record.name} is not loaded from {model.weights}: these are its initial values"
                for record in records
                if record.name in unloaded
            )
            parts = (model.part(record, index, is_summary=format_ in TEXTS and not full) for record in records)
            if format_ == "npy":
                _write_npy(parts, output_file, out, force=force)
            elif format_ == "json":
                texts = parts_as_json(parts, model.checkpoint, slice_)
                out.write_to(output_file, (text.encode() for text in texts), force=force)
            else:
                columns = None if output_file or format_ == "markdown" else out.style().width
                texts = parts_as_text(parts, PrintOptions(precision, FULL if full else SUMMARISED, columns=columns))
                texts = fenced(texts) if format_ == "markdown" else texts
                out.write_to(output_file, (text.encode() for text in texts), force=force)
        except ParamInspectError as error:
            error.source = error.source or source
            raise
        out.notes(model.checkpoint.notes)
    out.finish()
    return out.status


def _choose_format(typed: ShowForm | Literal["auto"], file: str, output: Output) -> ShowForm:
    format_ = _ENDINGS.get(os.path.splitext(file)[1].lower(), "text") if typed == "auto" else typed
    if format_ == "npy" and file in ("", "-"):
        output.refuse_binary("npy", "-o FILE.npy, or a pipe")
    return format_


def _write_npy(parts: Iterator[Part], file: str, output: Output, *, force: bool) -> None:
    from paraminspect.values.display import encode_npy

    data, note = encode_npy(next(parts).array)
    output.notes([note] if note else [])
    output.write_to(file, [data], force=force)
