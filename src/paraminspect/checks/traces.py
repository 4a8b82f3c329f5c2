"""Pickles that are traced once in a run: for the reader that wants their value and for the scanner, or as equal bytes.

A trace is a function of the bytes and of the effort that may be spent. So it is taken again where the bytes are the
same, and where what is left to spend is enough for it, or was just as little; and that is spent once more. Of a long pickle
they are the same if they have the same digest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from paraminspect.errors import LimitExceededError
from paraminspect.files.blob import Blob
from paraminspect.formats.once import Loaded, once
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.traced import Trace
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.limits import OPCODES, STRINGS, WINDOWS, Effort, EffortError, effort, one_effort
from paraminspect.tuples import NamedTuple

HEAD: Final = 4096
"""Bytes of a pickle by which it is found again; what is behind them is digested."""

MAX_KEPT_BYTES: Final = 64 << 20
"""Of the pickles whose traces are kept: a million tensors have a hundred a tensor."""

MAX_KEPT: Final = 1_000
"""Traces that are kept."""

_PIECE: Final = 1 << 20

_Key = tuple[int, int, bytes]
"""Where a pickle begins in how many bytes, and its head."""

_BOUNDS: Final = (OPCODES, WINDOWS, STRINGS)


class _Kept(NamedTuple):
    """A trace, and what it took.

    Attributes:
        nbytes: That justified the effort.
        before: What was spent of each bound.
        spent: On the trace.
        is_bounded: Whether more effort would have changed it.
        until: Offset of the first byte that it does not depend on.
        digest: Of the bytes behind the head, up to there.
    """

    trace: Trace
    nbytes: int
    before: tuple[int, ...]
    spent: tuple[int, ...]
    is_bounded: bool
    until: int
    digest: bytes

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
        self._kept: dict[_Key, _Kept] = {}
        self._nbytes = 0

    def load(self, blob: Blob, begin: int, *, takes_runs: bool) -> Loaded | None:
        """See `Loader`. What is not what a reader would make of it, or would be too much for it, is left to the reader."""
        if not _is_kept(blob, begin) or (blob.size - begin > MAX_KEPT_BYTES and not begin):
            return None
        run = effort()
        with one_effort(afresh=True) as own:  # what looks into the pickle must not depend on what its reader did before
            own.allow(None, run.nbytes)
            kept = self._find(blob, begin)
        trace = kept.trace
        if trace.error is not None or trace.departs or (trace.has_runs and not takes_runs) or trace.is_taken:
            return None
        if kept.is_bounded or not kept.fits(run):
            return None
        run.spend(OPCODES, kept.spent[0])
        run.spend(WINDOWS, kept.spent[1])
        trace.is_taken = True
        return Loaded(trace.value, trace.storages, trace.foreign, trace.end, trace.refers)

    def trace(self, blob: Blob, begin: int, declare: Callable[[StorageRef], None]) -> Trace:
        """As `trace_pickle`."""
        kept = self._find(blob, begin)
        for each in kept.trace.storages.values():
            declare(each)
        return kept.trace

    def _find(self, blob: Blob, begin: int) -> _Kept:
        if blob.is_far and blob.size <= MAX_KEPT_BYTES:
            blob = Blob.from_bytes(blob.read(0, blob.size), blob.path)  # each byte is fetched once
        run = effort()
        key = begin, blob.size, blob.read_up_to(begin, HEAD)
        kept = self._kept.get(key)
        if kept is not None and kept.fits(run) and _digest(blob, begin, kept.until) == kept.digest:
            kept.spend(run)
            return kept
        kept = _trace(blob, begin, run)
        if (
            not kept.trace.wraps_arrays and kept.until - begin <= MAX_KEPT_BYTES
        ):  # else it is traced in two ways that become one
            self._keep(key, kept._replace(digest=_digest(blob, begin, kept.until)))
        return kept

    def _keep(self, key: _Key, kept: _Kept) -> None:
        nbytes = kept.until - key[0]
        if len(self._kept) >= MAX_KEPT or self._nbytes + nbytes > MAX_KEPT_BYTES:
            self._kept.clear()
            self._nbytes = 0
        self._nbytes += nbytes * (key not in self._kept)
        self._kept[key] = kept


def _is_kept(blob: Blob, begin: int) -> bool:
    """Whether its bytes are read again at no cost."""
    return not blob.is_far or (not begin and blob.size <= MAX_KEPT_BYTES)


def _digest(blob: Blob, begin: int, until: int) -> bytes:
    """Of the bytes behind the head of a pickle."""
    if until <= begin + HEAD:
        return b""
    try:  # pickles of a few tensors do without
        from _blake2 import blake2b  # which hashlib has from there, and loads OpenSSL with it: 3 ms
    except ImportError:
        from hashlib import blake2b

    made = blake2b()
    for at in range(begin + HEAD, until, _PIECE):
        made.update(blob.read(at, min(_PIECE, until - at)))
    return made.digest()


def _trace(blob: Blob, begin: int, run: Effort) -> _Kept:
    nbytes, before = run.nbytes, tuple(map(run.spent, _BOUNDS))
    trace = trace_pickle(blob, begin)
    spent = tuple(run.spent(bound) - was for bound, was in zip(_BOUNDS, before, strict=True))
    is_bounded = isinstance(trace.error, LimitExceededError) or trace.unread > 0
    until = trace.end if trace.error is None else blob.size
    return _Kept(trace, nbytes, before, spent, is_bounded, until, b"")


def trace_once(blob: Blob, begin: int, declare: Callable[[StorageRef], None]) -> Trace:
    """As `trace_pickle`, without doing it again for the same bytes in one run."""
    run = once()
    if run is None or not isinstance(run.loader, Traces) or not _is_kept(blob, begin):
        return trace_pickle(blob, begin, declare)
    return run.loader.trace(blob, begin, declare)
