"""Which tensors that are stored apart have the same content.

Only tensors of one shape, dtype and size can. Of those the first kilobytes are looked at first, which tells almost all
apart; what is left is read once, in pieces, and hashed, several tensors at a time (hashing and reading leave the
interpreter to the other threads), large ones in blocks, whose hashes are hashed: whoever reads them, the blocks are those
of the size. A tensor whose elements are all the same (zero biases, unit scales) is evidence of nothing and left out,
which is seen on the way: only as long as a tensor looks constant is there anything to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from paraminspect.engines.pool import Advance, Here, Pool, kept
from paraminspect.errors import CheckpointError, LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.limits import EffortError
from paraminspect.records import TensorRecord
from paraminspect.tuples import NamedTuple
from paraminspect.values.parts import Part, cut, cut_bytes, put_together, size_of
from paraminspect.values.pieces import read_pieces
from paraminspect.values.stored_bytes import Files, has_repeats, plain_dtype

Progress = Callable[[int, int], None]

PIECE_BYTES = 1 << 20
"""Read at a time."""

START_BYTES = 4096
"""Of each tensor, looked at first."""

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


def find_equal(items: Sequence[Item], *, pool: Pool | None = None, progress: Progress = _say_nothing) -> Equal:
    """Compare the contents of tensors byte by byte.

    Args:
        items: In any order.
        pool: Who reads them; None for this thread. Those that others read are of `StoredContents`.
        progress: Is told how many of how many bytes are done.

    Raises:
        LimitExceededError: They are views of the same bytes so often that reading them would take too long.
    """
    pool = pool or Here()
    candidates = [place for places in _alike(items) for place in places]
    unread: dict[int, str] = {}
    _check_effort([items[place].record for place in candidates])
    starts = [Part(place, 0, (items[place].record,), 0, items[place].record.numel) for place in candidates]
    by_start: dict[tuple[object, bytes], list[int]] = {}
    for part, start in _run(Here() if pool.is_here else pool, start_lot, starts, items, lambda _: None):
        if isinstance(start, ParamInspectError):
            unread[part.group] = start.message
        else:
            by_start.setdefault((_key(items[part.group]), start.digest), []).append(part.group)
    left = sorted(place for places in by_start.values() if len(places) > 1 for place in places)
    constant = []
    by_content: dict[tuple[object, bytes], list[int]] = {}
    for place, hashed in _digest_all(items, left, pool, progress).items():
        if isinstance(hashed, ParamInspectError):
            unread[place] = hashed.message
        elif hashed.element is not None:
            constant.append(place)
        else:
            by_content.setdefault((_key(items[place]), hashed.digest), []).append(place)
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


class Hashed(NamedTuple):
    """What there is to know of a tensor, or of a block of one.

    Attributes:
        digest: Of its bytes.
        element: That all of it repeats; None as soon as two differ.
    """

    digest: bytes
    element: bytes | None


Made = Hashed | ParamInspectError


def start_lot(lot: Sequence[Part], advance: Advance, items: Sequence[Item] | None = None) -> list[Made]:
    """Of each tensor a hash of its first bytes."""
    from hashlib import sha256

    def start(record: TensorRecord, contents: Contents, block: int) -> Hashed:
        return Hashed(sha256(contents.start(record, START_BYTES)).digest(), None)

    return _each(lot, start, 0, items)


def digest_lot(lot: Sequence[Part], advance: Advance, items: Sequence[Item] | None = None, most: int = 0) -> list[Made]:
    """Of each part a hash of all its bytes.

    Args:
        most: Bytes of a block of a tensor, about.
    """

    def digest(record: TensorRecord, contents: Contents, block: int) -> Hashed:
        return _digest(record, contents, block, advance)

    return _each(lot, digest, most, items)


def _each(
    lot: Sequence[Part],
    work: Callable[[TensorRecord, Contents, int], Hashed],
    most: int,
    items: Sequence[Item] | None,
) -> list[Made]:
    """What is made of each part with the contents of its item, or of files."""
    made: list[Made] = []
    for part in lot:
        contents = kept(StoredContents) if items is None else items[part.group].contents
        (record,) = part.records
        try:
            made.append(work(record, contents, cut_bytes(record, most) if part.is_whole else record.nbytes or 0))
        except EffortError:
            raise
        except ParamInspectError as error:
            made.append(error.with_traceback(None))
    return made


def _run(
    pool: Pool, work: Callable[..., list[Made]], parts: Sequence[Part], items: Sequence[Item], advance: Advance
) -> Iterator[tuple[Part, Made]]:
    lots = list(put_together(parts, pool.lot))
    given = partial(work, items=items) if pool.is_here else work
    for place, made in pool.run(given, lots, size_of, advance, _errors_of):
        yield from zip(lots[place], made, strict=True)


def _errors_of(made: list[Made]) -> Iterator[ParamInspectError]:
    return (each for each in made if isinstance(each, ParamInspectError))


def _digest_all(items: Sequence[Item], places: Sequence[int], pool: Pool, progress: Progress) -> dict[int, Made]:
    """Of the items at these places, what their bytes are, or why they cannot be read."""
    total = sum(items[place].record.nbytes or 0 for place in places)
    done = 0

    def advance(nbytes: int) -> None:
        nonlocal done
        done = min(total, done + nbytes)
        progress(done, total)

    parts = [part for place in places for part in cut(place, 0, [items[place].record], pool.cut)]
    found: dict[int, list[tuple[int, Made]]] = {place: [] for place in places}
    for part, made in _run(pool, partial(digest_lot, most=pool.cut), parts, items, advance):
        found[part.group].append((part.begin, made))
    return {place: _put_together(several) for place, several in found.items()}


def _put_together(found: list[tuple[int, Made]]) -> Made:
    """Of the blocks of a tensor, what it is."""
    found.sort(key=lambda each: each[0])
    blocks: list[Hashed] = []
    for _, made in found:
        if isinstance(made, ParamInspectError):
            return made
        blocks.append(made)
    return _join(blocks)


def _join(blocks: Sequence[Hashed]) -> Hashed:
    from hashlib import sha256

    if len(blocks) == 1:
        return blocks[0]
    elements = {block.element for block in blocks}
    return Hashed(
        sha256(b"".join(block.digest for block in blocks)).digest(), elements.pop() if len(elements) == 1 else None
    )


def _digest(record: TensorRecord, contents: Contents, block: int, advance: Advance) -> Hashed:
    """Of a tensor in blocks of so many bytes, the last one shorter."""
    from hashlib import sha256  # OpenSSL takes 4 MB and a twentieth of the start

    blocks: list[Hashed] = []
    made, element, at = sha256(), b"", 0
    differs = False
    for piece in contents.pieces(record):
        advance(len(piece))
        while piece:
            part, piece = piece[: block - at], piece[block - at :]  # noqa: PLW2901 - what is left of it
            if not differs:
                element = element or part[: _period(record)]
                turned = at % len(element)
                pattern = (element[turned:] + element[:turned]) * (len(part) // len(element) + 1)
                differs = not pattern.startswith(part)
            made.update(part)
            at += len(part)
            if at == block:
                blocks.append(Hashed(made.digest(), None if differs else element))
                made, element, at, differs = sha256(), b"", 0, False
    if at or not blocks:
        blocks.append(Hashed(made.digest(), None if differs else element))
    return _join(blocks)


def _period(record: TensorRecord) -> int:
    """After how many bytes a constant tensor repeats itself: one element, or whole blocks of a quantised type."""
    nbytes = record.nbytes or 1
    if record.layout != "gguf" and (plain := plain_dtype(record)) != record.dtype:
        return BITS[plain] // 8
    count = 1 if record.layout != "gguf" else 256 if record.numel % 256 == 0 else 32
    size, rest = divmod(nbytes * count, record.numel)
    return min(size or nbytes, nbytes) if not rest else nbytes
