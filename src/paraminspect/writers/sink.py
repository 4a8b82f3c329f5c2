"""Where values go: into their place in files, or one after another into a stream."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Condition, Event, Lock, Thread
from typing import TYPE_CHECKING, Final

from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.files.storing import allocate, lies_in_memory, write_all
from paraminspect.writers.copying import (
    CHUNK,
    Sources,
    copy_to_file,
    copy_to_stream,
    read_at,
    read_chunks,
    write_at,
)
from paraminspect.writers.destination import explained
from paraminspect.writers.direct import DirectWriter
from paraminspect.writers.layout import Copy, Layout, Segment

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

RESERVED_BYTES: Final = 32 << 20
"""That are reserved at a time, while nobody else can write into the file."""


class Sink(ABC):
    """Takes the values of a layout's tensors.

    Args:
        path: As the user typed it, for errors.

    Attributes:
        remarks: What is to be said of the output when it is there.
        folder: Where the files lie while they are written, of a new folder; "" of anything else.
    """

    def __init__(self, layout: Layout, path: str) -> None:
        self.remarks: list[str] = []
        self.folder = ""
        self._layout = layout
        self._path = path
        self._done = [0] * len(layout.slots)
        checksums = [checksum for file in layout.files for checksum in file.checksums]
        self._crcs = {checksum.tensor: checksum.seed for checksum in checksums if checksum.tensor is not None}
        self._gate = _Gate()
        self._counting = Lock()

    def put(self, index: int, begin: int, data: ReadableBuffer) -> None:
        """Take bytes of one tensor.

        Chunks of one tensor come in ascending order and without holes, unless it takes any order; different tensors may come from different
        threads at one time (into a stream: in the order of `Layout.order`).

        Args:
            index: Of the tensor, as it was given to the plan.
            begin: Of the bytes in the tensor.
            data: Contiguous, row-major, little-endian; it may be changed once this returns.

        Raises:
            TargetError: The output cannot be written.
            BrokenPipeError: Nobody reads the stream any more.
            ValueError: Bytes out of turn, or past the end of the tensor.
        """
        view = memoryview(data)
        if not view.nbytes:
            return
        view = view.cast("B")
        with self._gate.passing():
            slot = self._layout.slots[index]
            in_turn = begin == self._done[index] or self.takes_any_order(index)
            if not in_turn or max(begin, self._done[index]) + len(view) > slot.nbytes:
                raise ValueError(
                    f"bytes {begin:,} to {begin + len(view):,} of tensor {index}, "
                    f"of whose {slot.nbytes:,} bytes {self._done[index]:,} have come"
                )
            if index in self._crcs:
                self._crcs[index] = zlib.crc32(view, self._crcs[index])
            with explained(self._path):
                self._write(index, begin, view)
            with self._counting:
                self._done[index] += len(view)

    def takes_any_order(self, index: int) -> bool:
        """Whether the bytes of that tensor may come in any order, from several threads."""
        return False

    @contextmanager
    def reserving(self) -> Iterator[None]:
        """While the body runs, before the first bytes come, get as much room ready as is found meanwhile."""
        yield

    def copy(self, index: int, begin: int, content: Copy, source: Blob) -> None:
        """Take bytes of one tensor from a file, as `put` takes them from memory.

        Args:
            begin: Of the bytes in the tensor.

        Raises:
            TruncatedError: It has become shorter.
            TargetError: As `put`, and what else `put` raises.
        """
        for data in read_chunks(source, content):
            self.put(index, begin, data)
            begin += len(data)

    def leave_to_others(self, indices: Iterable[int]) -> None:
        """Expect no bytes of these tensors: another process writes them into the files."""
        for index in indices:
            self._done[index] = self._layout.slots[index].nbytes

    @abstractmethod
    def _write(self, index: int, begin: int, view: memoryview) -> None:
        """Bring the bytes where they belong."""

    def check_complete(self) -> None:
        """Raise a `ValueError` if bytes of a tensor have not come."""
        for index, (done, slot) in enumerate(zip(self._done, self._layout.slots, strict=True)):
            if done != slot.nbytes:
                raise ValueError(f"of tensor {index} {done:,} of {slot.nbytes:,} bytes were put")

    def close(self, *, wait: bool = True) -> bool:
        """Let no more bytes in.

        Args:
            wait: Until those that are on their way have arrived.

        Returns:
            Whether none are on their way, so that descriptors can be closed.
        """
        return self._gate.close(wait=wait)


class FileSink(Sink):
    """Writes into files, wherever in them; see `Sink`.

    Args:
        path: As the user typed it.
        open_file: Gives the descriptor of a file by its index in the layout, for as long as it is needed.
    """

    def __init__(self, layout: Layout, path: str, open_file: Callable[[int], AbstractContextManager[int]]) -> None:
        super().__init__(layout, path)
        self._open_file = open_file
        self._writer = DirectWriter(layout.nbytes)

    def takes_any_order(self, index: int) -> bool:
        """All but those that are summed up."""
        return index not in self._crcs

    def _write(self, index: int, begin: int, view: memoryview) -> None:
        slot = self._layout.slots[index]
        with self._open_file(slot.file) as fd:
            self._writer.write(fd, view, slot.offset + begin)

    def copy(self, index: int, begin: int, content: Copy, source: Blob) -> None:
        """As `Sink.copy`: by the kernel, where nothing is to be summed up."""
        slot = self._layout.slots[index]
        if index in self._crcs or begin != self._done[index] or begin + content.nbytes > slot.nbytes:
            super().copy(index, begin, content, source)
            return
        with self._gate.passing(), explained(self._path), self._open_file(slot.file) as fd:
            self._writer.copy(fd, content, source, slot.offset + begin)
        self._done[index] += content.nbytes

    @contextmanager
    def reserving(self) -> Iterator[None]:
        """As `Sink.reserving`: of a file in memory, each of whose pages the system has to find, by another thread."""
        done = Event()
        thread = Thread(target=self._reserve, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _reserve(self, done: Event) -> None:
        with suppress(OSError, ParamInspectError):  # whoever writes there will say it
            for file, layout in enumerate(self._layout.files):
                for begin in range(0, layout.nbytes, RESERVED_BYTES):
                    with self._gate.passing(), self._open_file(file) as fd:
                        if done.is_set() or not lies_in_memory(fd):
                            return
                        allocate(fd, begin, min(RESERVED_BYTES, layout.nbytes - begin))

    def write_pieces(self, file: int, sources: Sources) -> None:
        """Write all that is known beforehand of one file."""
        with self._open_file(file) as fd:
            for piece in self._layout.files[file].pieces:
                if isinstance(piece.content, Copy):
                    copy_to_file(piece.content, sources, fd, piece.offset)
                else:
                    write_at(fd, piece.content, piece.offset)

    def write_checksums(self, file: int) -> None:
        """Write what is known only now of one file."""
        checksums = self._layout.files[file].checksums
        if not checksums:
            return
        with self._open_file(file) as fd:
            for checksum in checksums:
                if checksum.tensor is not None:
                    crc = self._crcs[checksum.tensor]
                else:
                    crc = _read_crc(fd, checksum.begin, checksum.nbytes)
                for place in checksum.places:
                    write_at(fd, crc.to_bytes(4, "little"), place)


class StreamSink(Sink):
    """Writes into a descriptor from where it stands, front to back; see `Sink`.

    Args:
        layout: Of one file, sequential.
        path: As the user typed it.
        sources: What pieces are copied from.
    """

    def __init__(self, layout: Layout, path: str, fd: int, sources: Sources) -> None:
        super().__init__(layout, path)
        self._fd = fd
        self._sources = sources
        self._segments = layout.segments(0)
        self._next = 0  # the segment that comes next, or whose tensor is being written
        self._lock = Lock()
        self._places = sorted(
            (place, checksum.tensor)
            for checksum in layout.files[0].checksums
            for place in checksum.places
            if checksum.tensor is not None
        )
        self._next_place = 0

    def _write(self, index: int, begin: int, view: memoryview) -> None:
        with self._lock:
            self._write_pieces()
            due = self._segments[self._next].tensor if self._next < len(self._segments) else None
            if due != index:
                raise ValueError(f"tensor {index} comes before tensor {due} in a stream")
            write_all(self._fd, view)
            if begin + len(view) == self._layout.slots[index].nbytes:
                self._next += 1

    def finish(self) -> None:
        """Write what follows the last tensor."""
        with self._lock:
            self._write_pieces()

    def _write_pieces(self) -> None:
        """Write all that stands before the next tensor."""
        while self._next < len(self._segments):
            segment = self._segments[self._next]
            if segment.piece is None:
                return
            if isinstance(segment.piece.content, Copy):
                copy_to_stream(segment.piece.content, self._sources, self._fd)
            else:
                write_all(self._fd, self._with_checksums(segment, segment.piece.content))
            self._next += 1

    def _with_checksums(self, segment: Segment, content: bytes) -> bytes:
        """The bytes of a piece, with the checksums of tensors that have gone by."""
        end = segment.offset + len(content)
        filled: bytearray | None = None
        while self._next_place < len(self._places) and self._places[self._next_place][0] < end:
            place, index = self._places[self._next_place]
            filled = bytearray(content) if filled is None else filled
            at = place - segment.offset
            filled[at : at + 4] = self._crcs[index].to_bytes(4, "little")
            self._next_place += 1
        return content if filled is None else bytes(filled)


class _Gate:
    """Counts those who write, so that no descriptor is closed under them and given to another file."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside = 0
        self._is_closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._condition:
            if self._is_closed:
                raise ParamInspectError("the output was given up")
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def close(self, *, wait: bool) -> bool:
        self._is_closed = True  # before the lock, which threads that write small pieces may keep from us for long
        with self._condition:
            while wait and self._inside:
                self._condition.wait()
            return not self._inside


def _read_crc(fd: int, begin: int, nbytes: int) -> int:
    crc = 0
    while nbytes:
        data = read_at(fd, min(nbytes, CHUNK), begin)
        crc = zlib.crc32(data, crc)
        begin, nbytes = begin + len(data), nbytes - len(data)
    return crc
