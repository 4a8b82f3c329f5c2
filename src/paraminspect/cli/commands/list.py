"""`paraminspect list`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice, choose_from
from paraminspect.cli.declare import OneOf, Table, declare
from paraminspect.cli.opened import open_each, prefixed
from paraminspect.cli.output import Output
from paraminspect.cli.results import Report
from paraminspect.errors import ParamInspectError
from paraminspect.names.listing import Listing, sum_modules, total
from paraminspect.records import Checkpoint, TensorRecord, stand_for_themselves
from paraminspect.render.columns import MODULES, TENSORS, TOTALS
from paraminspect.render.rows import SOURCE, Rows

_TOLD: Final = TensorRecord._fields.index("trainable") + 1
"""Fields of a record that are columns, in the same order."""

Depth = Annotated[
    int | None,
    Option("--depth", "-d", callback=options.not_negative, metavar="N", help="One row a module N levels deep, summed."),
]
Sort = Annotated[
    str | None,
    Option("--sort", metavar="COLUMN", help="Order by a column; else as in the file."),
    OneOf([column.name for column in TENSORS if column.kind != "bool" and column.name != "tied_to"]),
]
Aliases = Annotated[bool, Option("--aliases", help="Every name of a tied tensor.")]
Total = Annotated[bool, Option("--total", help="Only the totals.")]


@declare(
    Table(TENSORS),
    Table(TOTALS, "with --total", option="total_only"),
    Table(MODULES, "with --depth", option="depth"),
    examples="""
paraminspect list model.safetensors
paraminspect list model.pt --select '*attn*' | sort -t$'\\t' -k4,4nr | head
""",
    often="total_only depth select everything sort aliases columns header format wide",
    status="0, 1 if --select or --exclude leave nothing or --weights do not fit, 2 after an error.",
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
    aliases: Aliases = False,
    everything: options.All = False,
    total_only: Total = False,
    build: options.Build,
    feed: options.Feed,
    output: options.Output,
) -> int:
    """List the parameters of models.

    A tied tensor (several names, the same bytes) is shown and counted once. Buffers and optimizer state are left out
    unless --all is given.
    """
    out = output.open(rows.header)
    if aliases and depth is not None:
        raise ParamInspectError("--aliases and --depth exclude each other", hint="sums count a tied tensor once")
    shown = TOTALS if total_only else MODULES if depth is not None else TENSORS
    if sort and not total_only and sort not in [column.name for column in shown]:
        raise ParamInspectError(f"modules have no {sort}", hint="they can be sorted by name, numel or nbytes")
    report = Report(out, source, rows.choose((*shown, SOURCE)), sort=sort, reverse=reverse)
    choice = Choice(choose.module, choose.select, choose.exclude, everything, aliases)
    models = open_each(source, options.asked("names", build, feed=feed), out)
    for model, listing in choose_from(models, source, choice, out):
        if model.checkpoint.stored is not None:
            _note_unused(model.checkpoint, source, out)
        if total_only:
            report.add_totals(model.checkpoint, total(listing))
            continue
        values = _tensor_values(listing) if depth is None else _module_values(listing, depth)
        found = Rows("tensors" if depth is None else "modules", shown, values)
        report.add(model.checkpoint, found, None if out.streams else total(listing))
    return report.finish()


def _note_unused(checkpoint: Checkpoint, sources: Sequence[str], output: Output) -> None:
    from paraminspect.tied.unused import find_unused

    unused = find_unused(checkpoint)
    if unused is not None:
        output.note(prefixed(unused.describe(), checkpoint.source, sources))


def _tensor_values(listing: Listing) -> list[tuple[Any, ...]]:
    ties = map(listing.tied_to.get, range(len(listing.records)))
    rows = zip(listing.records, ties, strict=True)
    if stand_for_themselves(listing.records):
        return [(*record[:_TOLD], tie, None, None, None) for record, tie in rows]
    stands_for = attrgetter("logical_shape", "logical_numel", "encoding_label")
    return [(*record[:_TOLD], tie, *stands_for(record)) for record, tie in rows]


def _module_values(listing: Listing, depth: int) -> list[tuple[Any, ...]]:
    return list(sum_modules(listing, depth))
