"""What has changed between two checkpoints: headers first, then values, pair by pair and a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from paraminspect.engines.pool import Pool
from paraminspect.errors import ParamInspectError
from paraminspect.limits import EffortError
from paraminspect.names.changes import (
    Change,
    Comparison,
    Pair,
    compare_headers,
    find_renamed,
)
from paraminspect.records import TensorRecord
from paraminspect.values.collecting import Failure, Open
from paraminspect.values.compare import Difference, Tolerance, digest_values
from paraminspect.values.pairs import compare_pairs

Only = Literal["names", "shapes", "values"]
Advance = Callable[[int], None]


@dataclass(slots=True)
class Diff:
    """What two checkpoints differ in.

    Attributes:
        changes: In the order of the first checkpoint, then what was added in the order of the second.
        unchanged: Tensors of both without a change, a tied one counted once.
        failures: Tensors whose values could not be compared.
        renamed: Pairs of a removed and an added name with the same bytes; only looked for where values are compared.
    """

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    failures: list[Failure] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


def diff_records(
    before: Mapping[str, TensorRecord],
    after: Mapping[str, TensorRecord],
    opens: tuple[Open, Open],
    *,
    only: Only | None = None,
    tolerance: Tolerance | None = None,
    advance: Advance = lambda _: None,
    pool: Pool | None = None,
) -> Diff:
    """The same of records by name.

    Args:
        before: By name.
        after: The same.
        opens: Give the numbers of a tensor before and after.
        only: As `diff_sources`.
        tolerance: None for none.
        advance: Is told of every so many bytes that are compared, as the first one stores them.
        pool: Who compares them; None for this thread.
    """
    headers = compare_headers(before, after, names_only=only == "names")
    diff = Diff()
    by_name: dict[str, list[Change]] = {}
    for change in headers.changes if only != "values" else ():
        by_name.setdefault(change.name, []).append(change)
    if only in (None, "values"):
        made = compare_pairs(headers.pairs, opens, tolerance or Tolerance(), advance, pool)
        for pair, found in zip(headers.pairs, made, strict=True):
            if isinstance(found, ParamInspectError):
                diff.failures.append(Failure(pair.before, found))
            elif found.differs:
                by_name.setdefault(pair.name, []).append(_change(pair, found))
        if only is None:
            diff.renamed = _find_renamed(headers, opens)
    failed = {failure.record.name for failure in diff.failures}
    diff.unchanged = sum(pair.name not in by_name and pair.before.name not in failed for pair in headers.pairs)
    diff.changes = [change for name in [*before, *headers.added] for change in by_name.get(name, ())]
    return diff


def _change(pair: Pair, found: Difference) -> Change:
    before, after = _texts(found)
    return Change(pair.name, "values", before, after, found.max_abs, found.relative, found.cosine, found.nan_changed)


def _texts(found: Difference) -> tuple[str, str]:
    """Norms before and after, and how many values are not finite."""
    sides = ((found.norm_before, found.not_finite_before), (found.norm_after, found.not_finite_after))
    before, after = (f"norm {norm:.4g}" + (f", {odd:,} not finite" if odd else "") for norm, odd in sides)
    return before, after


def _find_renamed(headers: Comparison, opens: tuple[Open, Open]) -> list[tuple[str, str]]:
    def digest(side: Literal["removed", "added"], record: TensorRecord) -> bytes | None:
        try:
            return digest_values(opens[side == "added"](record))
        except EffortError:
            raise
        except ParamInspectError:
            return None  # it cannot be compared to anything

    return find_renamed(headers.removed, headers.added, digest)
