"""Bytes as they are: ranges of files, and members of zip archives that are inflated as they are read.

The part of the reader of values that needs no numpy. No file is mapped: one that becomes shorter is an error, not the
end of the process.
"""

from __future__ import annotations

import codecs
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from paraminspect.errors import ChangedError, CheckpointError, FarError, LimitExceededError, SourceError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.reasons import reason_of
from paraminspect.formats.dtypes import PACKED
from paraminspect.formats.packed import find_model
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.formats.zip_file import ZipDirectory, ZipEntry, read_zip_directory
from paraminspect.records import Folded, Storage, TensorRecord
from paraminspect.tuples import NamedTuple

MAX_OPEN: Final = 64
"""Files that are kept open; a checkpoint may have thousands of shards."""

TEXT_CHUNK: Final = 1 << 20
"""Bytes of text that are read at a time."""

MAX_RESTARTS: Final = 64
"""How often one member may be inflated anew from its beginning, because a tensor asks for what has gone by."""


QUANTISED: Final = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
"""What the integers of torch's quantised types are stored as."""

DEQUANTISED: Final = "float32"
"""What blocks and scaled integers stand for."""

_UNPACKED: Final = {"int4": "int8", "int2": "int8", "uint4": "uint8", "uint2": "uint8"}
"""What integers of fewer than eight bits become, several of which lie in one byte."""


class Run(NamedTuple):
    """Bytes that lie one after another in a file.

    Attributes:
        path: The file; None for standard input.
        begin: Of the first byte.
        nbytes: How many.
    """

    path: str | None
    begin: int
    nbytes: int


def find_bytes(record: TensorRecord) -> Run | None:
    """Where a tensor's bytes lie as they are: elements row by row, or blocks; None where they must be made of others."""
    storage = record.storage
    if storage is None or storage.begin is None or record.encoding is not None or record.nbytes is None:
        return None
    if record.layout not in ("strided", "gguf", "packed") or record.dtype in QUANTISED or record.dtype in PACKED:
        return None
    return Run(storage.path, storage.begin + record.offset, record.nbytes) if is_contiguous(record) else None


def as_bytes(record: TensorRecord) -> TensorRecord | None:
    """The record as so many bytes, which may be compared where they cannot be decoded; None if they lie otherwise."""
    if find_bytes(record) is None or record.nbytes is None:
        return None
    size = record.nbytes
    return record._replace(shape=(size,), dtype="uint8", numel=size, layout="strided", stride=None)


def is_contiguous(record: TensorRecord) -> bool:
    """Whether its elements lie one after another, row by row."""
    return record.stride is None or _steps(record) == _steps(record._replace(stride=None))


def has_repeats(record: TensorRecord) -> bool:
    """Whether some of its elements are the same bytes, so that a few bytes may make a tensor of any size."""
    if record.stride is None or record.shape is None or not record.numel:
        return False
    last = sum((size - 1) * step for size, step in zip(record.shape, record.stride, strict=True))
    return last + 1 < record.numel


def is_same_tensor(one: TensorRecord, other: TensorRecord) -> bool:
    """Whether two records of the same bytes see the same numbers in the same places."""
    return one.form == other.form or (
        one._replace(stride=None).form == other._replace(stride=None).form and _steps(one) == _steps(other)
    )


def _steps(record: TensorRecord) -> list[int]:
    """Its strides, but those of dimensions that have one index."""
    shape = record.shape or ()
    stride = contiguous_stride(shape) if record.stride is None else record.stride
    return [step for size, step in zip(shape, stride, strict=True) if size > 1]


def plain_dtype(record: TensorRecord) -> str:
    """The type in which a file of plain elements holds a tensor: its own, but for integers that stand for others."""
    if record.layout == "packed" and record.dtype in _UNPACKED:
        return _UNPACKED[record.dtype]
    is_coded = record.layout in ("gguf", "packed") or record.dtype in QUANTISED or record.dtype in PACKED
    return DEQUANTISED if is_coded else record.dtype


