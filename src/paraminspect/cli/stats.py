"""`paraminspect stats`: rows of statistics, tensor by tensor or module by module."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, get_args

from paraminspect.cli.chosen import Choice, choose_from
from paraminspect.cli.opened import open_each, prefixed
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.cli.report import Report
from paraminspect.errors import ParamInspectError
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model
from paraminspect.names.listing import Listing, total
from paraminspect.records import Problem, TensorRecord
from paraminspect.render.columns import MODULE_STATISTICS, NUMBERS, STATISTICS
from paraminspect.render.pictures import check_picture, encode_picture
from paraminspect.render.rows import EMPTY_NAME, Rows
from paraminspect.text import list_some
from paraminspect.values.stats import TensorStats
from paraminspect.values.workers import Failure, RowStats, collect_in_parallel, count_workers

PROBLEMS: Final = get_args(Problem)

FAILED_ON: Final = 1
"""Exit status when a tensor has a problem that `--fail-on` names."""

FLUSH_S: Final = 0.1
"""How long rows that are ready wait for others before they are written."""

MAX_NAMED: Final = 3
"""Tensors that a remark names; of the others it says how many there are."""


class StatsOptions(NamedTuple):
    """What is reported and how: the values of --depth, --sort, --reverse, --columns, --fail-on and --plot."""

    depth: int | None = None
    sort: str | None = None
    reverse: bool = False
    columns: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    plot: str = ""


class _Row(NamedTuple):
    """One row before its values are read: what it is called, and of which tensors it is."""

    head: tuple[Any, ...]
    records: Sequence[TensorRecord]


def report_stats(sources: Sequence[str], choice: Choice, asked: Asked, how: StatsOptions, output: Output) -> int:
    """Report on each source; returns the exit status."""
    report = Report(output, sources, how.columns, sort=how.sort, reverse=how.reverse)
    columns = STATISTICS if how.depth is None else MODULE_STATISTICS
    key = "tensors" if how.depth is None else "modules"
    check_picture(how.plot)
    drawn: list[tuple[str, TensorStats]] = []
    at_once = output.streams and not how.sort and not how.reverse
    for model, listing in choose_from(open_each(sources, asked, output), sources, choice, output):
        checkpoint = model.checkpoint
        plan = _plan(listing, how.depth)
        failures: list[Failure] = []
        named: dict[str, list[str]] = {}
        waiting: list[tuple[Any, ...]] = []
        written = time.monotonic()
        for row, result in _read(model, plan, output):
            failures += result.failures
            for problem in result.stats.problems if result.stats is not None else ():
                named.setdefault(problem, []).append(row.head[0] or EMPTY_NAME)
            waiting.append((*row.head, *_values(result.stats)))
            if how.plot and result.stats is not None:
                drawn.append((prefixed(row.head[0], checkpoint.source, sources), result.stats))
            if at_once and time.monotonic() - written > FLUSH_S:
                output.progress("")  # rows may go to the same terminal
                report.add(checkpoint, Rows(key, columns, waiting), None)
                waiting, written = [], time.monotonic()
        report.add(checkpoint, Rows(key, columns, waiting), None if output.streams else total(listing))
        _tell(named, checkpoint.source, sources, how, output)
        tell_failures(failures, checkpoint.source, output)
    if drawn:
        from paraminspect.values.picture import draw_statistics

        output.write_to(how.plot, encode_picture(draw_statistics(drawn, ", ".join(sources)), how.plot))
    return report.finish()


def _plan(listing: Listing, depth: int | None) -> list[_Row]:
    if depth is None:
        return [_Row((record.name, record.shape, record.dtype), [record]) for record in listing.records]
    modules: dict[str, list[TensorRecord]] = {}
    for index, record in enumerate(listing.records):
        if index not in listing.repeated:
            owner = record.name.rpartition(".")[0]
            modules.setdefault(".".join(owner.split(".", depth)[:depth]), []).append(record)
    return [
        _Row((name, len(records), sum(record.numel for record in records)), records)
        for name, records in modules.items()
    ]


def _read(model: Model, plan: Sequence[_Row], output: Output) -> Iterator[tuple[_Row, RowStats]]:
    nbytes = sum(record.nbytes or 0 for row in plan for record in row.records)
    rows = [row.records for row in plan]
    with Progress(output, "reading") as progress:
        advance, workers = progress.counting(nbytes), count_workers(nbytes)
        yield from zip(plan, collect_in_parallel(rows, model.numbers, advance, workers=workers), strict=True)


def _values(stats: TensorStats | None) -> tuple[Any, ...]:
    if stats is None:
        return (None,) * len(NUMBERS)
    return (
        stats.mean,
        stats.std,
        stats.min,
        stats.max,
        stats.norm,
        stats.zeros,
        stats.nan,
        stats.inf,
        stats.histogram,
        stats.zero_fraction,
        *(stats.quantiles or (None,) * 5),
    )


def _tell(
    named: dict[str, list[str]],
    source: str,
    sources: Sequence[str],
    how: StatsOptions,
    output: Output,
) -> None:
    """Say what is wrong with values: what is not finite in any case, the rest where it was asked for."""
    for problem in PROBLEMS:
        names = named.get(problem, [])
        if names and (problem in how.fail_on or problem in ("nan", "inf")):
            what = f"{len(names):,} {'module' if how.depth is not None else 'tensor'}{'s' if len(names) > 1 else ''}"
            verb = _VERBS[problem][len(names) > 1]
            output.note(prefixed(f"{what} {verb}: {list_some(names, MAX_NAMED)}", source, sources))
        if names and problem in how.fail_on:
            output.status = max(output.status, FAILED_ON)


_VERBS: Final = {
    "nan": ("holds NaN", "hold NaN"),
    "inf": ("holds infinite values", "hold infinite values"),
    "zero": ("is all zero", "are all zero"),
    "constant": ("is constant", "are constant"),
}


def tell_failures(failures: Sequence[Failure], source: str, output: Output) -> None:
    """Say which tensors could not be read, those of one reason together."""
    reasons: dict[str, list[Failure]] = {}
    for failure in failures:
        reasons.setdefault(failure.error.message, []).append(failure)
    for message, group in reasons.items():
        names = list_some([failure.record.name or EMPTY_NAME for failure in group], MAX_NAMED)
        output.error(ParamInspectError(f"{names}: {message}", hint=group[0].error.hint, source=source))
