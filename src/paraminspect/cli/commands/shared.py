"""`paraminspect shared`."""

from __future__ import annotations

from typing import Annotated

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect shared model.pt --expect wte.weight,lm_head.weight
paraminspect shared a.pt -f json | paraminspect shared b.pt --expect-file -
"""

Equal = Annotated[
    bool, typer.Option("--equal", help="Compare contents too: tensors that are stored apart but identical.")
]
Expect = Annotated[
    list[str] | None,
    typer.Option("--expect", metavar="A,B,..", help="Exit 1 unless these names are one tensor. Repeatable."),
]
ExpectFile = Annotated[
    str,
    typer.Option(
        "--expect-file",
        metavar="FILE",
        help="The same, one group a line, or the JSON of this command; - is standard input.",
        show_default=False,
    ),
]
ExpectNone = Annotated[bool, typer.Option("--expect-none", help="Exit 1 if there is any group.")]


def command(
    source: options.Sources,
    *,
    equal: Equal = False,
    expect: Expect = None,
    expect_file: ExpectFile = "",
    expect_none: ExpectNone = False,
    everything: options.All = False,
    columns: options.Columns = "",
    header: options.Header = None,
    define: options.Define = None,
    modules_file: options.ModulesFile = "",
    arguments: options.Arguments = None,
    weights: options.Weights = "",
    strip_prefix: options.StripPrefix = "",
    add_prefix: options.AddPrefix = "",
    allow_mismatch: options.AllowMismatch = False,
    output_format: options.OutputFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Show which names are one tensor.

    Columns: kind, name, aliases, shape, dtype, nbytes, saved.

    The kind says how: module (one module under several paths), parameter (one Parameter of several modules), alias
    (the same bytes, shape and stride), view (the same bytes in another shape or stride), overlap (some bytes),
    declared (the file says so: metadata of safetensors, config.json), equal (only with --equal: stored apart, the same
    content; constants are left out). With --equal, several sources are compared with each other. Exit status: 0, 1 if
    an expectation fails or --weights do not fit, 2 after an error.
    """
    from paraminspect.cli.shared import How, show_shared

    output = Output(output_format, colour=color, header=header)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    how = How(equal, tuple(expect or ()), expect_file, expect_none, everything, columns)
    return show_shared(source, build, how, output)
