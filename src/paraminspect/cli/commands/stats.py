"""`paraminspect stats`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build, Choice
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect stats model.safetensors --select '*attn*'
paraminspect stats model.pt --columns std,name | sort -g | tail -3
"""

Depth = Annotated[
    int | None,
    typer.Option(
        "--depth", "-d", callback=options.not_negative, metavar="N", help="One row a module N levels deep, together."
    ),
]
Sort = Annotated[
    Literal[
        "name", "shape", "dtype", "tensors", "numel", "mean", "std", "min", "max", "norm", "zeros", "nan", "inf",
        "zero_fraction", "q01", "q25", "q50", "q75", "q99",
    ] | None,
    typer.Option("--sort", metavar="COLUMN", help="Order by a column; else as in the file.", show_default=False),
]  # fmt: skip
Reverse = Annotated[bool, typer.Option("--reverse", "-r", help="The last first.")]
FailOn = Annotated[
    str,
    typer.Option(
        "--fail-on",
        metavar="A,B,..",
        help="Exit 1 if a tensor has one of nan, inf, zero (all of it), constant.",
        show_default=False,
    ),
]
Plot = Annotated[
    str,
    typer.Option("--plot", metavar="FILE", help="Draw the histograms: a picture, .svg or .html.", show_default=False),
]


def command(
    source: options.Sources,
    *,
    select: options.Select = None,
    exclude: options.Exclude = None,
    module: options.Module = "",
    depth: Depth = None,
    sort: Sort = None,
    reverse: Reverse = False,
    columns: options.Columns = "",
    header: options.Header = None,
    everything: options.All = False,
    fail_on: FailOn = "",
    plot: Plot = "",
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
    """Statistics of the values of each tensor.

    Columns: name, shape, dtype, mean, std, min, max, norm, zeros, nan, inf, histogram, zero_fraction, q01, q25, q50,
    q75, q99.

    Values are read once, a piece at a time, without torch; memory stays small whatever the size of the file. NaN and
    infinities are counted and left out of the rest. Of complex numbers, statistics are of their moduli; quantised
    blocks are taken apart. Quantiles of over 65,536 values of more than 16 bits are off by less than 1 % of themselves.
    Exit status: 0, 1 if --fail-on finds something or --select leaves nothing, 2 after an error, such as a type that
    cannot be decoded.
    """
    from paraminspect.cli.report import split_columns
    from paraminspect.cli.stats import MODULES, TENSORS, How, parse_problems, report_stats
    from paraminspect.errors import ParamInspectError

    output = Output(output_format, colour=color, header=header)
    known = [column.name for column in (TENSORS if depth is None else MODULES)]
    if sort and sort not in known:
        raise ParamInspectError(f"there is no column {sort!r} here", hint=f"the columns are {', '.join(known)}")
    chosen = tuple(split_columns(columns, [*known, "source"]))
    choice = Choice(module, tuple(select or ()), tuple(exclude or ()), everything=everything)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    initialise = None
    if rules or config or rules_file or seed:
        from paraminspect.cli.rules import RuleOptions

        initialise = RuleOptions(tuple(rules or ()), config, rules_file, seed)
    how = How(depth, sort, reverse, chosen, parse_problems(fail_on), initialise, plot)
    return report_stats(source, choice, build, how, output)
