"""`paraminspect shared`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.render.columns import GROUPS
from paraminspect.render.rows import SOURCE

Equal = Annotated[bool, Option("--equal", help="Compare contents too: tensors that are stored apart but identical.")]
Expect = Annotated[
    tuple[str, ...],
    Option("--expect", metavar="A,B,..", help="Exit 1 unless these names are one tensor. Repeatable."),
    Is("names"),
]
ExpectFile = Annotated[
    str,
    Option(
        "--expect-file",
        metavar="FILE",
        help="The same, one group a line, or the JSON of this command; - is standard input.",
    ),
    Is("file"),
]
ExpectNone = Annotated[bool, Option("--expect-none", help="Exit 1 if there is any group.")]


@declare(
    Table(GROUPS),
    examples="""
paraminspect shared model.pt --expect wte.weight,lm_head.weight
paraminspect shared a.pt -f json | paraminspect shared b.pt --expect-file -
""",
    status="0, 1 if an expectation fails or --weights do not fit, 2 after an error.",
    names="parameters",
)
def command(
    source: options.Sources,
    *,
    equal: Equal = False,
    expect: Expect = (),
    expect_file: ExpectFile = "",
    expect_none: ExpectNone = False,
    everything: options.All = False,
    rows: options.Rows,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Show which names are one tensor.

    The kind says how: module (one module under several paths), parameter (one Parameter of several modules), alias
    (the same bytes, shape and stride), view (the same bytes in another shape or stride), overlap (some bytes),
    declared (the file says so: metadata of safetensors, config.json), equal (only with --equal: stored apart, the same
    content; constants are left out). With --equal, several sources are compared with each other.
    """
    from paraminspect.cli.shared import SharedOptions, show_shared

    how = SharedOptions(equal, expect, expect_file, expect_none, everything, rows.choose((*GROUPS, SOURCE)))
    return show_shared(
        source, options.asked("values" if equal else "names", build, rules), how, output.open(rows.header)
    )
