"""The pieces of tensors of a distributed checkpoint, of which there may be millions: made when they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from paraminspect.files.paths import join
from paraminspect.formats.tiling import Flaw
from paraminspect.records import Piece

Boxes = tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]
"""Offsets of the pieces of a tensor, and their sizes."""


class Places:
    """Where the pieces of one tensor lie.

    Attributes:
        offsets: Of the first element of each in the whole tensor; None of what is no tensor.
        files: Number of the file of each.
        begins: Where in it.
        lengths: In bytes.
    """

    __slots__ = ("begins", "files", "lengths", "offsets")

    def __init__(self) -> None:
        self.offsets: list[tuple[int, ...] | None] = []
        self.files = array("I")
        self.begins = array("Q")
        self.lengths = array("Q")

    def add(self, offsets: tuple[int, ...] | None, file: int, begin: int, length: int) -> None:
        """One more piece."""
        self.offsets.append(offsets)
        self.files.append(file)
        self.begins.append(begin)
        self.lengths.append(length)


class Pieces(Sequence[Piece]):
    """The pieces of one tensor, but for those whose place is not known.

    Args:
        folder: Of the files.
        files: Their names there, by number.
        boxes: What the pieces are of the tensor: the offsets of all, and the sizes of all.
        places: Where they lie.
        flaw: Why they are not the whole tensor; None where they are.
    """

    __slots__ = ("_boxes", "_files", "_folder", "_places", "flaw")

    def __init__(self, folder: str, files: Sequence[str], boxes: Boxes, places: Places, flaw: Flaw | None) -> None:
        self._folder = folder
        self._files = files
        self._boxes = boxes
        self._places = places
        self.flaw = flaw

    def __len__(self) -> int:
        known = set(self._places.offsets)
        return sum(begin in known for begin, _ in dict.fromkeys(zip(*self._boxes, strict=True)))

    def __iter__(self) -> Iterator[Piece]:
        places = self._places
        found = {offsets: at for at, offsets in enumerate(places.offsets)}  # the last one counts, as torch has it
        for begin, sizes in dict.fromkeys(zip(*self._boxes, strict=True)):
            at = found.get(begin)
            if at is not None:
                path = join(self._folder, self._files[places.files[at]])
                yield Piece(begin, sizes, path, places.begins[at], places.lengths[at])

    @overload
    def __getitem__(self, index: int) -> Piece: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Piece]: ...

    def __getitem__(self, index: int | slice) -> Piece | Sequence[Piece]:
        return list(self)[index]
