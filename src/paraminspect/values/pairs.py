"""Pairs of tensors, compared by whoever reads them: what each part gives is put together in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from paraminspect.engines.pool import Advance, Here, Pool, kept
from paraminspect.errors import ParamInspectError
from paraminspect.limits import EffortError
from paraminspect.names.changes import Pair
from paraminspect.records import TensorRecord
from paraminspect.values.compare import Difference, Tolerance, compare_values
from paraminspect.values.decode import Numbers
from paraminspect.values.parts import Part, cut, put_together, size_of
from paraminspect.values.read import open_numbers
from paraminspect.values.stored_bytes import Files, as_bytes

Opens = tuple[Callable[[TensorRecord], Numbers], Callable[[TensorRecord], Numbers]]
Made = Difference | ParamInspectError
"""Of one part: how far the two are apart, or why that is not known."""


def compare_pairs(
    pairs: Sequence[Pair], opens: Opens, tolerance: Tolerance, advance: Advance, pool: Pool | None = None
) -> Iterator[Made]:
    """What is found of each pair, in order.

    Args:
        opens: Give the numbers of a tensor before and after.
        advance: Is told of every so many bytes that are compared, as the first one stores them.
        pool: Who reads them; None for this thread. Tensors that others read lie in files.

    Raises:
        EffortError: All together did more than a run may.
    """
    pool = pool or Here()
    work = partial(compare_lot, tolerance=tolerance, opens=opens if pool.is_here else None)
    parts = [part for at, pair in enumerate(pairs) for part in cut(at, 0, (pair.before, pair.after), pool.cut)]
    found: list[list[tuple[Part, Made]]] = [[] for _ in pairs]
    for part, made in _run(pool, work, parts, advance):
        found[part.group].append((part, made))
    if again := [part for several in found for part in _unmeasured(several)]:
        # bits of these are equal, but their norms are wanted beside parts that differ
        for part, made in _run(pool, partial(work, measured=True), again, lambda _: None):
            found[part.group].append((part, made))
    for several in found:
        yield _put_together(several)


def compare_lot(
    lot: Sequence[Part], advance: Advance, *, tolerance: Tolerance, opens: Opens | None, measured: bool = False
) -> list[Made]:
    """What is found of each part.

    Args:
        opens: None for tensors in files.
        measured: As of `compare_values`.

    Raises:
        EffortError: Others would fail of it too.
    """
    if opens is None:
        open_ = partial(open_numbers, files=kept(Files))
        opens = open_, open_
    made: list[Made] = []
    for part in lot:
        try:
            made.append(_compare(part, opens, tolerance, advance, measured=measured))
        except EffortError:
            raise
        except ParamInspectError as error:
            made.append(error.with_traceback(None))  # whose frames hold what was read
    return made


def _run(
    pool: Pool, work: Callable[..., list[Made]], parts: Sequence[Part], advance: Advance
) -> Iterator[tuple[Part, Made]]:
    lots = list(put_together(parts, pool.lot))
    for place, made in pool.run(work, lots, size_of, advance, _errors_of):
        yield from zip(lots[place], made, strict=True)


def _errors_of(made: list[Made]) -> Iterator[ParamInspectError]:
    return (each for each in made if isinstance(each, ParamInspectError))


def _unmeasured(found: Sequence[tuple[Part, Made]]) -> Iterator[Part]:
    made = [each for _, each in found]
    if any(isinstance(each, Difference) and each.differs for each in made) and not any(_errors_of(made)):
        yield from (part for part, each in found if isinstance(each, Difference) and not each.is_measured)


def _put_together(found: Sequence[tuple[Part, Made]]) -> Made:
    failed = [(part.begin, made) for part, made in found if isinstance(made, ParamInspectError)]
    if failed:
        return min(failed, key=lambda each: each[0])[1]
    whole = Difference()
    for _, made in found:
        assert isinstance(made, Difference)
        whole.merge(made)
    return whole


def _compare(part: Part, opens: Opens, tolerance: Tolerance, advance: Advance, *, measured: bool) -> Difference:
    before, after = part.records
    try:
        one, other = opens[0](before), opens[1](after)
    except EffortError:
        raise
    except ParamInspectError:
        if _same_bytes(before, after, opens, advance):
            return Difference()
        raise
    if one.numel != other.numel:  # packed pairs against plain numbers
        return Difference()
    each = (before.nbytes or 0) / max(one.numel, 1)
    return compare_values(one, other, tolerance, lambda count: advance(round(count * each)), measured=measured)


def _same_bytes(before: TensorRecord, after: TensorRecord, opens: Opens, advance: Advance) -> bool:
    """Whether tensors that cannot be decoded are of one type and hold the same bytes, in all that they are made of."""
    if before.dtype != after.dtype:
        return False
    sides = [(each.as_stored, *each.beside) for each in (before, after)]
    return len(sides[0]) == len(sides[1]) and all(
        _same(one, other, opens, advance) for one, other in zip(*sides, strict=True)
    )


def _same(before: TensorRecord, after: TensorRecord, opens: Opens, advance: Advance) -> bool:
    """Whether two stored tensors are of one type and hold the same bytes."""
    one, other = as_bytes(before), as_bytes(after)
    if one is None or other is None or before.dtype != after.dtype or one.nbytes != other.nbytes:
        return False
    return not compare_values(opens[0](one), opens[1](other), Tolerance(), advance).differs