def find_flips(record: TensorRecord) -> tuple[bool, bool]:
    """Whether values are those of the bytes with the other sign, and whether with that of their imaginary parts.

    What is written in the place of such bytes has to be turned in the same way.
    """
    encoding = record.encoding
    return (False, False) if encoding is None else (encoding.negated, encoding.conjugated)


class ByteSource(Protocol):
    """The bytes of one storage."""

    def read(self, begin: int, length: int) -> bytes:
        """Exactly so many bytes from `begin` of the storage.

        Raises:
            TruncatedError: The file ends before.
        """


class Located(NamedTuple):
    """A storage's bytes and the order of those of one element.

    Attributes:
        source: Of the bytes.
        order: "<" or ">".
    """

    source: ByteSource
    order: str


class FileBytes:
    """A range of a file.

    Args:
        blob: The file.
        begin: Of the range.
        nbytes: Of it: nothing behind is fetched from a server in advance.
    """

    def __init__(self, blob: Blob, begin: int, nbytes: int) -> None:
        is_inside = blob.is_far and begin + nbytes <= blob.size
        self._blob = blob.part(begin, nbytes) if is_inside else blob
        self._begin = 0 if is_inside else begin

    def read(self, begin: int, length: int) -> bytes:
        """See `ByteSource`."""
        return self._blob.read(self._begin + begin, length)


class StreamedBytes:
    """Bytes that are made front to back; a step back begins anew. For one thread.

    Args:
        name: What holds them.
        size: Of all that is made, in bytes; None where it ends by itself.
        stream: Begins to make them.
        skip: Bytes before those of the storage.
    """

    def __init__(self, name: str, size: int | None, stream: Callable[[], Iterator[bytes]], skip: int = 0) -> None:
        self._name = name[:80]
        self._size = size
        self._stream = stream
        self._skip = skip
        self._restarts = -1
        self._position = 1 << 62
        self._kept = b""

    def read(self, begin: int, length: int) -> bytes:
        """See `ByteSource`.

        Raises:
            MalformedError: There are fewer than declared, or they are damaged.
            LimitExceededError: They were begun anew too often.
        """
        begin += self._skip
        if begin < self._position:
            self._restart()
        parts: list[bytes] = []
        missing = length
        while missing:
            if begin >= self._position + len(self._kept):
                self._position += len(self._kept)
                self._kept = next(self._pieces, b"")
                if not self._kept:
                    raise CheckpointError(f"{self._name!r} ends before its tensors do")
                continue
            at = begin - self._position
            part = self._kept[at : at + missing]
            parts.append(part)
            begin += len(part)
            missing -= len(part)
        if self._size is not None and self._position + len(self._kept) >= self._size:
            next(self._pieces, b"")  # behind the last byte its CRC is checked
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise LimitExceededError(
                f"passes over {self._name!r}", limit=MAX_RESTARTS, actual=None, hint="save it uncompressed"
            )
        self._pieces = self._stream()
        self._position = 0
        self._kept = b""


def _inflated(directory: ZipDirectory, entry: ZipEntry, skip: int = 0) -> StreamedBytes:
    """A compressed member."""
    return StreamedBytes(entry.name, entry.size, lambda: directory.stream(entry), skip)


def _unfolded(blob: Blob, folded: Folded) -> StreamedBytes:
    """Bytes that are UTF-8 text."""

    def stream() -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for at in range(0, folded.nbytes, TEXT_CHUNK):
                text = decoder.decode(blob.read(folded.begin + at, min(TEXT_CHUNK, folded.nbytes - at)))
                if text:
                    yield text.encode("latin-1")
        except UnicodeError:
            raise CheckpointError("its values lie inside a pickle as text, which is no text of bytes") from None

    return StreamedBytes("the text of a pickle", None, stream, folded.skip)


