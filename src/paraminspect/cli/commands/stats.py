"""`paraminspect stats`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice, choose_from
from paraminspect.cli.declare import Listed, OneOf, Table, declare
from paraminspect.cli.opened import open_each, prefixed, title
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.names.listing import total
from paraminspect.render.columns import MODULE_STATISTICS, STATISTICS
from paraminspect.render.rows import EMPTY_NAME, SOURCE, Rows
from paraminspect.summaries import Problem

if TYPE_CHECKING:  # numpy, for which a help text does not wait
    from paraminspect.engines.pool import Engine
    from paraminspect.models.open import Opened
    from paraminspect.values.collecting import Failure, RowStats
    from paraminspect.values.tabled import Row

FAILED: Final = 1
"""Exit status when a tensor has a problem that `--fail-on` names."""

FLUSH_S: Final = 0.1
"""How long rows that are ready wait for others before they are written."""

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


@declare(
    Table(STATISTICS),
    Table(MODULE_STATISTICS, "with --depth", option="depth"),
    examples="""
paraminspect stats model.safetensors --select '*attn*'
paraminspect stats model.pt --columns std,name | sort -g | tail -3
""",
    often="select depth fail_on sort columns plot everything format",
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
    stored: options.Stored = False,
    fail_on: FailOn = (),
    drawing: options.Drawing,
    engine: options.EngineName = "local",
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Statistics of the values of each tensor.

    Values are read once, a piece at a time, without torch; memory stays small whatever the size of the file. NaN and
    infinities are counted and left out of the rest. Of complex numbers, statistics are of their moduli; quantised
    blocks are taken apart. Quantiles of over 65,536 values of more than 16 bits are off by less than 1 % of themselves.
    """
    from paraminspect.cli.results import Report
    from paraminspect.engines import open_engine
    from paraminspect.values.picture import Described, chart_of_statistics
    from paraminspect.values.tabled import describe_problems, failures_as_errors, plan_rows, statistics_values

    known = STATISTICS if depth is None else MODULE_STATISTICS
    if sort and sort not in (names := [column.name for column in known]):
        raise ParamInspectError(f"there is no column {sort!r} here", hint=f"the columns are {', '.join(names)}")
    columns = rows.choose((*known, SOURCE))
    drawing.check()
    out = output.open(rows.header)
    report = Report(out, source, columns, sort=sort, reverse=reverse)
    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    opened = open_each(source, options.asked("values", build, rules), out)
    models = (model.as_stored() if stored else model for model in opened)
    drawn: list[tuple[str, list[Described]]] = []
    at_once = out.streams and not sort and not reverse
    key, noun = ("tensors", "tensor") if depth is None else ("modules", "module")
    with open_engine(engine) as readers:
        for model, listing in choose_from(models, source, choice, out):
            name = model.checkpoint.source
            drawn.append((name, []))
            failures: list[Failure] = []
            named: dict[str, list[str]] = {}
            waiting: list[tuple[Any, ...]] = []
            written = time.monotonic()
            for row, result in _read(model, plan_rows(listing, depth), readers, out):
                failures += result.failures
                for problem in result.stats.problems if result.stats is not None else ():
                    named.setdefault(problem, []).append(row.head[0] or EMPTY_NAME)
                waiting.append((*row.head, *statistics_values(result.stats)))
                if drawing.plot and result.stats is not None:
                    drawn[-1][1].append(Described(row.head[0], row.head[1:], result.stats))
                if at_once and time.monotonic() - written > FLUSH_S:
                    report.add(model.checkpoint, Rows(key, known, waiting), None)
                    waiting, written = [], time.monotonic()
            report.add(model.checkpoint, Rows(key, known, waiting), None if out.streams else total(listing))
            out.notes(prefixed(text, name, source) for text in describe_problems(named, fail_on, noun))
            if not named.keys().isdisjoint(fail_on):
                out.status = max(out.status, FAILED)
            for error in failures_as_errors(failures, name):
                out.error(error)
    if any(rows for _, rows in drawn):
        drawing.draw(chart_of_statistics(drawn, f"Values of {', '.join(map(title, source))}", noun), out)
    return report.finish()


def _read(model: Opened, plan: Sequence[Row], engine: Engine, output: Output) -> Iterator[tuple[Row, RowStats]]:
    from paraminspect.cli.progress import Progress
    from paraminspect.values.collecting import collect

    nbytes = sum(record.nbytes or 0 for row in plan for record in row.records)
    rows = [row.records for row in plan]
    model.expect(record for row in rows for record in row)
    pool = model.pool(engine, nbytes, holds_lock=True)
    with Progress(output, "reading") as progress:
        yield from zip(plan, collect(rows, model.numbers, progress.counting(nbytes), pool), strict=True)
