"""The bytes of each tensor that is written: copied from file to file as they are, or computed a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from paraminspect.conversion.plan import Item, is_contiguous
from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.records import TensorRecord
from paraminspect.writers.copying import KERNEL_CHUNK, Opened, close_source, open_regular, read_chunks
from paraminspect.writers.layout import Copy, Layout
from paraminspect.writers.sink import Sink

if TYPE_CHECKING:  # numpy, which bytes that are copied do not need
    import numpy as np

    from paraminspect.values.numbers import Numbers

    Array = np.ndarray[Any, Any]

Open = Callable[[TensorRecord], "Numbers"]
Advance = Callable[[int], None]

PIECE: Final = 1 << 20
"""Numbers that are in memory at a time."""

PIECE_BYTES: Final = 4 << 20
"""The same of elements that keep their bits."""

_BIT_TYPES: Final = {8: "uint8", 16: "uint16", 32: "uint32", 64: "uint64"}
"""Types in which elements keep their bits whatever they are."""


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
        self._opened: Opened | None = None
        self.lost: dict[str, tuple[int, int]] = {}

    def write(self, item: Item, index: int, sink: Sink, advance: Advance) -> None:
        """Write one tensor.

        Args:
            item: What it is.
            index: What the sink calls it.
            sink: Takes it.
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
                yield from map(_bytes_of, self._arrays(item))
        except ParamInspectError as error:
            error.message = f"{item.record.name or 'the tensor'}: {error.message}"
            raise

    def _arrays(self, item: Item) -> Iterator[Array]:
        """Its elements in the type in which they are written, a piece at a time."""
        from paraminspect.values.mapped import map_tensor

        if item.is_kept and (view := map_tensor(_as_bits(item.record))) is not None:
            yield from _blocks(_as_bits(item.record), view, ())
        else:
            yield from self._numbers(item)

    def _numbers(self, item: Item) -> Iterator[Array]:
        from paraminspect.values.cast import cast, count_lost, is_narrower

        record, dtype = item.record, item.out.dtype
        if item.is_kept and self._is_stored and record.layout == "strided" and not dtype.startswith("complex"):
            record = _as_bits(record)
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

    def _file(self, path: str | None) -> Opened:
        """The file that is copied from; one is open at a time."""
        if self._opened is None or path != self._path:
            self.close()
            self._opened, self._path = open_regular(path), path
        return self._opened

    def close(self) -> None:
        """Close the file that was read last."""
        if self._opened is not None:
            close_source(self._opened)
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
    record = item.record
    storage = record.storage
    if not item.is_kept or record.layout != "strided" or storage is None or storage.begin is None:
        return None
    if not item.out.nbytes or not is_contiguous(record):
        return None
    return Copy(storage.path, storage.begin + record.offset, item.out.nbytes)


def _as_bits(record: TensorRecord) -> TensorRecord:
    """The record with elements of as many bits that have no meaning."""
    return record._replace(dtype=_BIT_TYPES.get(BITS[record.dtype], record.dtype))


def _blocks(record: TensorRecord, view: Array, index: tuple[slice | int, ...]) -> Iterator[Array]:
    """A mapped tensor in row-major order, a few rows at a time; each time only what is needed is mapped."""
    import numpy as np

    from paraminspect.values.mapped import map_tensor

    if view.nbytes <= PIECE_BYTES or not view.ndim:
        yield np.ascontiguousarray(view)
        return
    row = view.nbytes // view.shape[0]
    if row > PIECE_BYTES:
        for at in range(view.shape[0]):
            yield from _blocks(record, view[at], (*index, at))
        return
    for begin in range(0, view.shape[0], PIECE_BYTES // row):
        part = (*index, slice(begin, begin + PIECE_BYTES // row))
        mapped = map_tensor(record)
        assert mapped is not None
        yield np.ascontiguousarray(mapped[part])


def _bytes_of(array: Array) -> memoryview:
    import numpy as np

    flat: Array = array.reshape(-1)
    return flat.view(np.uint8).data
