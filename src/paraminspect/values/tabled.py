"""Statistics and differences as rows, and what is to be said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from paraminspect.errors import ParamInspectError
from paraminspect.names.changes import suggest_maps
from paraminspect.names.listing import Listing
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.render.columns import CHANGES, NUMBERS
from paraminspect.render.rows import EMPTY_NAME, Rows
from paraminspect.summaries import Problem
from paraminspect.text import list_some
from paraminspect.tuples import NamedTuple
from paraminspect.values.collecting import Failure
from paraminspect.values.diff import Diff
from paraminspect.values.stats import TensorStats

MAX_NAMED: Final = 3
"""Tensors that a remark names; of the others it says how many there are."""

MAX_RENAMED: Final = 3
"""Pairs of names with the same bytes that a remark names."""


class Row(NamedTuple):
    """One row of statistics before values are read: what it is called, and of which tensors it is."""

    head: tuple[Any, ...]
    records: Sequence[TensorRecord]


def plan_rows(listing: Listing, depth: int | None) -> list[Row]:
    """A row for each tensor, or for each module so many levels deep."""
    if depth is None:
        return [Row((record.name, record.shape, record.dtype), [record]) for record in listing.records]
    modules: dict[str, list[TensorRecord]] = {}
    for index, record in enumerate(listing.records):
        if index not in listing.repeated:
            owner = record.name.rpartition(".")[0]
            modules.setdefault(".".join(owner.split(".", depth)[:depth]), []).append(record)
    return [
        Row((name, len(records), sum(record.numel for record in records)), records) for name, records in modules.items()
    ]


def statistics_values(stats: TensorStats | None) -> tuple[Any, ...]:
    """In the order of the columns; nothing where nothing could be read."""
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


def describe_problems(named: dict[str, list[str]], wanted: Sequence[str], noun: str) -> list[str]:
    """What is wrong with values: what is not finite in any case, the rest where it was asked for.

    Args:
        named: By problem, the names of those that have it.
        noun: What they are: "tensor" or "module".
    """
    remarks = []
    for problem in get_args(Problem):
        names = named.get(problem, [])
        if names and (problem in wanted or problem in ("nan", "inf")):
            what = f"{len(names):,} {noun}{'s' if len(names) > 1 else ''}"
            remarks.append(f"{what} {_VERBS[problem][len(names) > 1]}: {list_some(names, MAX_NAMED)}")
    return remarks


_VERBS: Final = {
    "nan": ("holds NaN", "hold NaN"),
    "inf": ("holds infinite values", "hold infinite values"),
    "zero": ("is all zero", "are all zero"),
    "constant": ("is constant", "are constant"),
}


def failures_as_errors(failures: Sequence[Failure], source: str) -> list[ParamInspectError]:
    """Which tensors could not be read, those of one reason together."""
    reasons: dict[str, list[Failure]] = {}
    for failure in failures:
        reasons.setdefault(failure.error.message, []).append(failure)
    errors = []
    for message, group in reasons.items():
        names = list_some([failure.record.name or EMPTY_NAME for failure in group], MAX_NAMED)
        errors.append(ParamInspectError(f"{names}: {message}", hint=group[0].error.hint, source=source))
    return errors


def change_rows(diff: Diff, before: Checkpoint, after: Checkpoint) -> Rows:
    """A row for each change."""
    values: list[tuple[Any, ...]] = [
        (
            each.name,
            each.change,
            each.before or None,
            each.after or None,
            each.max_abs,
            each.relative,
            each.cosine,
            each.nan_changed,
        )
        for each in diff.changes
    ]
    counts = Counter(each.change for each in diff.changes)
    head: dict[str, Any] = {
        word: {"source": side.source, "format": side.format} for word, side in (("before", before), ("after", after))
    }
    tail = {"counts": dict(counts), "unchanged": diff.unchanged}
    return Rows("changes", CHANGES, values, head, tail, _describe(counts, diff.unchanged))


def describe_renamed(diff: Diff) -> list[str]:
    """Which names are others for the same bytes, and how to compare them."""
    if not diff.renamed:
        return []
    shown = list_some([f"{old} is {new}" for old, new in diff.renamed], MAX_RENAMED)
    maps = " ".join(["to compare them:", *(f"--map '{text}'" for text in suggest_maps(diff.renamed))])
    return [f"renamed, by their bytes: {shown}", maps]


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
