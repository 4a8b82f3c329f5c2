"""`paraminspect diff`."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.render.columns import CHANGES

Before = Annotated[str, Argument(metavar="BEFORE", help="As SOURCE of the other commands."), Is("source")]
After = Annotated[str, Argument(metavar="AFTER", help="The same."), Is("source")]
Only = Annotated[
    Literal["names", "shapes", "values"] | None,
    Option("--only", help="names, and shapes with types and ties, read headers alone."),
]
Rtol = Annotated[
    float, Option("--rtol", min=0, metavar="X", help="Values differ if |before - after| > atol + rtol * |after|.")
]
Atol = Annotated[float, Option("--atol", min=0, metavar="X", help="The same.")]
Map = Annotated[
    tuple[str, ...],
    Option("--map", metavar="FROM=TO", help="Rename tensors of both: 'module.*=*'. Repeatable."),
    Is("rename"),
]


@declare(
    Table(CHANGES),
    examples="""
paraminspect diff base.safetensors tuned.safetensors
paraminspect diff old.pt new.gguf --map 'module.*=*' -f names | sort -u
""",
    status="0 no difference, 1 different, 2 after an error, such as values that cannot be decoded.",
)
def command(
    before: Before,
    after: After,
    *,
    only: Only = None,
    rtol: Rtol = 0.0,
    atol: Atol = 0.0,
    map_: Map = (),
    choose: options.Choose,
    rows: options.Rows,
    everything: options.All = False,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """What has changed between two models, whatever their formats.

    Of values: the largest absolute difference, the norm of the difference relative to the norm before, and the cosine
    of the angle between both. Both sides are read a piece at a time. Two NaN are equal, and so are 0 and -0. A tensor
    that is tied to the same other one on both sides is compared once.
    """
    from paraminspect.cli.diff import DiffOptions, report_diff

    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    how = DiffOptions(only, rtol, atol, map_, rows.choose(CHANGES))
    asked = options.asked("plan" if only in ("names", "shapes") else "values", build, rules)
    return report_diff((before, after), choice, asked, how, output.open(rows.header))
