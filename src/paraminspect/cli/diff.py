"""`paraminspect diff`: two sources, what is compared of them, and the rows that tell how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from paraminspect.cli.chosen import Choice, describe_hidden
from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import open_pair, prefixed
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.cli.stats import tell_failures
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model
from paraminspect.names.changes import rename, suggest_maps
from paraminspect.names.listing import select_records
from paraminspect.records import TensorRecord
from paraminspect.render.columns import CHANGES
from paraminspect.render.rows import Rows
from paraminspect.text import list_some
from paraminspect.values.diff import Diff, Only, Tolerance, diff_records

DIFFERENT: Final = 1
"""Exit status when something differs."""

MAX_RENAMED: Final = 3
"""Pairs of names with the same bytes that a remark names."""


class DiffOptions(NamedTuple):
    """What is compared and how: the values of --only, --rtol, --atol, --map and --columns."""

    only: Only | None = None
    rtol: float = 0.0
    atol: float = 0.0
    maps: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def report_diff(sources: tuple[str, str], choice: Choice, asked: Asked, how: DiffOptions, output: Output) -> int:
    """Compare two sources; returns the exit status.

    Raises:
        ParamInspectError: One cannot be read, or selectors leave nothing of both.
    """
    if sources[0] == sources[1] == "-":
        raise ParamInspectError("standard input can be read once", hint="name a file on one side")
    sides = open_pair(sources, asked, output)
    if sides is None:
        output.finish()
        return output.status
    chosen = [_choose(side, source, choice, sources, output) for side, source in zip(sides, sources, strict=True)]
    if not any(chosen):
        raise SelectionError("nothing is left to compare", hint="--all takes in optimizer state and plain attributes")
    before, after = (_renamed(records, how.maps, source) for records, source in zip(chosen, sources, strict=True))
    nbytes = sum(record.nbytes or 0 for name, record in before.items() if name in after)
    with Progress(output, "comparing") as progress:
        diff = diff_records(
            before,
            after,
            (sides[0].numbers, sides[1].numbers),
            only=how.only,
            tolerance=Tolerance(how.rtol, how.atol),
            advance=progress.counting(nbytes),
        )
    _write(diff, sides, how, output)
    tell_failures(diff.failures, sources[0], output)
    output.finish()
    return max(output.status, DIFFERENT if diff.changes else 0)


def _choose(side: Model, source: str, choice: Choice, sources: Sequence[str], output: Output) -> Sequence[TensorRecord]:
    """The tensors of one side that are meant, under every name, buffers included."""
    try:
        chosen, hidden = select_records(
            side.checkpoint.tensors, choice.module.rstrip("."), choice.select, choice.exclude, choice.everything
        )
    except ParamInspectError as error:
        raise with_source(error, source) from None
    if what := describe_hidden(hidden).replace("shown", "compared", 1).replace("shows", "compares"):
        output.note(prefixed(what, source, sources))
    return chosen


def _renamed(records: Sequence[TensorRecord], maps: Sequence[str], source: str) -> dict[str, TensorRecord]:
    try:
        return rename(records, maps)
    except ParamInspectError as error:
        raise with_source(error, source) from None


def _write(diff: Diff, sides: tuple[Model, Model], how: DiffOptions, output: Output) -> None:
    values: list[tuple[Any, ...]] = [
        (each.name, each.change, each.before or None, each.after or None, each.max_abs, each.relative, each.cosine)
        for each in diff.changes
    ]
    counts = Counter(each.change for each in diff.changes)
    sources: dict[str, Any] = {
        word: {"source": side.checkpoint.source, "format": side.checkpoint.format}
        for word, side in zip(("before", "after"), sides, strict=True)
    }
    tail = {"counts": dict(counts), "unchanged": diff.unchanged}
    rows = Rows("changes", CHANGES, values, sources, tail, _describe(counts, diff.unchanged))
    output.write_rows(output.pick(rows, how.columns))
    if diff.renamed:
        shown = list_some([f"{old} is {new}" for old, new in diff.renamed], MAX_RENAMED)
        output.note(f"renamed, by their bytes: {shown}")
        output.note(" ".join(["to compare them:", *(f"--map '{text}'" for text in suggest_maps(diff.renamed))]))


_Kind = Literal["added", "removed", "shape", "dtype", "values", "tie"]
_WORDS: Final[dict[_Kind, str]] = {
    "added": "added",
    "removed": "removed",
    "shape": "of another shape",
    "dtype": "of another dtype",
    "values": "with other values",
    "tie": "tied otherwise",
}


def _describe(counts: Counter[_Kind], unchanged: int) -> str:
    """The closing line: "1 added, 2 with other values, 145 unchanged"."""
    parts = [f"{counts[kind]:,} {words}" for kind, words in _WORDS.items() if counts[kind]]
    return ", ".join([*(parts or ["no difference"]), f"{unchanged:,} unchanged"])
