"""Archives that differ from one another in numbers alone: where nothing was to be said of the first, nothing is of the others.

torch.distributed.checkpoint writes each piece of a tensor as an archive of its own: thousands, of a few shapes. They are the
same byte by byte but for the numbers of the tensor, an identifier of forty digits, and the checksums of both. What is found
in an archive depends on the rest, and of those on their first bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from paraminspect.files.blob import Blob
from paraminspect.formats.zip_file import ZipDirectory, find_crc_fields
from paraminspect.tuples import NamedTuple

MAX_ENTRIES: Final = 32
"""Of an archive that may have twins; a piece has seven."""

MAX_FIXED: Final = 64 << 10
"""Bytes of one that are compared."""

MAX_OF_ONE_SIZE: Final = 16
"""Different ones of one size that are known."""

MAX_KNOWN: Final = 4_000
"""Different ones in a run."""

IDENTIFIER: Final = ".data/serialization_id"

_CRC: Final = 4


class _Known(NamedTuple):
    """An archive of which nothing is to be said.

    Attributes:
        spans: Begin and length of what is read of it; offsets below are in what that is together.
        fixed: Bytes that twins share, each with its begin and end.
        free: Begin of the first bytes of what may differ, their end, and whether these are numbers.
        sums: Where the checksum of each of them stands.
    """

    spans: tuple[tuple[int, int], ...]
    fixed: tuple[tuple[int, int, bytes], ...]
    free: tuple[tuple[int, int, bool], ...]
    sums: tuple[tuple[int, ...], ...]

    def is_twin(self, blob: Blob, is_harmless: Callable[[bytes, bool], bool]) -> bool:
        """Whether an archive of the same size has nothing else in it."""
        data = b"".join([blob.read(begin, length) for begin, length in self.spans])
        for begin, end, bytes_ in self.fixed:
            if data[begin:end] != bytes_:
                return False
        for places in self.sums:
            if len({data[at : at + _CRC] for at in places}) > 1:
                return False
        return all(is_harmless(data[begin:end], is_numbers) for begin, end, is_numbers in self.free)


class Twins:
    """The archives of a run that are known."""

    def __init__(self) -> None:
        self._known: dict[int, list[_Known]] = {}
        self._count = 0

    def has(self, blob: Blob, is_harmless: Callable[[bytes, bool], bool]) -> bool:
        """Whether an archive is the twin of one that is known.

        Args:
            is_harmless: Whether nothing is to be said of a member that begins so, which is numbers or an identifier.
        """
        return any(known.is_twin(blob, is_harmless) for known in self._known.get(blob.size, ()))

    def add(self, directory: ZipDirectory, is_raw: Callable[[str], bool], head: int) -> None:
        """Know an archive of which nothing was to be said.

        Args:
            is_raw: Whether a member of that name is numbers.
            head: Bytes of a member that `is_harmless` asks for.
        """
        alike = self._known.setdefault(directory.blob.size, [])
        if len(alike) < MAX_OF_ONE_SIZE and self._count < MAX_KNOWN and (known := _learn(directory, is_raw, head)):
            alike.append(known)
            self._count += 1


def _learn(directory: ZipDirectory, is_raw: Callable[[str], bool], head: int) -> _Known | None:
    """What twins of an archive have in common; None of one that no piece is like."""
    entries = list(directory.entries.values())
    if len(entries) > MAX_ENTRIES or directory.shadowed or any(each.method or each.encrypted for each in entries):
        return None
    free = {
        each: directory.data_offset(each) for each in entries if is_raw(each.name) or each.name.endswith(IDENTIFIER)
    }
    if not all(each.crc for each in free):
        return None
    size = directory.blob.size
    longest = max(free, key=lambda each: each.size, default=None)
    left_out = (size, size)
    if longest is not None and longest.size > MAX_FIXED // 2:  # but for its head, its numbers are not read
        left_out = free[longest] + head, free[longest] + longest.size
    gap = left_out[1] - left_out[0]
    if size - gap > MAX_FIXED:
        return None

    def at(place: int) -> int:
        return place if place <= left_out[0] else place - gap

    sums = tuple(dict(find_crc_fields(directory, {each.header_offset for each in free})).values())
    spans = tuple((begin, end - begin) for begin, end in ((0, left_out[0]), (left_out[1], size)) if begin < end)
    data = b"".join(directory.blob.read(begin, length) for begin, length in spans)
    cuts = [(at(begin), at(begin + each.size)) for each, begin in free.items()]
    cuts += [(at(place), at(place) + _CRC) for places in sums for place in places]
    return _Known(
        spans,
        tuple((begin, end, data[begin:end]) for begin, end in _between(cuts, len(data))),
        tuple((at(begin), at(begin + min(head, each.size)), is_raw(each.name)) for each, begin in free.items()),
        tuple(tuple(map(at, places)) for places in sums),
    )


def _between(cuts: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """What lies between spans, up to the end."""
    position = 0
    for begin, end in [*sorted(cuts), (size, size)]:
        if begin > position:
            yield position, begin
        position = max(position, end)
