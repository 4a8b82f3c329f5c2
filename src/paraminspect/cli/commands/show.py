"""`paraminspect show`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect show model.safetensors h.0.attn.c_attn.bias --slice :8
paraminspect show model.pt fc.bias -f json | jq '.tensors[0].values | max'
"""

Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Tensors: whole names, globs or /REGEX/.", show_default=False)
]
Slice = Annotated[
    str,
    typer.Option("--slice", metavar="INDEX", help="A part of each: '0,:4' as in tensor[0, :4].", show_default=False),
]
Precision = Annotated[int, typer.Option("--precision", min=0, max=64, metavar="N", help="Digits behind the point.")]
Full = Annotated[bool, typer.Option("--full", help="All values, of more than 1,000 too.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of the initialisation of a spec or factory.")]
OutputFile = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file, - is standard output.", show_default=False),
]
ShowFormat = Annotated[
    Literal["auto", "text", "json", "npy"],
    typer.Option(
        "--format",
        "-f",
        help="auto is what the name of the file ends in, else text. npy takes one tensor.",
        rich_help_panel=options.OUTPUT,
    ),
]


def command(
    source: options.Source,
    name: Names,
    *,
    slice_: Slice = "",
    precision: Precision = 4,
    full: Full = False,
    seed: Seed = 0,
    output_file: OutputFile = "",
    define: options.Define = None,
    modules_file: options.ModulesFile = "",
    arguments: options.Arguments = None,
    weights: options.Weights = "",
    strip_prefix: options.StripPrefix = "",
    add_prefix: options.AddPrefix = "",
    allow_mismatch: options.AllowMismatch = False,
    output_format: ShowFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Show the values of tensors, as torch prints them.

    Those of a file are read without torch, and only as far as they are shown. A spec or factory is initialised first,
    from --seed, or filled from --weights. Exit status: 0, 1 if --weights do not fit, 2 after an error, such as a name
    that is not there.
    """
    from paraminspect.cli.values import How, show_values

    output = Output("auto", colour=color)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    how = How(tuple(name), slice_, precision, full, seed, output_file, output_format)
    return show_values(source, build, how, output)
