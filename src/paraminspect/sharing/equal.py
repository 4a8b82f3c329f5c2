"""Which tensors that are stored apart have the same content.

Only tensors of one shape, dtype and size can. Of those the first kilobytes are looked at first, which tells almost all
apart; what is left is read once, in pieces, and hashed, several tensors at a time (hashing and reading leave the
interpreter to the other threads). A tensor whose elements are all the same (zero biases, unit scales) is evidence of
nothing and left out, which is seen on the way: only as long as a tensor looks constant is there anything to compare.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from paraminspect.errors import CheckpointError, LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.limits import EffortError, shared_effort
from paraminspect.records import TensorRecord
from paraminspect.values.pieces import read_pieces
from paraminspect.values.stored_bytes import Files, has_repeats, plain_dtype

Progress = Callable[[int, int], None]

PIECE_BYTES = 1 << 20
"""Read at a time."""

START_BYTES = 4096
"""Of each tensor, looked at first."""

MAX_THREADS = 8

MAX_REREAD = 4
"""Times the size of all storages that may be read: tensors of a hostile file may be views of the same bytes."""


class Contents(Protocol):
    """Gives the bytes of the tensors of one source."""

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """All elements, row-major, in pieces of more than a block of a quantised type, but for the last one.

        Raises:
            CheckpointError: They cannot be had, and why.
        """

    def start(self, record: TensorRecord, length: int) -> bytes:
        """The first bytes of that, `length` of them if there are as many."""


class StoredContents:
    """Those of files; may be used from several threads.

    The bytes are those of the values, wherever they differ from what is stored: two tensors of scaled integers are
    equal if they stand for the same numbers.
    """

    def __init__(self) -> None:
        self._files = Files()

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """As `Contents` says.

        Raises:
            CheckpointError: They cannot be had, and why.
            TruncatedError: The file has become shorter.
        """
        return self._read(record, PIECE_BYTES)

    def start(self, record: TensorRecord, length: int) -> bytes:
        """As `Contents` says; raises what `pieces` does."""
        return next(self._read(record, length), b"")

    def _read(self, record: TensorRecord, size: int) -> Iterator[bytes]:
        if has_repeats(record):
            raise CheckpointError("it repeats its elements")
        return read_pieces(record, self._files, size)


class Item(NamedTuple):
    """A tensor to compare.

    Attributes:
        record: The tensor; of several names for the same bytes, one.
        contents: Gives its bytes.
    """

    record: TensorRecord
    contents: Contents


class Equal(NamedTuple):
    """What was found.

    Attributes:
        groups: Places of the items that have the same content, two or more each, in ascending order.
        constant: Places of the items that were left out, as all their elements are the same.
        unread: Place of an item that could not be read, and why.
    """

    groups: list[list[int]]
    constant: list[int]
    unread: dict[int, str]


def _say_nothing(done: int, total: int) -> None:
    """Nobody asked."""


def find_equal(items: Sequence[Item], *, threads: int | None = None, progress: Progress = _say_nothing) -> Equal:
    """Compare the contents of tensors byte by byte.

    Args:
        items: In any order.
        threads: None means one for each core, up to MAX_THREADS.
        progress: Is told how many of how many bytes are done.

    Raises:
        LimitExceededError: They are views of the same bytes so often that reading them would take too long.
    """
    from hashlib import sha256

    candidates = [place for places in _alike(items) for place in places]
    unread: dict[int, str] = {}
    _check_effort([items[place].record for place in candidates])
    by_start: dict[tuple[object, bytes], list[int]] = {}
    for place in candidates:
        item = items[place]
        try:
            start = sha256(item.contents.start(item.record, START_BYTES)).digest()
        except EffortError:
            raise
        except ParamInspectError as error:
            unread[place] = error.message
        else:
            by_start.setdefault((_key(item), start), []).append(place)
    left = [(key, place) for (key, _), places in by_start.items() if len(places) > 1 for place in places]
    digests = _digest_all([items[place] for _, place in left], threads, progress)
    constant = []
    by_content: dict[tuple[object, bytes], list[int]] = {}
    for (key, place), digest in zip(left, digests, strict=True):
        if isinstance(digest, str):
            unread[place] = digest
        elif digest is None:
            constant.append(place)
        else:
            by_content.setdefault((key, digest), []).append(place)
    groups = sorted(sorted(places) for places in by_content.values() if len(places) > 1)
    return Equal(groups, sorted(constant), dict(sorted(unread.items())))


def have_equal_content(one: Item, other: Item) -> bool:
    """Whether two tensors of one shape and dtype hold the same bytes; stops at the first difference.

    Raises:
        CheckpointError: One cannot be read.
    """
    pieces = zip(one.contents.pieces(one.record), other.contents.pieces(other.record), strict=True)
    return all(first == second for first, second in pieces)


def _key(item: Item) -> object:
    record = item.record
    return record.shape, record.dtype, record.nbytes


def _alike(items: Sequence[Item]) -> list[list[int]]:
    """Places of the items that may have the same content, several a list; a single element is a constant."""
    alike: dict[object, list[int]] = {}
    for place, item in enumerate(items):
        if item.record.numel > 1 and item.record.nbytes:
            alike.setdefault(_key(item), []).append(place)
    return [places for places in alike.values() if len(places) > 1]


def _check_effort(records: Sequence[TensorRecord]) -> None:
    stored = {id(record.storage): record.storage.nbytes for record in records if record.storage is not None}
    limit = MAX_REREAD * sum(stored.values())
    wanted = sum(
        record.nbytes or 0
        for record in records
        if record.storage is not None and (record.nbytes or 0) <= record.storage.nbytes
    )
    if wanted > limit:
        raise LimitExceededError("bytes of tensors to compare, most of them the same bytes", limit=limit, actual=wanted)


def _digest_all(items: Sequence[Item], threads: int | None, progress: Progress) -> list[bytes | str | None]:
    """Of each item the digest, None for a constant, or why it cannot be read."""
    total = sum(item.record.nbytes or 0 for item in items)
    done = 0
    digests = []
    made: Iterator[bytes | str | None]
    threads = min(threads or os.cpu_count() or 1, MAX_THREADS, len(items))
    if threads < 2:
        made = map(_digest, items)
    else:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(threads)
        made = pool.map(shared_effort(_digest), items)
        pool.shutdown(wait=False)  # what is interrupted does not wait for the others
    for item, digest in zip(items, made, strict=True):
        digests.append(digest)
        done += item.record.nbytes or 0
        progress(done, total)
    return digests


def _digest(item: Item) -> bytes | str | None:
    from hashlib import sha256  # OpenSSL takes 4 MB and a twentieth of the start

    made = sha256()
    element: bytes | None = b""  # None as soon as two elements differ
    at = 0
    try:
        for piece in item.contents.pieces(item.record):
            if element is not None:
                element = element or piece[: _period(item.record)]
                turned = at % len(element)
                pattern = (element[turned:] + element[:turned]) * (len(piece) // len(element) + 1)
                if not pattern.startswith(piece):
                    element = None
            made.update(piece)
            at += len(piece)
    except EffortError:
        raise
    except ParamInspectError as error:
        return error.message
    return made.digest() if element is None else None


def _period(record: TensorRecord) -> int:
    """After how many bytes a constant tensor repeats itself: one element, or whole blocks of a quantised type."""
    nbytes = record.nbytes or 1
    if record.layout != "gguf" and (plain := plain_dtype(record)) != record.dtype:
        return BITS[plain] // 8
    count = 1 if record.layout != "gguf" else 256 if record.numel % 256 == 0 else 32
    size, rest = divmod(nbytes * count, record.numel)
    return min(size or nbytes, nbytes) if not rest else nbytes
