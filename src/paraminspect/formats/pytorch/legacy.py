"""`torch.save` before torch 1.6 (and since, with `_use_new_zipfile_serialization=False`): pickles, then raw bytes.

Five pickles one after another: the magic number 0x1950a86a20f9469cfc6c, the protocol version 1001, a dictionary about
the system (`little_endian`), the object, and the sorted list of storage keys. Then, for each key of that list, an
int64 number of elements and the raw bytes of the storage, unaligned, little-endian whatever the system says.
Persistent ids have six items, the last None or the view (key, offset, size); before torch 0.4 module classes came as
("module", class, source file, source text).

Source: `torch.serialization._legacy_save` and `_legacy_load`; files of torch 0.4 to 2.13.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from paraminspect.errors import MalformedError, TruncatedError
from paraminspect.files.blob import NEAR, Blob
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.arrays import Arrays
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.first_use import FirstUses
from paraminspect.formats.pytorch.load import load_pickle
from paraminspect.formats.pytorch.objects import GlobalTable, check_size
from paraminspect.formats.pytorch.walk import beside_tensors, name_tensors
from paraminspect.records import Checkpoint, Storage
from paraminspect.text import quote

MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C

COUNTS_AHEAD: Final = 256
"""Element counts of a far file that are fetched together, side by side."""

_COUNT: Final = struct.Struct("<q").unpack_from
_make: Final = tuple.__new__


class _LegacyStorages:
    """Storages in the order of the key list, each with its place in the file.

    Args:
        arrays: Those of numpy, in the pickles.
        declared: As the object refers to them first, by their keys.
    """

    def __init__(self, arrays: Arrays, declared: dict[str, StorageRef]) -> None:
        self._declared = declared
        self._found: dict[str, Storage] = {}
        self._listed: set[str] = set()
        self.arrays = arrays

    def locate(self, blob: Blob, begin: int, keys: object) -> None:
        """Walk over the raw data that follows the key list at `begin`."""
        if not isinstance(keys, list | tuple):
            raise MalformedError("the list of storage keys is no list")
        if blob.is_far:
            self._fetch_counts(blob, begin, keys)
        end, path, first = blob.size, blob.path, blob.begin
        sizes = {dtype: bits // 8 for dtype, bits in BITS.items()}
        most = 8 if blob.is_far else NEAR
        window, at = b"", 0
        for key in keys:
            name = str(key) if type(key) is int else key
            reference = self._declared.get(name) if isinstance(name, str) else None
            if reference is None or not isinstance(name, str):
                raise MalformedError("the list of storage keys names a storage the object does not use")
            if not 0 <= begin - at <= len(window) - 8:
                window, at = blob.read_near(begin, most), begin
                if len(window) < 8:
                    blob.read(begin, 8)  # says what is missing
            (count,) = _COUNT(window, begin - at)
            nbytes = count * sizes[reference.dtype]
            begin += 8
            if count < 0:
                raise MalformedError(f"storage {name!r} has {count:,} elements"[:200])
            if begin + nbytes > end:
                raise TruncatedError(
                    f"the file ends at byte {end:,}, {begin + nbytes - end:,} bytes before the end of "
                    f"storage {quote(name)}"
                )
            self._found[name] = _make(Storage, (name, nbytes, path, first + begin, None, None))
            begin += nbytes

    def _fetch_counts(self, blob: Blob, begin: int, keys: Sequence[object]) -> None:
        """Have the counts at hand where they are if each storage is as long as the object says."""
        offsets = []
        for key in keys:
            reference = self._declared.get(str(key))
            offsets.append(begin)
            begin += 8 + (reference.nbytes if reference is not None else 0)
        for first in range(0, len(offsets), COUNTS_AHEAD):
            blob.prefetch(offsets[first : first + COUNTS_AHEAD], 8)

    def stored(self) -> int:
        """Bytes of all storages and arrays."""
        return sum(storage.nbytes for storage in self._found.values()) + self.arrays.nbytes

    def resolve(self, reference: StorageRef) -> Storage:
        storage = self._found.get(reference.key)
        if storage is None and (array := self.arrays.storages.get(reference.key)) is not None:
            return array
        if storage is None:
            raise MalformedError(f"storage {reference.key!r} is not in the list of storage keys"[:200])
        if reference.offset + reference.nbytes > storage.nbytes:
            check_size(reference, storage)
        self._listed.add(reference.key)
        return storage

    def note_unlisted(self, root: object) -> Iterator[str]:
        """A remark on tensors below `root` whose storages were not asked for."""
        if len(self._listed) < len(self._found):
            from paraminspect.formats.pytorch.unlisted import note_unlisted

            yield from note_unlisted(root, self._listed)


def itemsize(reference: StorageRef) -> int:
    """Bytes of one element of the storage's class."""
    return BITS[reference.dtype] // 8


def is_legacy_magic(value: object) -> bool:
    """Whether the first pickle of a file is the magic number."""
    return type(value) is int and value == MAGIC_NUMBER


def read_torch_legacy(blob: Blob, begin: int) -> Checkpoint:
    """Tensors of a legacy file.

    Args:
        begin: Offset of the second pickle, right after the magic number.
    """
    table = GlobalTable()
    uses = FirstUses()
    storages = _LegacyStorages(Arrays(blob, is_torch=True), uses.storages)
    position = begin
    parts: list[object] = []
    for _ in range(4):  # protocol version, system, object, keys
        part, position = load_pickle(blob, table, uses, begin=position)
        parts.append(part)
    version, system, root, keys = parts
    if version != 1001:
        raise MalformedError(f"legacy torch file of protocol version {version!r}, expected 1001"[:120])
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    byteorder = "big" if little is False else "little"
    storages.locate(blob, position, keys)
    tensors = storages.arrays.settle(name_tensors(root, storages.resolve, storages.arrays.convert))
    notes = [*note_calls(table.foreign), *uses.notes(), *storages.note_unlisted(root)]
    return Checkpoint(
        "torch legacy",
        tensors,
        {"byteorder": byteorder},
        tuple(notes),
        stored=storages.stored(),
        root=beside_tensors(root),
    )
