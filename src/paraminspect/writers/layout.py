"""Where every byte of the output lies, known before the first value exists."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from paraminspect.errors import ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple


class OutTensor(NamedTuple):
    """A tensor that is to be written, contiguous and row-major.

    Attributes:
        name: Canonical name.
        dtype: torch's name ("bfloat16").
        shape: (d0, ..., dn), () for a scalar.
        aliases: Further names of the same tensor, which is written once.
        trainable: requires_grad in a torch file; state dicts have False. Other formats do not keep it.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    aliases: tuple[str, ...] = ()
    trainable: bool = False

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes; a `KeyError` for a dtype that is none of torch's."""
        return self.numel * BITS[self.dtype] // 8


class Copy(NamedTuple):
    """Bytes of a file that is there already.

    Attributes:
        path: Of the file; None for standard input, which must be a regular file.
        begin: Offset of the first byte.
    """

    path: str | None
    begin: int
    nbytes: int


class Piece(NamedTuple):
    """Bytes that are known beforehand, and where they go.

    Attributes:
        offset: In the file that is written.
        content: The bytes themselves, or where they are copied from.
    """

    offset: int
    content: bytes | Copy

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.content.nbytes if isinstance(self.content, Copy) else len(self.content)


class Slot(NamedTuple):
    """Where the bytes of one tensor go.

    Attributes:
        file: Index into the layout's files.
        offset: Of the first byte in that file.
        nbytes: How many; 0 for a tensor without elements, of which nothing is put.
    """

    file: int
    offset: int
    nbytes: int


class Checksum(NamedTuple):
    """A CRC-32 that is only known once the values are there: four little-endian bytes.

    Attributes:
        tensor: Index of the one whose bytes it is of; None where it is of a range that more than one tensor may lie in.
        begin: Of the range in the file.
        places: File offsets where it stands, in pieces that are bytes, not copies.
        seed: CRC-32 of the bytes of the range before those of the tensor.
    """

    tensor: int | None
    begin: int
    nbytes: int
    places: tuple[int, ...]
    seed: int = 0


class FileLayout(NamedTuple):
    """One file: all its bytes are either pieces or slots of tensors.

    Attributes:
        name: "" for the only file of a layout that is no folder, else its path inside the folder.
        nbytes: Size in bytes.
        checksums: What is filled in last.
    """

    name: str
    nbytes: int
    pieces: tuple[Piece, ...]
    checksums: tuple[Checksum, ...] = ()


class Segment(NamedTuple):
    """A run of bytes of a file: a piece, or the values of a tensor, by its index."""

    offset: int
    piece: Piece | None
    tensor: int | None


class Layout(NamedTuple):
    """All files of an output.

    Attributes:
        files: One, or those of a folder.
        slots: By index of the tensor as it was given to the plan.
        is_folder: Whether the target is a folder.
        sequential: Whether it can go into a pipe in one pass.
    """

    files: tuple[FileLayout, ...]
    slots: tuple[Slot, ...]
    is_folder: bool = False
    sequential: bool = True

    @property
    def order(self) -> list[int]:
        """Indices of the tensors in the order in which they lie in the files."""
        return sorted(range(len(self.slots)), key=lambda index: (self.slots[index].file, self.slots[index].offset))

    @property
    def nbytes(self) -> int:
        """Of all files together."""
        return sum(file.nbytes for file in self.files)

    def segments(self, file: int) -> list[Segment]:
        """What one file is made of, from its first byte to its last, runs of no bytes left out."""
        found = [Segment(piece.offset, piece, None) for piece in self.files[file].pieces if piece.nbytes]
        found += [
            Segment(slot.offset, None, index)
            for index, slot in enumerate(self.slots)
            if slot.file == file and slot.nbytes
        ]
        return sorted(found, key=lambda segment: segment.offset)


def check_names(tensors: Sequence[OutTensor]) -> None:
    """Raise unless all names, aliases included, are different and can be encoded.

    Raises:
        ParamInspectError: Names the tensor.
    """
    seen: set[str] = set()
    for tensor in tensors:
        for name in (tensor.name, *tensor.aliases):
            if name in seen:
                raise ParamInspectError(f"two tensors are named {quote(name)}, and a file holds each name once")
            seen.add(name)
            try:
                name.encode()
            except UnicodeEncodeError:
                raise ParamInspectError(
                    f"the name {quote(name)} holds half a surrogate pair, which is no text"
                ) from None
