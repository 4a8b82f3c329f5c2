"""Findings of what is open: of the records of a model, and of its values. What files hold besides is found by `checks.check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from paraminspect.checks.codes import rank
from paraminspect.files.door import raise_broken
from paraminspect.limits import EffortError
from paraminspect.models.open import Opened
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.summaries import Finding

if TYPE_CHECKING:
    from paraminspect.engines.pool import Engine, Pool
    from paraminspect.values.decode import Numbers


def check_opened(model: Opened, *, deep: bool) -> list[Finding]:
    """Findings of what is open already: of its tensors, and if it is to be deep of their values."""
    found = check_checkpoint(model.checkpoint)
    if deep and not model.is_live:
        found += check_deep(model.checkpoint)
    elif deep:
        from paraminspect.checks.values import check_values

        model.expect(model.checkpoint.tensors)
        found += check_values(model.checkpoint.tensors, model.numbers)
    return arrange([], found)


def check_checkpoint(checkpoint: Checkpoint) -> list[Finding]:
    """Findings from headers; values are read only of tensors that are declared tied and stored twice."""
    from paraminspect.checks.headers import check_tensors

    found = list(check_tensors(checkpoint))
    if checkpoint.declared:
        from paraminspect.checks.copies import check_declared

        found += check_declared(checkpoint)
    return found


class _Passes:
    """What several passes over the same files have read, as one count."""

    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._compared = 0

    def advance(self, nbytes: int) -> None:
        self._done += nbytes
        self._progress(min(self._done, self._total), self._total)

    def compare(self, done: int, total: int) -> None:
        """The pass that compares tensors, which finds out by its first bytes how much it will read."""
        if not self._compared:
            self._total += total
        self.advance(done - self._compared)
        self._compared = done


def check_deep(
    checkpoint: Checkpoint,
    progress: Callable[[int, int], None] = lambda _, __: None,
    engine: Engine | None = None,
) -> list[Finding]:
    """Findings that take reading everything: the values, tensors that may be equal once more, and all checksums.

    Args:
        engine: Who reads; None for this thread.
    """
    from paraminspect.checks.container import Place, as_finding
    from paraminspect.checks.copies import check_copies
    from paraminspect.checks.values import check_values, stored_once
    from paraminspect.checks.zips import check_sums, count_summed
    from paraminspect.engines.pool import Here
    from paraminspect.values.read import open_numbers
    from paraminspect.values.stored_bytes import Files

    files = Files()
    paths = checkpoint.files or (None,)
    summed = sum(count_summed(files.blob(path)) for path in paths)
    once = sum(record.nbytes or 0 for record in stored_once(checkpoint.tensors))
    passes = _Passes(progress, summed + once)
    found: list[Finding] = []

    def pool(nbytes: int, *, holds_lock: bool = False) -> Pool:
        return Here() if engine is None else engine.pool(checkpoint.files, nbytes, holds_lock=holds_lock)

    def open_(record: TensorRecord) -> Numbers:
        return open_numbers(record, files)

    try:
        found += check_values(checkpoint.tensors, open_, passes.advance, pool(once, holds_lock=True))
        found += check_copies(checkpoint, passes.compare, pool(once))
        for path in paths:
            found += check_sums(files.blob(path), Place(path), passes.advance, pool(summed))
    except EffortError as error:
        found.append(as_finding(error, Place(paths[0])))
    raise_broken(checkpoint.files)
    return found


def arrange(scanned: Sequence[Finding], said: Sequence[Finding]) -> list[Finding]:
    """Each finding once, the worst first.

    Args:
        scanned: From the bytes of the files, which know the place.
        said: From readers and records; those of them that only repeat are left out.
    """
    codes, messages = {each.code for each in scanned}, {each.message for each in scanned}
    others = [
        each for each in said if each.message not in messages and (each.name or each.code not in codes - _REPEATED)
    ]
    if any(each.code == "unused-bytes" for each in said):  # which counts those too
        scanned = [each for each in scanned if each.code != "unused-storage"]
    unique = dict.fromkeys([*scanned, *others])
    return sorted(unique, key=lambda each: -rank(each.severity))


_REPEATED: Final = frozenset({"remark", "mixed-dtypes", "duplicate-name", "plain-attribute", "index-mismatch"})
"""Kinds that may be found more than once of a source as a whole."""
