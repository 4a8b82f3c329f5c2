"""The bytes of each tensor that is written: copied from file to file as they are, or computed a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from paraminspect.conversion.plan import Item
from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.records import TensorRecord
from paraminspect.values.stored_bytes import find_bytes
from paraminspect.writers.copying import KERNEL_CHUNK, open_regular, read_chunks
from paraminspect.writers.layout import Copy, Layout
from paraminspect.writers.sink import Sink

if TYPE_CHECKING:  # numpy, which bytes that are copied do not need
    import numpy as np

    from paraminspect.values.decode import Numbers

    Array = np.ndarray[Any, Any]

Open = Callable[[TensorRecord], "Numbers"]
Advance = Callable[[int], None]

PIECE: Final = 1 << 20
"""Numbers that are in memory at a time."""


class Contents:
    """Gives the bytes of tensors.

    Args:
        open_numbers: What reads the numbers of a record.
        is_stored: Whether records are of files; those of a live model have no bytes to be copied.

    Attributes:
        lost: By the name of a tensor that another type was too narrow for: how many of its numbers were too large for
            it, and how many became zero.
    """

    def __init__(self, open_numbers: Open, *, is_stored: bool = True) -> None:
        self._open = open_numbers
        self._is_stored = is_stored
        self._path: str | None = ""
        self._opened: Blob | None = None
        self.lost: dict[str, tuple[int, int]] = {}

    def write(self, item: Item, index: int, sink: Sink, advance: Advance) -> None:
        """Write one tensor.

        Args:
            index: What the sink calls it.
            advance: Called with the number of bytes that have been written.

        Raises:
            ParamInspectError: It cannot be read, or not be written.
        """
        begin = 0
        found = find_copy(item)
        if found is not None:
            source = self._file(found.path)
            while begin < found.nbytes:
                part = Copy(found.path, found.begin + begin, min(KERNEL_CHUNK, found.nbytes - begin))
                sink.copy(index, begin, part, source)
                begin += part.nbytes
                advance(part.nbytes)
            return
        for piece in self.pieces(item):
            sink.put(index, begin, piece)
            begin += piece.nbytes
            advance(piece.nbytes)

    def pieces(self, item: Item) -> Iterator[memoryview]:
        """The bytes of one tensor, row by row.

        Raises:
            ParamInspectError: They cannot be read; it names the tensor.
        """
        if not item.out.numel:
            return
        try:
            found = find_copy(item)
            if found is not None:
                yield from read_chunks(self._file(found.path), found)
            else:
                yield from map(_bytes_of, self._numbers(item))
        except ParamInspectError as error:
            error.message = f"{item.record.name or 'the tensor'}: {error.message}"
            raise

    def _numbers(self, item: Item) -> Iterator[Array]:
        """Its elements in the type in which they are written, a piece at a time."""
        from paraminspect.values.cast import cast, count_lost, is_narrower
        from paraminspect.values.read import as_bits

        record, dtype = item.record, item.out.dtype
        if item.is_kept and self._is_stored:
            record = as_bits(record)
            dtype = record.dtype
        numbers = self._open(record)
        if numbers.numel != item.out.numel:
            raise CheckpointError(f"it holds {numbers.numel:,} numbers, not {item.out.numel:,}")
        narrows = is_narrower(dtype, item.record.dtype)
        over = under = 0
        for begin in range(0, numbers.numel, PIECE):
            piece = numbers.read(begin, min(begin + PIECE, numbers.numel))
            written = cast(piece, dtype)
            if narrows:
                large, small = count_lost(piece, written, dtype)
                over, under = over + large, under + small
            yield written
        if over or under:
            self.lost[item.out.name] = over, under

    def _file(self, path: str | None) -> Blob:
        """The file that is copied from; one is open at a time."""
        if self._opened is None or path != self._path:
            self.close()
            self._opened, self._path = open_regular(path), path
        return self._opened

    def close(self) -> None:
        """Close the file that was read last."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def write_all(items: tuple[Item, ...], layout: Layout, contents: Contents, sink: Sink, advance: Advance) -> None:
    """Write every tensor, in the order in which they lie in the files.

    Raises:
        ParamInspectError: As `Contents.write`.
    """
    try:
        for index in layout.order:
            contents.write(items[index], index, sink, advance)
    finally:
        contents.close()


def find_copy(item: Item) -> Copy | None:
    """Where the bytes of a tensor lie just as they are written; None where they do not."""
    found = find_bytes(item.record) if item.is_kept and item.out.nbytes else None
    return None if found is None else Copy(*found)


def _bytes_of(array: Array) -> memoryview:
    import numpy as np

    flat: Array = array.reshape(-1)
    return flat.view(np.uint8).data
