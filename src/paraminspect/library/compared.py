"""Two opened sources, compared: what `diff` and the page of `report` do alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from paraminspect.models.open import Opened
from paraminspect.records import OF_MODEL, TensorRecord

if TYPE_CHECKING:
    from paraminspect.engines.pool import Engine
    from paraminspect.values.compare import Tolerance
    from paraminspect.values.diff import Diff, Only

Advance = Callable[[int], None]


def compare_models(
    sides: tuple[Opened, Opened],
    *,
    only: Only | None = None,
    tolerance: Tolerance | None = None,
    maps: Sequence[str] = (),
    advance: Advance = lambda _: None,
) -> Diff:
    """Parameters and buffers of both, stored alike where they can be.

    Args:
        maps: `FROM=TO` globs that rename tensors of both; the rest as of `compare_records`.

    Raises:
        ParamInspectError: A map cannot be parsed, or makes one name of two.
    """
    before, after = pair_models(sides, maps)
    return compare_records(sides, before, after, only=only, tolerance=tolerance, advance=advance)


def pair_models(
    sides: tuple[Opened, Opened], maps: Sequence[str] = ()
) -> tuple[dict[str, TensorRecord], dict[str, TensorRecord]]:
    """Parameters and buffers of both by name, stored alike where they can be. Raises what `compare_models` does."""
    from paraminspect.names.changes import both_stored, rename

    chosen = ([record for record in each.checkpoint.tensors if record.role in OF_MODEL] for each in sides)
    before, after = (rename(records, maps) for records in both_stored(*chosen))
    return before, after


def count_compared(before: Mapping[str, TensorRecord], after: Mapping[str, TensorRecord]) -> int:
    """Bytes of which `compare_records` tells that they are done."""
    return sum(record.nbytes or 0 for name, record in before.items() if name in after)


def compare_records(
    sides: tuple[Opened, Opened],
    before: Mapping[str, TensorRecord],
    after: Mapping[str, TensorRecord],
    *,
    only: Only | None = None,
    tolerance: Tolerance | None = None,
    advance: Advance = lambda _: None,
    engine: Engine | None = None,
) -> Diff:
    """Records of both by name; what their values take is counted before they are read.

    Args:
        only: As of `values.diff.diff_records`, which has the rest.
        advance: Is told of the bytes of `before` that are done.
        engine: Who reads values; None for this thread.

    Raises:
        LimitExceededError: A spec's values would take too much.
    """
    from paraminspect.values.diff import diff_records

    if only in (None, "values"):
        sides[0].expect(record for name, record in before.items() if name in after)
        sides[1].expect(record for name, record in after.items() if name in before)
    pool = None
    if engine is not None and only in (None, "values"):
        stored = [() if side.is_live else side.checkpoint.files for side in sides]
        files = [*stored[0], *stored[1]] if all(stored) else ()
        pool = engine.pool(files, count_compared(before, after))
    numbers = (sides[0].numbers, sides[1].numbers)
    return diff_records(before, after, numbers, only=only, tolerance=tolerance, advance=advance, pool=pool)
