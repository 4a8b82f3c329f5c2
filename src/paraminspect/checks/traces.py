"""Pickles that are traced once in a run: for the reader that wants their value and for the scanner, or as equal bytes.

A trace is a function of the bytes and of the effort that may be spent. So it is taken again where the bytes are the
same, and where what is left to spend is enough for it, or was just as little; and that is spent once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from paraminspect.errors import LimitExceededError
from paraminspect.files.blob import Blob
from paraminspect.formats.once import Loaded, once
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.traced import Trace
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.limits import OPCODES, STRINGS, WINDOWS, Effort, EffortError, effort, one_effort

MAX_KEPT_BYTES: Final = 64 << 20
"""Of the pickles whose traces are kept: a million tensors have a hundred a tensor."""

MAX_KEPT: Final = 1_000
"""Traces that are kept."""

_BOUNDS: Final = (OPCODES, WINDOWS, STRINGS)


class _Kept(NamedTuple):
    """A trace, and what it took.

    Attributes:
        nbytes: That justified the effort.
        before: What was spent of each bound.
        spent: On the trace.
        is_bounded: Whether more effort would have changed it.
    """

    trace: Trace
    nbytes: int
    before: tuple[int, ...]
    spent: tuple[int, ...]
    is_bounded: bool

    def fits(self, run: Effort) -> bool:
        """Whether tracing the same bytes in a run would give the same."""
        if self.is_bounded:
            return run.nbytes == self.nbytes and tuple(map(run.spent, _BOUNDS)) == self.before
        left = zip(_BOUNDS, self.spent, strict=True)
        return run.nbytes >= self.nbytes and all(run.left(bound) >= count for bound, count in left)

    def spend(self, run: Effort) -> None:
        """Count it as if it were traced in a run."""
        for bound, count in zip(_BOUNDS, self.spent, strict=True):
            run.spend(bound, count)
        if isinstance(self.trace.error, EffortError):
            run.is_spent = True


class Traces:
    """Those of one run."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}
        self._nbytes = 0

    def load(self, blob: Blob) -> Loaded | None:
        """See `Loader`. What is not what a reader would make of it, or would be too much for it, is left to the reader."""
        if blob.size > MAX_KEPT_BYTES:
            return None
        run = effort()
        with one_effort(afresh=True) as own:  # what looks into the pickle must not depend on what its reader did before
            own.allow(None, run.nbytes)
            kept = self._find(blob)
        if kept.trace.error is not None or kept.trace.departs or kept.is_bounded or not kept.fits(run):
            return None
        run.spend(OPCODES, kept.spent[0])
        run.spend(WINDOWS, kept.spent[1])
        return Loaded(kept.trace.value, kept.trace.storages, kept.trace.foreign)

    def trace(self, blob: Blob, declare: Callable[[StorageRef], None]) -> Trace:
        """As `trace_pickle` of a whole blob."""
        kept = self._find(blob)
        for each in kept.trace.storages.values():
            declare(each)
        return kept.trace

    def _find(self, blob: Blob) -> _Kept:
        data = blob.read(0, blob.size)
        run = effort()
        kept = self._kept.get(data)
        if kept is not None and kept.fits(run):
            kept.spend(run)
            return kept
        kept = _trace(Blob.from_bytes(data, blob.path), run)
        if not kept.trace.wraps_arrays:  # which is traced in two ways that become one
            self._keep(data, kept)
        return kept

    def _keep(self, data: bytes, kept: _Kept) -> None:
        if len(self._kept) >= MAX_KEPT or self._nbytes + len(data) > MAX_KEPT_BYTES:
            self._kept.clear()
            self._nbytes = 0
        self._nbytes += len(data) * (data not in self._kept)
        self._kept[data] = kept


def _trace(blob: Blob, run: Effort) -> _Kept:
    nbytes, before = run.nbytes, tuple(map(run.spent, _BOUNDS))
    trace = trace_pickle(blob, 0)
    spent = tuple(run.spent(bound) - was for bound, was in zip(_BOUNDS, before, strict=True))
    is_bounded = isinstance(trace.error, LimitExceededError) or trace.unread > 0
    return _Kept(trace, nbytes, before, spent, is_bounded)


def trace_once(blob: Blob, begin: int, declare: Callable[[StorageRef], None]) -> Trace:
    """As `trace_pickle`, without doing it again for the same bytes in one run."""
    run = once()
    if run is None or begin or blob.size > MAX_KEPT_BYTES or not isinstance(run.loader, Traces):
        return trace_pickle(blob, begin, declare)
    return run.loader.trace(blob, declare)
