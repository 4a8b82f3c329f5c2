"""Bytes of storages: ranges of files, and members of zip archives that are inflated as they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

from paraminspect.errors import CheckpointError, FarError, LimitExceededError, SourceError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.reasons import reason_of
from paraminspect.formats.zip_file import ZipDirectory, ZipEntry, read_zip_directory
from paraminspect.records import Storage

MAX_OPEN: Final = 64
"""Files that are kept open; a checkpoint may have thousands of shards."""

MAX_RESTARTS: Final = 64
"""How often one member may be inflated anew from its beginning, because a tensor asks for what has gone by."""


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


class InflatedBytes:
    """A compressed member, inflated front to back; a step back begins anew. For one thread.

    Args:
        directory: Of the archive.
        entry: The member.
        skip: Bytes before those of the storage.
    """

    def __init__(self, directory: ZipDirectory, entry: ZipEntry, skip: int = 0) -> None:
        self._directory = directory
        self._entry = entry
        self._skip = skip
        self._restarts = -1
        self._position = 1 << 62
        self._kept = b""

    def read(self, begin: int, length: int) -> bytes:
        """See `ByteSource`.

        Raises:
            MalformedError: The member holds less than it declares, or is damaged.
            LimitExceededError: It was begun anew too often.
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
                    raise CheckpointError(f"{self._entry.name[:80]!r} ends before its tensors do")
                continue
            at = begin - self._position
            part = self._kept[at : at + missing]
            parts.append(part)
            begin += len(part)
            missing -= len(part)
        if self._position + len(self._kept) >= self._entry.size:
            next(self._pieces, b"")  # behind the last byte its CRC is checked
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _restart(self) -> None:
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise LimitExceededError(
                f"passes over {self._entry.name[:80]!r}", limit=MAX_RESTARTS, actual=None, hint="save it uncompressed"
            )
        self._pieces = self._directory.stream(self._entry)
        self._position = 0
        self._kept = b""


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
            found = self._directories[path] = read_zip_directory(self.blob(path))
        return found

    def locate(self, storage: Storage) -> Located:
        """The bytes of a storage.

        Raises:
            CheckpointError: They do not lie in a file as they are, nor in a compressed member of a zip.
        """
        begin = storage.swapped_begin if storage.begin is None else storage.begin
        if begin is not None:
            blob = self.blob(storage.path)
            return Located(FileBytes(blob, begin, storage.nbytes), "<" if storage.begin is not None else ">")
        if not self.blob(storage.path).read_up_to(0, 2) == b"PK":
            raise CheckpointError(
                "its values lie inside a pickle as text",
                hint="save it again with torch.save or safetensors",
            )
        directory = self.directory(storage.path)
        entry = self._member(directory, storage)
        if entry.name.endswith(".npy"):
            from paraminspect.formats.numpy_arrays import find_elements

            skip, swapped = find_elements(directory, entry)
            return Located(InflatedBytes(directory, entry, skip), ">" if swapped else "<")
        return Located(InflatedBytes(directory, entry), _order(directory, entry))

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
    except FarError:
        raise
    except SourceError:
        raise CheckpointError("values cannot be read from a pipe", hint="write it to a file first") from None
