"""`torch.save` of torch 0.1.1 and earlier: a tar archive of three members.

    storages   a pickle: their number; for each a pickle (key, location, type), int64 numel, the raw bytes; then a
               pickle: the list of views (key, root key, offset in elements, size)
    tensors    a pickle: their number; for each a pickle (key, storage key, type), int32 ndim, 4 bytes of padding
               (little-endian numbers throughout), ndim x int64 sizes, ndim x int64 strides, int64 storage offset
    pickle     the object; its persistent ids are the tensors' keys, as integers, and for classes of modules
               (class, source file, source text)

The members are found by reading the tar headers; nothing is extracted, links are not followed.

Source: `torch.serialization._legacy_load.legacy_load`.
"""

from __future__ import annotations

import struct
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.inert import StorageRef, StorageType, TensorValue
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.objects import GlobalTable, strided_tensor
from paraminspect.formats.pytorch.walk import name_tensors
from paraminspect.formats.shapes import MAX_DIMENSIONS, MAX_NUMEL
from paraminspect.formats.tar_file import content_of, expect_end, list_members
from paraminspect.records import Checkpoint, Storage

_MEMBERS: Final = ("storages", "tensors", "pickle")

MAX_COUNT = 10_000
"""Storages, or tensors, of one file; each has a pickle of its own."""

MAX_SMALL_PICKLE = 1024
"""Bytes of each of those."""


def read_torch_tar(blob: Blob) -> Checkpoint:
    """Tensors of a tar that torch wrote.

    Raises:
        UnknownFormatError: A tar, but not of torch.
        TruncatedError: It ends before what torch wrote.
    """
    members = _members(blob)
    missing = [name for name in _MEMBERS if name not in members]
    if missing:
        expect_end(blob, f"its member {missing[0]!r}")
        raise UnknownFormatError(f"a tar archive without the member {missing[0]!r} that torch wrote")
    return _TarReader(members).read()


def is_torch_tar(blob: Blob) -> bool:
    """Whether a tar has a member that torch wrote."""
    return not {member.path for member in list_members(blob)}.isdisjoint(_MEMBERS)


def _members(blob: Blob) -> dict[str, Blob]:
    """Regular members by name; links and paths that lead elsewhere are left out."""
    return {each.path: content_of(blob, each) for each in list_members(blob) if each.is_file}


class _TarReader:
    def __init__(self, members: dict[str, Blob]) -> None:
        self._members = members
        self._table = GlobalTable()
        self._storages: dict[str, StorageRef] = {}
        self._records: dict[str, Storage] = {}
        self._tensors: dict[str, TensorValue] = {}

    def read(self) -> Checkpoint:
        self._read_storages(self._members["storages"])
        self._read_tensors(self._members["tensors"])
        machine = PickleMachine(self._members["pickle"], self._table.find, self._tensor)
        tensors = name_tensors(machine.load(), lambda reference: self._records[reference.key])
        stored = sum(storage.nbytes for storage in self._records.values())
        return Checkpoint("torch tar", tensors, {}, tuple(note_calls(self._table.foreign)), stored=stored)

    def _small_pickle(self, blob: Blob, position: int) -> tuple[object, int]:
        part = blob.part(position, min(MAX_SMALL_PICKLE, blob.size - position))
        machine = PickleMachine(part, self._table.find)
        return machine.load(), position + machine.position

    def _count(self, blob: Blob) -> tuple[int, int]:
        count, position = self._small_pickle(blob, 0)
        if type(count) is not int or count < 0:
            raise MalformedError("a member of the tar does not begin with a count")
        if count > MAX_COUNT:
            raise LimitExceededError("storages or tensors in a tar", limit=MAX_COUNT, actual=count)
        return count, position

    def _triple(self, blob: Blob, position: int) -> tuple[tuple[str, object, object], int]:
        value, position = self._small_pickle(blob, position)
        if not isinstance(value, tuple) or len(value) != 3:
            raise MalformedError("a member of the tar holds no (key, .., type)")
        return (_key(value[0]), *value[1:]), position

    def _read_storages(self, blob: Blob) -> None:
        count, position = self._count(blob)
        for _ in range(count):
            (key, _, kind), position = self._triple(blob, position)
            if not isinstance(kind, StorageType):
                raise MalformedError("a storage of a type that is none of torch's")
            dtype = kind.dtype
            numel = int.from_bytes(blob.read(position, 8), "little", signed=True)
            if not 0 <= numel <= MAX_NUMEL:
                raise MalformedError(f"a storage of {numel:,} elements")
            nbytes = numel * kind.itemsize
            data = blob.part(position + 8, nbytes)
            self._storages[key] = StorageRef(key, dtype, nbytes)
            self._records[key] = Storage(key, nbytes, blob.path, data.begin)
            position += 8 + nbytes
        views = PickleMachine(blob, self._table.find, begin=position).load()
        for view in views if isinstance(views, list | tuple) else ():
            self._add_view(view)

    def _add_view(self, view: object) -> None:
        if not (isinstance(view, tuple) and len(view) == 4):
            raise MalformedError("a storage view of the tar is no (key, root, offset, size)")
        key, root_key, offset, size = view
        root = self._storages.get(_key(root_key))
        if root is None or type(offset) is not int or type(size) is not int or offset < 0 or size < 0:
            raise MalformedError("a storage view of the tar names no storage")
        itemsize = BITS[root.dtype] // 8
        if (offset + size) * itemsize > root.nbytes:
            raise MalformedError("a storage view of the tar reaches past its storage")
        begin = root.offset + offset * itemsize  # the root may be a view itself
        self._storages[_key(key)] = StorageRef(root.key, root.dtype, size * itemsize, begin)

    def _read_tensors(self, blob: Blob) -> None:
        count, position = self._count(blob)
        for _ in range(count):
            (key, storage_key, _), position = self._triple(blob, position)
            ndim = struct.unpack("<i", blob.read(position, 4))[0]
            if not 0 <= ndim <= MAX_DIMENSIONS:
                raise MalformedError(f"a tensor of {ndim} dimensions")
            numbers = struct.unpack(f"<{2 * ndim + 1}q", blob.read(position + 8, 8 * (2 * ndim + 1)))
            position += 8 + 8 * (2 * ndim + 1)
            storage = self._storages.get(_key(storage_key))
            size, stride, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
            self._tensors[key] = strided_tensor(storage, offset, size, stride)

    def _tensor(self, pid: object) -> object:
        """A persistent id of the object: the key of a tensor, or a class with its source."""
        if isinstance(pid, tuple) and pid:
            return pid[0]
        found = self._tensors.get(_key(pid))
        if found is None:
            raise MalformedError("a persistent id names no tensor of the tar")
        return found


def _key(value: object) -> str:
    """A key as text: torch took `5` and `"5"` for the same."""
    if not isinstance(value, int | str):
        raise MalformedError("a key in the tar is neither number nor text")
    return str(value)