class KeptBytes(NamedTuple):
    """Bytes in memory."""

    data: bytes

    def read(self, begin: int, length: int) -> bytes:
        """See `ByteSource`."""
        return self.data[begin : begin + length]


class Files:
    """The files of a checkpoint, opened when they are needed. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: OrderedDict[str | None, Blob] = OrderedDict()
        self._directories: dict[str | None, ZipDirectory] = {}
        self._members: dict[str | None, dict[str, ZipEntry]] = {}

    def blob(self, path: str | None) -> Blob:
        """The bytes of a file; None is standard input.

        Raises:
            CheckpointError: It cannot be opened any more.
        """
        with self._lock:
            blob = self._blobs.get(path)
            if blob is None:
                blob = self._blobs[path] = open_again(path)
            self._blobs.move_to_end(path)
            if len(self._blobs) > MAX_OPEN:
                self._blobs.popitem(last=False)  # closed when its last reader is gone
            return blob

    def directory(self, path: str | None) -> ZipDirectory:
        """The directory of a zip archive."""
        found = self._directories.get(path)
        if found is None:
            found = self._directories[path] = read_zip_directory(find_model(self.blob(path)))
        return found

    def locate(self, storage: Storage) -> Located:
        """The bytes of a storage.

        Raises:
            CheckpointError: They do not lie in a file as they are, nor in a compressed member of a zip.
        """
        if isinstance(storage.kept, bytes):
            return Located(KeptBytes(storage.kept), "<")
        if storage.kept is not None:
            return Located(_unfolded(self.blob(storage.path), storage.kept), ">" if storage.kept.is_swapped else "<")
        begin = storage.swapped_begin if storage.begin is None else storage.begin
        if begin is not None:
            blob = self.blob(storage.path)
            return Located(FileBytes(blob, begin, storage.nbytes), "<" if storage.begin is not None else ">")
        if storage.path not in self._directories and find_model(self.blob(storage.path)).read_up_to(0, 2) != b"PK":
            raise CheckpointError(
                "its values lie inside a pickle as text",
                hint="save it again with torch.save or safetensors",
            )
        directory = self.directory(storage.path)
        entry = self._member(directory, storage)
        if entry.name.endswith(".npy"):
            from paraminspect.formats.numpy_arrays import find_elements

            skip, swapped = find_elements(directory, entry)
            return Located(_inflated(directory, entry, skip), ">" if swapped else "<")
        return Located(_inflated(directory, entry), _order(directory, entry))

    def _member(self, directory: ZipDirectory, storage: Storage) -> ZipEntry:
        members = self._members.get(storage.path)
        if members is None:
            members = self._members[storage.path] = _by_key(directory)
        if storage.key not in members:
            raise CheckpointError(f"the zip holds no storage {storage.key[:80]!r}")
        return members[storage.key]


def _by_key(directory: ZipDirectory) -> dict[str, ZipEntry]:
    """Members by the key of the storage they hold: ROOT/data/KEY in a torch zip, the whole name in an npz."""
    members = dict(directory.entries)
    for name, entry in directory.entries.items():
        _, data, key = name.partition("/data/")
        if data:
            members[key] = entry
    return members


def _order(directory: ZipDirectory, entry: ZipEntry) -> str:
    record = directory.entries.get(f"{entry.name.partition('/')[0]}/byteorder")
    return ">" if record is not None and record.size <= 64 and directory.read(record).strip() == b"big" else "<"


def open_again(path: str | None) -> Blob:
    """The bytes of a file that was read before; None is standard input.

    Raises:
        CheckpointError: It cannot be opened any more, or came through a pipe.
        FarError: Its server does not give it any more.
    """
    try:
        return open_blob(path)
    except OSError as error:
        raise CheckpointError(f"cannot be opened any more: {reason_of(error)}") from None
    except (ChangedError, FarError):
        raise
    except SourceError:
        raise CheckpointError("values cannot be read from a pipe", hint="write it to a file first") from None
