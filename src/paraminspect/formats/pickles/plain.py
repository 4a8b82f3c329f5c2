"""A pickle that is no torch file: `pickle.dump` of a state dict, or of numpy arrays (detectron2, StyleGAN, sklearn).

Tensors that `pickle` itself wrote carry each storage as a complete legacy torch file inside a byte string
(`torch.storage._load_from_bytes`). The bytes of a large one lie in the file as they are, except in protocol 2, which writes
them as text. numpy arrays are tensors of the model here, if nothing says otherwise.

Source: `torch.storage.TypedStorage.__reduce__`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.arrays import Arrays, place_bytes
from paraminspect.formats.pickles.inert import Builder, LongBytes, StorageRef
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.legacy import is_legacy_magic, read_torch_legacy
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.pytorch.objects import storage_ref as torch_storage_ref
from paraminspect.formats.pytorch.walk import beside_tensors, name_tensors
from paraminspect.records import Checkpoint, Storage
from paraminspect.text import quote

_STOP: Final = 0x2E

NESTED_HEADER: Final = 1024
"""Bytes of the five pickles before the data of a storage inside a byte string; torch writes some 350."""

MAX_NESTED_HEADERS: Final = 8 << 20
"""The same of all storages of one pickle together."""

OLD_PICKLE_STARTS: Final = b"(}]c)lid0IFLNSVUX"
"""First opcodes of pickles without a header, as protocols 0 and 1 write them."""

BARE_STARTS: Final = OLD_PICKLE_STARTS + b"\x80BCGJKMTU\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"
"""The same as anyone may write them: loaders do not ask for a header."""


_ARGUMENTS: Final[dict[int, bytes]] = {
    **dict.fromkeys(b"(}])N012dlbosuaetRQ.", b""),
    **dict.fromkeys(b"ILpg", rb"-?\d+L?\n"),
    **dict.fromkeys(b"FVP", rb".*\n"),
    **dict.fromkeys(b"S", rb"(['\"]).*\1\n"),
    **dict.fromkeys(b"ci", rb"[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n"),
    **dict.fromkeys(b"Kqh", rb"[\s\S]"),
    **dict.fromkeys(b"M", rb"[\s\S]{2}"),
    **dict.fromkeys(b"Jjr", rb"[\s\S]{4}"),
    **dict.fromkeys(b"G", rb"[\s\S]{8}"),
}
"""What stands behind each opcode of protocols 0 and 1, but those of `_COUNTED`."""

_COUNTED: Final = {0x55: 1, 0x54: 4, 0x58: 4}
"""Opcodes of strings (U, T, X): bytes of the length that stands in front of one."""

_FEW: Final = 3
_ENOUGH: Final = 16
"""Opcodes one after another that no text is, up to its end and altogether."""


def is_pickle(head: bytes, _size: int = 0) -> bool:
    """Whether a file begins like a pickle of protocol 2 or later."""
    return len(head) > 1 and head[0] == 0x80 and head[1] <= 5


def is_any_pickle(head: bytes, size: int) -> bool:
    """Whether a file begins like a pickle, also one of protocol 0 or 1, which have no header."""
    return is_pickle(head) or (head[:1] != b"" and head[0] in OLD_PICKLE_STARTS and _is_old_pickle(head, size))


def _is_old_pickle(head: bytes, size: int) -> bool:
    """Whether the first bytes are opcodes of protocols 0 and 1: some that name a class or function, or many."""
    at = count = marks = 0
    names = False
    code = None
    while at < len(head) and code != _STOP:
        code, count = head[at], count + 1
        end = _end_of_opcode(head, at)
        marks += (code in b"(") - (code in b"tldueio1")
        if end is None or marks < 0:
            return False
        names = names or (code in b"ci" and end <= len(head))
        at = end
    if code == _STOP:
        return names or count > _FEW
    return (names and (size > len(head) or count > _FEW)) or count > _ENOUGH  # else it is cut there


def _end_of_opcode(head: bytes, at: int) -> int | None:
    """Where the opcode ends that begins there, behind the end of `head` if it is cut; None if it is none."""
    code = head[at]
    if width := _COUNTED.get(code):
        return at + 1 + width + int.from_bytes(head[at + 1 : at + 1 + width], "little")
    pattern = _ARGUMENTS.get(code)
    found = re.compile(pattern).match(head, at + 1) if pattern is not None else None
    if found is not None:
        return found.end()
    is_cut = pattern is not None and head.count(b"\n", at) < (2 if code in b"ci" else 1)
    return len(head) + 1 if is_cut or code in b"GJMjr" else None


def may_be_bare_pickle(head: bytes, _size: int) -> bool:
    """Whether a file begins with an opcode, but without the header of a pickle."""
    return head[:1] != b"" and head[0] in BARE_STARTS and not is_pickle(head)


def read_pickle(blob: Blob) -> Checkpoint:
    """A legacy torch file if the first pickle is its magic number, else the tensors and arrays of that pickle."""
    table = _PlainTable(blob)
    machine = PickleMachine(blob, table.find, torch_storage_ref)
    root = machine.load()
    if is_legacy_magic(root):
        return read_torch_legacy(blob, machine.position)
    tensors = name_tensors(root, table.resolve, table.arrays.convert)
    notes = (*note_calls(table.foreign), *table.note_unlisted(root))
    if not tensors:
        raise UnknownFormatError(
            "a pickle without tensors" + (f" ({notes[0]})" if notes else ""),
            hint="nothing in it is a torch tensor or a numpy array",
            fault="no-tensors",
        )
    return Checkpoint("pickle", tensors, {}, notes, stored=table.stored(), root=beside_tensors(root))


class _PlainTable(GlobalTable):
    """The allow-list, storages inside byte strings, and arrays.

    Attributes:
        arrays: Of this pickle.
    """

    def __init__(self, blob: Blob) -> None:
        super().__init__()
        self.arrays = Arrays(blob)
        self._listed: set[str] = set()
        self._blob = blob
        self._storages: dict[str, Storage] = {}
        self._nested = 0  # bytes of pickles inside byte strings
        self._known["torch.storage", "_load_from_bytes"] = Builder("torch.storage", "_load_from_bytes", self._load)

    def _load(self, args: tuple[object, ...]) -> object:
        """The storage that a legacy torch file inside a byte string holds."""
        data = args[0] if args else None
        if isinstance(data, LongBytes):
            header = data.unfold(self._blob.read(data.begin, min(data.length, NESTED_HEADER)))
        elif isinstance(data, bytes):
            header = data[:NESTED_HEADER]
        else:
            raise MalformedError("a storage inside a pickle holds no bytes")
        found, position = _read_nested(Blob.from_bytes(header))
        self._nested += position
        if self._nested > MAX_NESTED_HEADERS:
            raise LimitExceededError("bytes of pickles inside a pickle", limit=MAX_NESTED_HEADERS, actual=None)
        position += 8  # the number of elements
        length = data.length if isinstance(data, LongBytes) else len(data)
        if position + found.nbytes > length:
            raise MalformedError(f"a storage inside a pickle has {length:,} bytes, it declares more")
        key = f"pickled {len(self._storages)}"
        if isinstance(data, LongBytes):
            storage = place_bytes(key, found.nbytes, self._blob, data, skip=position)
        else:
            storage = Storage(key, found.nbytes, self._blob.path, kept=data[position : position + found.nbytes])
        self._storages[key] = storage or Storage(key, found.nbytes, self._blob.path)
        return StorageRef(key, found.dtype, found.nbytes)

    def resolve(self, reference: StorageRef) -> Storage:
        """The record of a storage that came as bytes."""
        storage = self._storages.get(reference.key) or self.arrays.storages.get(reference.key)
        self._listed.add(reference.key)
        if storage is None:
            raise MalformedError(
                f"storage {quote(reference.key)} lies outside this pickle",
                hint="is it the data.pkl of an unpacked torch.save file? name the whole file",
            )
        return storage

    def note_unlisted(self, root: object) -> Iterator[str]:
        """A remark on tensors below `root` whose storages were not asked for."""
        if len(self._listed) < len(self._storages) + len(self.arrays.storages):
            from paraminspect.formats.pytorch.unlisted import note_unlisted

            yield from note_unlisted(root, self._listed)

    def stored(self) -> int:
        """Bytes of all storages and arrays."""
        return sum(storage.nbytes for storage in self._storages.values()) + self.arrays.nbytes


def _read_nested(blob: Blob) -> tuple[StorageRef, int]:
    """The storage that is the object of a legacy torch file, and where its pickles end."""
    references: list[StorageRef] = []

    def remember(pid: object) -> object:
        value = torch_storage_ref(pid)
        if isinstance(value, StorageRef):
            references.append(value)
        return value

    table = GlobalTable()
    position = 0
    for _ in range(5):
        machine = PickleMachine(blob, table.find, remember, begin=position)
        machine.load()
        position = machine.position
    if not references:
        raise MalformedError("a storage inside a pickle names none")
    return references[0], position
