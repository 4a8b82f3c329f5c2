"""`paraminspect diff`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice
from paraminspect.cli.comparing import Comparing
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.errors import ParamInspectError
from paraminspect.render.columns import CHANGES

DIFFERENT: Final = 1
"""Exit status when something differs."""

Before = Annotated[str, Argument(metavar="BEFORE", help="As SOURCE of the other commands."), Is("source")]
After = Annotated[str, Argument(metavar="AFTER", help="The same."), Is("source")]
Words = Annotated[tuple[str, ...], Argument(hidden=True)]
Git = Annotated[
    bool,
    Option("--git", help="Be an external diff driver: takes the arguments that git gives, and always ends with 0."),
]
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
    often="only select rtol atol map_ columns format",
    status="0 no difference, 1 different, 2 after an error, such as values that cannot be decoded; with --git 0.",
)
def command(
    before: Before,
    after: After = "",
    words: Words = (),
    *,
    git: Git = False,
    only: Only = None,
    rtol: Rtol = 0.0,
    atol: Atol = 0.0,
    map_: Map = (),
    choose: options.Choose,
    rows: options.Rows,
    everything: options.All = False,
    stored: options.Stored = False,
    engine: options.EngineName = "local",
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """What has changed between two models, whatever their formats.

    Of values: the largest absolute difference, the norm of the difference relative to the norm before, and the cosine
    of the angle between both; nan where a value became NaN, or was. Both sides are read a piece at a time; quantised
    weights are compared as the tensors that they stand for. Two NaN are equal, and so are 0 and -0. A tensor that is
    tied to the same other one on both sides is compared once.
    """
    columns = rows.choose(CHANGES)
    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    asked = options.asked("plan" if only in ("names", "shapes") else "values", build, rules)
    comparing = Comparing(asked, choice, map_, only, stored, rtol, atol, columns, engine)
    if git:
        from paraminspect.cli.git_change import read_change, show_change

        change = read_change([each for each in (before, after, *words) if each])
        return show_change(change, output, rows.header, comparing.write)
    if not after or words:
        what = "missing argument 'AFTER'" if not after else f"got unexpected extra argument(s) ({' '.join(words)})"
        raise ParamInspectError(what, hint="paraminspect diff -h shows arguments, options and examples")
    if (before, after) == ("-", "-"):
        raise ParamInspectError("standard input can be read once", hint="name a file on one side")
    out = output.open(rows.header)
    changes = comparing.write(((before, before), (after, after)), out)
    out.finish()
    return max(out.status, DIFFERENT if changes else 0)
