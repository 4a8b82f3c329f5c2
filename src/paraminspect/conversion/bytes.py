"""The bytes of each tensor that is written: copied from file to file as they are, or computed a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from paraminspect.conversion.plan import Item
from paraminspect.engines.pool import Here, Pool, kept
from paraminspect.errors import CheckpointError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.limits import EffortError
from paraminspect.records import TensorRecord
from paraminspect.tuples import NamedTuple
from paraminspect.values.parts import Part, cut
from paraminspect.values.stored_bytes import Files, find_bytes
from paraminspect.writers.copying import KERNEL_CHUNK, open_regular, read_chunks
from paraminspect.writers.layout import Copy, Layout
from paraminspect.writers.sink import Sink

if TYPE_CHECKING:  # numpy, which bytes that are copied do not need
    import numpy as np

    from paraminspect.values.decode import Numbers

    Array = np.ndarray[Any, Any]

Open = Callable[[TensorRecord], "Numbers"]
Advance = Callable[[int], None]

HERE_BYTES: Final = 2 << 20
"""Of a part whose elements a thread computes: a few of them wait for their turn."""

SENT_BYTES: Final = 32 << 20
"""Of one that another process computes, and sends."""

PIECE: Final = 1 << 20
"""Numbers that are in memory at a time."""


class Step(NamedTuple):
    """What makes the elements of a tensor.

    Attributes:
        record: That is read.
        dtype: In which its numbers are written.
        before: Of the tensor in its file.
    """

    record: TensorRecord
    dtype: str
    before: str


class Contents:
    """Gives the bytes of tensors.

    Args:
        open_numbers: What reads the numbers of a record.
        is_stored: Whether records are of files; those of a live model have no bytes to be copied.

    Attributes:
        open_numbers: The same.
        lost: By the name of a tensor that another type was too narrow for: how many of its numbers were too large for
            it, and how many became zero.
    """

    def __init__(self, open_numbers: Open, *, is_stored: bool = True) -> None:
        self.open_numbers = open_numbers
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
        step = self.step(item)
        numbers = self.open_numbers(step.record)
        if numbers.numel != item.out.numel:
            raise CheckpointError(f"it holds {numbers.numel:,} numbers, not {item.out.numel:,}")
        over = under = 0
        for written, (large, small) in compute(numbers, step):
            over, under = over + large, under + small
            yield written
        self.lose(item, over, under)

    def step(self, item: Item) -> Step:
        """What makes the elements of a tensor."""
        from paraminspect.values.read import as_bits

        record, dtype = item.record, item.out.dtype
        if item.is_kept and self._is_stored:
            record = as_bits(record)
            dtype = record.dtype
        return Step(record, dtype, item.record.dtype)

    def lose(self, item: Item, over: int, under: int) -> None:
        """So many numbers are too large for the type of a tensor, and so many too small."""
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


def compute(numbers: Numbers, step: Step) -> Iterator[tuple[Array, tuple[int, int]]]:
    """The elements of a tensor in the type in which they are written, a piece at a time, and how many were lost."""
    from paraminspect.values.cast import cast, count_lost, is_narrower

    narrows = is_narrower(step.dtype, step.before)
    for begin in range(0, numbers.numel, PIECE):
        piece = numbers.read(begin, min(begin + PIECE, numbers.numel))
        written = cast(piece, step.dtype)
        yield written, count_lost(piece, written, step.dtype) if narrows else (0, 0)


def write_all(
    items: tuple[Item, ...],
    layout: Layout,
    contents: Contents,
    sink: Sink,
    advance: Advance,
    *,
    pool: Pool | None = None,
) -> None:
    """Write every tensor, in the order in which they lie in the files.

    Args:
        pool: Who computes elements of another type; None for this thread.

    Raises:
        ParamInspectError: As `Contents.write`.
    """
    try:
        if pool is None or isinstance(pool, Here):
            for index in layout.order:
                contents.write(items[index], index, sink, advance)
        else:
            _write_shared(items, layout, contents, sink, advance=advance, pool=pool)
    finally:
        contents.close()


def _write_shared(
    items: tuple[Item, ...], layout: Layout, contents: Contents, sink: Sink, *, advance: Advance, pool: Pool
) -> None:
    """The same, where others compute what can be computed in small parts."""
    most, order = HERE_BYTES if pool.is_here else SENT_BYTES, layout.order
    steps = {index: contents.step(items[index]) for index in order if find_copy(items[index]) is None}
    parts: list[Part] = []
    for index, step in steps.items():
        parts += [each for each in cut(index, 0, [step.record], most) if items[index].out.nbytes]
    # what cannot be cut is too large to be held by whoever waits for its turn
    parts = [part for part in parts if not part.is_whole or max(part.nbytes, items[part.group].out.nbytes) <= most]
    shared = {part.group for part in parts}
    tasks = [Piece(part, steps[part.group].dtype, steps[part.group].before) for part in parts]
    work = partial(compute_piece, open_=contents.open_numbers) if pool.is_here else compute_piece
    with closing(pool.run(work, tasks, lambda task: task.part.nbytes, errors=_errors_of, in_order=True)) as results:
        for index in order:
            if index not in shared:
                contents.write(items[index], index, sink, advance)
                continue
            begin = over = under = 0
            while begin < items[index].out.nbytes:
                _, made = next(results)
                if isinstance(made, ParamInspectError):
                    made.message = f"{items[index].record.name or 'the tensor'}: {made.message}"
                    raise made
                data, (large, small) = made
                over, under = over + large, under + small
                sink.put(index, begin, data)
                begin += len(data)
                advance(len(data))
            contents.lose(items[index], over, under)


class Piece(NamedTuple):
    """A part of a tensor whose elements are computed.

    Attributes:
        dtype: In which they are written.
        before: Of the tensor in its file.
    """

    part: Part
    dtype: str
    before: str


def compute_piece(
    piece: Piece, advance: Advance, open_: Open | None = None
) -> tuple[bytes, tuple[int, int]] | ParamInspectError:
    """The bytes of the elements of a part, and how many were too large, and too small, for their type.

    Args:
        open_: What reads the numbers of a record; None for one in a file.
    """
    from paraminspect.values.read import open_numbers

    (record,) = piece.part.records
    try:
        numbers = open_(record) if open_ is not None else open_numbers(record, kept(Files))
        if numbers.numel != record.numel:
            raise CheckpointError(f"it holds {numbers.numel:,} numbers, not {record.numel:,}")
        made = list(compute(numbers, Step(record, piece.dtype, piece.before)))
    except EffortError:
        raise
    except ParamInspectError as error:
        return error.with_traceback(None)
    over, under = (sum(lost[at] for _, lost in made) for at in (0, 1))
    return b"".join(_bytes_of(array) for array, _ in made), (over, under)


def _errors_of(made: tuple[bytes, tuple[int, int]] | ParamInspectError) -> tuple[ParamInspectError, ...]:
    return (made,) if isinstance(made, ParamInspectError) else ()


def find_copy(item: Item) -> Copy | None:
    """Where the bytes of a tensor lie just as they are written; None where they do not."""
    found = find_bytes(item.record) if item.is_kept and item.out.nbytes else None
    return None if found is None else Copy(*found)


def _bytes_of(array: Array) -> memoryview:
    import numpy as np

    flat: Array = array.reshape(-1)
    return flat.view(np.uint8).data
