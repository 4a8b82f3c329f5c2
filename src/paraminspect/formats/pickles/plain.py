"""A pickle that is no torch file: `pickle.dump` of a state dict, or of numpy arrays (detectron2, StyleGAN, sklearn).

Tensors that `pickle` itself wrote carry each storage as a complete legacy torch file inside a byte string
(`torch.storage._load_from_bytes`). numpy arrays are `_reconstruct` (or `_frombuffer`) with dtype, shape and bytes in
the state; they are listed only here, since in a torch file they are no tensors. The bytes of a large storage or array
lie in the file as they are, except in protocol 2, which writes them as text.

Source: `torch.storage.TypedStorage.__reduce__`; `numpy.ndarray.__reduce__`.
"""

from __future__ import annotations

from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError, UnknownFormatError
from paraminspect.files.blob import Blob
from paraminspect.formats.dtypes import BITS, NUMPY_TYPES
from paraminspect.formats.pickles.inert import Builder, Global, LongBytes, Opaque, StorageRef, TensorValue
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.legacy import is_legacy_magic, read_torch_legacy
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.pytorch.objects import storage_ref as torch_storage_ref
from paraminspect.formats.pytorch.walk import beside_tensors, name_tensors
from paraminspect.formats.shapes import check_sizes, contiguous_stride, count_elements
from paraminspect.records import Checkpoint, Storage
from paraminspect.text import quote

NESTED_HEADER: Final = 1024
"""Bytes of the five pickles before the data of a storage inside a byte string; torch writes some 350."""

MAX_NESTED_HEADERS: Final = 8 << 20
"""The same of all storages of one pickle together."""

OLD_PICKLE_STARTS: Final = b"(}]c)lid0IFLNSVUX\x80"
"""First opcodes of pickles without a header, as protocols 0 and 1 write them."""

BARE_STARTS: Final = OLD_PICKLE_STARTS + b"BCGJKMTU\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"
"""The same as anyone may write them: loaders do not ask for a header."""


def is_pickle(head: bytes, _size: int = 0) -> bool:
    """Whether a file begins like a pickle of protocol 2 or later."""
    return len(head) > 1 and head[0] == 0x80 and head[1] <= 5


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
    tensors = name_tensors(root, table.resolve, table.as_array)
    notes = tuple(note_calls(table.foreign))
    if not tensors:
        raise UnknownFormatError(
            "a pickle without tensors" + (f" ({notes[0]})" if notes else ""),
            hint="nothing in it is a torch tensor or a numpy array",
            fault="no-tensors",
        )
    return Checkpoint("pickle", tensors, {}, notes, stored=table.stored(), root=beside_tensors(root))


class _PlainTable(GlobalTable):
    """The allow-list, storages inside byte strings, and arrays."""

    def __init__(self, blob: Blob) -> None:
        super().__init__()
        self._blob = blob
        self._storages: dict[str, Storage] = {}
        self._nested = 0  # bytes of pickles inside byte strings
        self._known["torch.storage", "_load_from_bytes"] = Builder("torch.storage", "_load_from_bytes", self._load)

    def _load(self, args: tuple[object, ...]) -> object:
        """The storage that a legacy torch file inside a byte string holds."""
        data = args[0] if args else None
        if isinstance(data, LongBytes):
            header = self._blob.read(data.begin, min(data.length, NESTED_HEADER))
            if data.text:
                header = header.decode("utf-8", "ignore").encode("latin-1", "replace")
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
        begin = data.begin + position if isinstance(data, LongBytes) and not data.text else None
        return self._add(f"pickled {len(self._storages)}", found.dtype, found.nbytes, begin)

    def _add(self, key: str, dtype: str, nbytes: int, begin: int | None, *, swapped: bool = False) -> StorageRef:
        if key not in self._storages:
            begin = None if begin is None else self._blob.begin + begin
            places = (None, begin) if swapped else (begin, None)
            self._storages[key] = Storage(key, nbytes, self._blob.path, *places)
        return StorageRef(key, dtype, nbytes)

    def resolve(self, reference: StorageRef) -> Storage:
        """The record of a storage that came as bytes."""
        storage = self._storages.get(reference.key)
        if storage is None:
            raise MalformedError(
                f"storage {quote(reference.key)} lies outside this pickle",
                hint="is it the data.pkl of an unpacked torch.save file? name the whole file",
            )
        return storage

    def stored(self) -> int:
        """Bytes of all storages, and of the arrays that lie in the file as they are."""
        return sum(storage.nbytes for storage in self._storages.values())

    def as_array(self, value: Opaque) -> object:
        """A tensor value for a pickled numpy array of a type that torch has; anything else as it is."""
        parts = _array_parts(value)
        if parts is None:
            return value
        shape, dtype, fortran, data = parts
        name, swapped = _numpy_dtype(dtype)
        length = len(data) if isinstance(data, bytes) else data.length if isinstance(data, LongBytes) else None
        if name is None or length is None or not isinstance(shape, tuple):
            return value
        dims = check_sizes(shape)
        numel = count_elements(dims)
        nbytes = numel * BITS[name] // 8
        if nbytes > length:  # bytes as text take more, not fewer: those above 0x7f are two
            raise MalformedError("a numpy array has fewer bytes than its shape needs")
        stride = contiguous_stride(dims[::-1])[::-1] if fortran else contiguous_stride(dims)
        storage = None
        if isinstance(data, LongBytes) and not data.text:
            storage = self._add(f"bytes {data.begin}", name, length, data.begin, swapped=swapped)
        return TensorValue(storage, 0, dims, stride, name, numel)


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


def _array_parts(value: Opaque) -> tuple[object, object, object, object] | None:
    """Shape, dtype, whether in Fortran order, and data of a pickled array; None for any other object."""
    func, args, state = value.func, value.args, value.state
    if not isinstance(func, Global) or func.module.partition(".")[0] != "numpy" or not isinstance(args, tuple):
        return None
    if func.name == "_reconstruct" and isinstance(state, tuple) and len(state) == 5:
        return state[1:]  # behind a version
    if func.name == "_frombuffer" and len(args) == 4:
        data, dtype, shape, order = args
        return shape, dtype, order == "F", data
    return None


def _numpy_dtype(dtype: object) -> tuple[str | None, bool]:
    """What torch calls `numpy.dtype("f4", ..)`, None for types it lacks, and whether its bytes are in reverse order."""
    if not isinstance(dtype, Opaque) or dtype.class_name != "numpy.dtype" or not isinstance(dtype.args, tuple):
        return None, False
    code = dtype.args[0] if dtype.args else None
    swapped = isinstance(dtype.state, tuple) and ">" in dtype.state[1:2]
    return NUMPY_TYPES.get(code) if isinstance(code, str) else None, swapped
