"""What has changed between two checkpoints: headers first, then values, pair by pair and a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

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
from paraminspect.values.compare import Difference, compare_values, digest_values
from paraminspect.values.stored_bytes import as_bytes

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


@dataclass(slots=True)
class Tolerance:
    """Values differ if |before - after| > atol + rtol * |after|."""

    rtol: float = 0.0
    atol: float = 0.0


def diff_records(
    before: Mapping[str, TensorRecord],
    after: Mapping[str, TensorRecord],
    opens: tuple[Open, Open],
    *,
    only: Only | None = None,
    tolerance: Tolerance | None = None,
    advance: Advance = lambda _: None,
) -> Diff:
    """The same of records by name.

    Args:
        before: By name.
        after: The same.
        opens: Give the numbers of a tensor before and after.
        only: As `diff_sources`.
        tolerance: None for none.
        advance: Is told of every so many bytes that are compared, as the first one stores them.
    """
    headers = compare_headers(before, after, names_only=only == "names")
    diff = Diff()
    by_name: dict[str, list[Change]] = {}
    for change in headers.changes if only != "values" else ():
        by_name.setdefault(change.name, []).append(change)
    if only in (None, "values"):
        for pair in headers.pairs:
            found = _compare(pair, opens, tolerance or Tolerance(), diff, advance)
            if found is not None:
                by_name.setdefault(pair.name, []).append(found)
        if only is None:
            diff.renamed = _find_renamed(headers, opens)
    failed = {failure.record.name for failure in diff.failures}
    diff.unchanged = sum(pair.name not in by_name and pair.before.name not in failed for pair in headers.pairs)
    diff.changes = [change for name in [*before, *headers.added] for change in by_name.get(name, ())]
    return diff


def _compare(pair: Pair, opens: tuple[Open, Open], tolerance: Tolerance, diff: Diff, advance: Advance) -> Change | None:
    try:
        try:
            one, other = opens[0](pair.before), opens[1](pair.after)
        except EffortError:
            raise
        except ParamInspectError:
            if _same_bytes(pair, opens, advance):
                return None
            raise
        if one.numel != other.numel:  # packed pairs against plain numbers
            return None
        each = (pair.before.nbytes or 0) / max(one.numel, 1)
        found = compare_values(
            one, other, rtol=tolerance.rtol, atol=tolerance.atol, advance=lambda count: advance(round(count * each))
        )
    except EffortError:
        raise  # others would fail of it too
    except ParamInspectError as error:
        diff.failures.append(Failure(pair.before, error.with_traceback(None)))  # whose frames hold what was read
        return None
    if not found.differs:
        return None
    before, after = _texts(found)
    return Change(pair.name, "values", before, after, found.max_abs, found.relative, found.cosine, found.nan_changed)


def _same_bytes(pair: Pair, opens: tuple[Open, Open], advance: Advance) -> bool:
    """Whether tensors that cannot be decoded are of one type and hold the same bytes, in all that they are made of."""
    if pair.before.dtype != pair.after.dtype:
        return False
    sides = [(each.as_stored, *each.beside) for each in (pair.before, pair.after)]
    return len(sides[0]) == len(sides[1]) and all(
        _same(one, other, opens, advance) for one, other in zip(*sides, strict=True)
    )


def _same(before: TensorRecord, after: TensorRecord, opens: tuple[Open, Open], advance: Advance) -> bool:
    """Whether two stored tensors are of one type and hold the same bytes."""
    one, other = as_bytes(before), as_bytes(after)
    if one is None or other is None or before.dtype != after.dtype or one.nbytes != other.nbytes:
        return False
    return not compare_values(opens[0](one), opens[1](other), advance=advance).differs


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
