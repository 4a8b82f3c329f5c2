"""`paraminspect list`."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build, Choice, choose_each
from paraminspect.cli.output import Output
from paraminspect.cli.report import TOTALS, Report, split_columns
from paraminspect.errors import ParamInspectError
from paraminspect.names.listing import Listing, sum_modules, total
from paraminspect.render.rows import Column, Rows

EXAMPLES = """
paraminspect list model.safetensors
paraminspect list model.pt --select '*attn*' | sort -t$'\\t' -k4,4nr | head
"""

TENSORS = (
    Column("name", "name"),
    Column("shape", "shape"),
    Column("dtype"),
    Column("numel", "int"),
    Column("nbytes", "bytes"),
    Column("kind", dull="tensor"),
    Column("trainable", "bool"),
    Column("tied_to", "name"),
)
MODULES = (
    Column("name", "name"),
    Column("tensors", "int"),
    Column("numel", "int"),
    Column("nbytes", "bytes"),
    Column("dtypes", "names"),
)

Depth = Annotated[
    int | None,
    typer.Option(
        "--depth", "-d", callback=options.not_negative, metavar="N", help="One row a module N levels deep, summed."
    ),
]
Sort = Annotated[
    Literal["name", "shape", "dtype", "numel", "nbytes", "kind"] | None,
    typer.Option("--sort", help="Order by a column; else as in the file.", show_default=False),
]
Reverse = Annotated[bool, typer.Option("--reverse", "-r", help="The last first.")]
Aliases = Annotated[bool, typer.Option("--aliases", help="Every name of a tied tensor.")]
Total = Annotated[bool, typer.Option("--total", help="Only the totals.")]


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
    aliases: Aliases = False,
    everything: options.All = False,
    total_only: Total = False,
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
    """List the parameters of models.

    Columns: name, shape, dtype, numel, nbytes, kind, trainable, tied_to.

    A tied tensor (several names, the same bytes) is shown and counted once. Buffers and optimizer state are left out
    unless --all is given. Exit status: 0, 1 if --select or --exclude leave nothing or --weights do not fit, 2 after an
    error.
    """
    output = Output(output_format, colour=color, header=header)
    if aliases and depth is not None:
        raise ParamInspectError("--aliases and --depth exclude each other", hint="sums count a tied tensor once")
    shown = TOTALS if total_only else MODULES if depth is not None else TENSORS
    known = [column.name for column in shown]
    if sort and not total_only and sort not in known:
        raise ParamInspectError(f"modules have no {sort}", hint="they can be sorted by name, numel or nbytes")
    report = Report(output, source, split_columns(columns, [*known, "source"]), sort=sort, reverse=reverse)
    choice = Choice(module, tuple(select or ()), tuple(exclude or ()), everything=everything, aliases=aliases)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    for checkpoint, listing in choose_each(source, choice, output, build):
        if total_only:
            report.add_totals(checkpoint, total(listing))
            continue
        values = _tensor_values(listing) if depth is None else _module_values(listing, depth)
        rows = Rows("tensors" if depth is None else "modules", shown, values)
        report.add(checkpoint, rows, None if output.streams else total(listing))
    return report.finish()


def _tensor_values(listing: Listing) -> list[tuple[Any, ...]]:
    get = attrgetter("name", "shape", "dtype", "numel", "nbytes", "kind", "trainable")
    tied_to = listing.tied_to
    return [(*get(record), tied_to.get(index)) for index, record in enumerate(listing.records)]


def _module_values(listing: Listing, depth: int) -> list[tuple[Any, ...]]:
    return [(row.name, row.tensors, row.numel, row.nbytes, row.dtypes) for row in sum_modules(listing, depth)]
