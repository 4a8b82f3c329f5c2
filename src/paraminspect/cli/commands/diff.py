"""`paraminspect diff`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build, Choice
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect diff base.safetensors tuned.safetensors
paraminspect diff old.pt new.gguf --map 'module.*=*' -f names | sort -u
"""

Before = Annotated[str, typer.Argument(metavar="BEFORE", help="As SOURCE of the other commands.", show_default=False)]
After = Annotated[str, typer.Argument(metavar="AFTER", help="The same.", show_default=False)]
Only = Annotated[
    Literal["names", "shapes", "values"] | None,
    typer.Option("--only", help="names, and shapes with types and ties, read headers alone.", show_default=False),
]
Rtol = Annotated[
    float,
    typer.Option("--rtol", min=0, metavar="X", help="Values differ if |before - after| > atol + rtol * |after|."),
]
Atol = Annotated[float, typer.Option("--atol", min=0, metavar="X", help="The same.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FROM=TO", help="Rename tensors of both: 'module.*=*'. Repeatable."),
]


def command(
    before: Before,
    after: After,
    *,
    only: Only = None,
    rtol: Rtol = 0.0,
    atol: Atol = 0.0,
    map_: Map = None,
    select: options.Select = None,
    exclude: options.Exclude = None,
    module: options.Module = "",
    columns: options.Columns = "",
    header: options.Header = None,
    everything: options.All = False,
    rules: options.Rules = None,
    config: options.ConfigFile = "",
    rules_file: options.RulesFile = "",
    seed: options.Seed = 0,
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
    """What has changed between two models, whatever their formats.

    Columns: name, change (added, removed, shape, dtype, tie, values), before, after, max_abs, relative, cosine.

    Of values: the largest absolute difference, the norm of the difference relative to the norm before, and the cosine
    of the angle between both. Both sides are read a piece at a time. Two NaN are equal, and so are 0 and -0. A tensor
    that is tied to the same other one on both sides is compared once. Exit status: 0 no difference, 1 different, 2
    after an error, such as values that cannot be decoded.
    """
    from paraminspect.cli.diff import CHANGES, How, report_diff
    from paraminspect.cli.report import split_columns

    output = Output(output_format, colour=color, header=header)
    choice = Choice(module, tuple(select or ()), tuple(exclude or ()), everything=everything)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    chosen = tuple(split_columns(columns, [column.name for column in CHANGES]))
    initialise = None
    if rules or config or rules_file or seed:
        from paraminspect.cli.rules import RuleOptions

        initialise = RuleOptions(tuple(rules or ()), config, rules_file, seed)
    how = How(only, rtol, atol, tuple(map_ or ()), chosen, initialise)
    return report_diff((before, after), choice, build, how, output)
