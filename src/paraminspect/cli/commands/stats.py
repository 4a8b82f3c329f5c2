"""`paraminspect stats`."""

from __future__ import annotations

from typing import Annotated, get_args

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice
from paraminspect.cli.declare import Is, Listed, OneOf, Table, declare
from paraminspect.records import Problem
from paraminspect.render.columns import MODULE_STATISTICS, STATISTICS
from paraminspect.render.rows import SOURCE

Depth = Annotated[
    int | None,
    Option(
        "--depth", "-d", callback=options.not_negative, metavar="N", help="One row a module N levels deep, together."
    ),
]
Sort = Annotated[
    str | None,
    Option("--sort", metavar="COLUMN", help="Order by a column; else as in the file."),
    OneOf(list(dict.fromkeys(each.name for each in (*STATISTICS, *MODULE_STATISTICS) if each.kind != "histogram"))),
]
FailOn = Annotated[
    tuple[str, ...],
    Option("--fail-on", metavar="A,B,..", help="Exit 1 if a tensor has one of nan, inf, zero (all of it), constant."),
    Listed(get_args(Problem), "state"),
]
Plot = Annotated[str, Option("--plot", metavar="FILE", help="Draw the histograms: .svg, .html or .png."), Is("file")]


@declare(
    Table(STATISTICS),
    Table(MODULE_STATISTICS, "with --depth", option="depth"),
    examples="""
paraminspect stats model.safetensors --select '*attn*'
paraminspect stats model.pt --columns std,name | sort -g | tail -3
""",
    status="0, 1 if --fail-on finds something or --select leaves nothing, 2 after an error, such as a type that cannot "
    "be decoded.",
    names="parameters",
)
def command(
    source: options.Sources,
    *,
    choose: options.Choose,
    depth: Depth = None,
    sort: Sort = None,
    reverse: options.Reverse = False,
    rows: options.Rows,
    everything: options.All = False,
    fail_on: FailOn = (),
    plot: Plot = "",
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Statistics of the values of each tensor.

    Values are read once, a piece at a time, without torch; memory stays small whatever the size of the file. NaN and
    infinities are counted and left out of the rest. Of complex numbers, statistics are of their moduli; quantised
    blocks are taken apart. Quantiles of over 65,536 values of more than 16 bits are off by less than 1 % of themselves.
    """
    from paraminspect.cli.stats import StatsOptions, report_stats
    from paraminspect.errors import ParamInspectError

    known = STATISTICS if depth is None else MODULE_STATISTICS
    if sort and sort not in (names := [column.name for column in known]):
        raise ParamInspectError(f"there is no column {sort!r} here", hint=f"the columns are {', '.join(names)}")
    chosen = rows.choose((*known, SOURCE))
    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    how = StatsOptions(depth, sort, reverse, chosen, fail_on, plot)
    return report_stats(source, choice, options.asked("values", build, rules), how, output.open(rows.header))
