"""`paraminspect show`."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, declare
from paraminspect.cli.output import Output

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
    Literal["auto", "text", "json", "npy"],
    Option(
        "--format",
        "-f",
        help="auto is what the name of the file ends in, else text. npy takes one tensor.",
        rich_help_panel=options.OUTPUT,
    ),
]


@declare(
    examples="""
paraminspect show model.safetensors h.0.attn.c_attn.bias --slice :8
paraminspect show model.pt fc.bias -f json | jq '.tensors[0].values | max'
""",
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
    output_file: OutputFile = "",
    rules: options.Rules,
    build: options.Build,
    output_format: ShowFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Show the values of tensors, as torch prints them.

    Those of a file are read without torch, and only as far as they are shown. A spec or factory is initialised first,
    by its rules or --rule, or filled from --weights.
    """
    from paraminspect.cli.values import ShowOptions, show_values

    how = ShowOptions(name, slice_, precision, full, output_file, output_format)
    return show_values(source, options.asked("values", build, rules), how, Output("auto", colour=color))
