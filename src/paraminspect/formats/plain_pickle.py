"""A pickle that is no torch file: `pickle.dump` of a state dict, or of numpy arrays (detectron2, StyleGAN, sklearn).

Tensors that `pickle` itself wrote carry each storage as a complete legacy torch file inside a byte string
(`torch.storage._load_from_bytes`). numpy arrays are `_reconstruct` (or `_frombuffer`) with dtype, shape and bytes in
the state; they are listed only here, since in a torch file they are no tensors.

Source: `torch.storage.TypedStorage.__reduce__`; `numpy.ndarray.__reduce__`.
"""

from __future__ import annotations

from typing import Final

from paraminspect.errors import MalformedError, UnknownFormatError
from paraminspect.formats.blob import Blob
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.inert import Builder, Global, LongBytes, Opaque, StorageRef, TensorValue
from paraminspect.formats.pickle_danger import note_calls
from paraminspect.formats.pickle_machine import PickleMachine
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.formats.torch_legacy import is_legacy_magic, read_torch_legacy
from paraminspect.formats.torch_objects import GlobalTable, measure
from paraminspect.formats.torch_objects import storage_ref as torch_storage_ref
from paraminspect.formats.walk import name_tensors
from paraminspect.records import Checkpoint, Storage

NUMPY_TYPES: Final[dict[str, str]] = {
    "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128", "b1": "bool",
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32",
    "u8": "uint64",
}  # fmt: skip

_ARRAY_FUNCTIONS: Final = frozenset({"_reconstruct", "_frombuffer"})


def is_pickle(head: bytes) -> bool:
    """Whether a file begins like a pickle of protocol 2 or later."""
    return len(head) > 1 and head[0] == 0x80 and head[1] <= 5


def read_pickle(blob: Blob) -> Checkpoint:
    """A legacy torch file if the first pickle is its magic number, else the tensors and arrays of that pickle."""
    table = _PlainTable()
    machine = PickleMachine(blob, table.find, torch_storage_ref)
    root = machine.load()
    if is_legacy_magic(root):
        return read_torch_legacy(blob, machine.position)
    tensors = name_tensors(_with_arrays(root), table.resolve)
    notes = tuple(note_calls(table.foreign))
    if not tensors:
        raise UnknownFormatError(
            "a pickle without tensors" + (f" ({notes[0]})" if notes else ""),
            hint="nothing in it is a torch tensor or a numpy array",
        )
    return Checkpoint("pickle", tensors, {}, notes)


class _PlainTable(GlobalTable):
    """The allow-list, and storages inside byte strings."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[str, Storage] = {}
        self._known["torch.storage", "_load_from_bytes"] = Builder("torch.storage", "_load_from_bytes", self._load)

    def _load(self, args: tuple[object, ...]) -> object:
        data = args[0] if args else None
        key = f"pickled {len(self._storages)}"
        if isinstance(data, bytes):
            reference = _nested_storage(Blob.from_bytes(data), key)
        else:
            length = data.length if isinstance(data, LongBytes) else 0
            reference = StorageRef(key, "uint8", length)  # too long to look into: its element type is not known
            if not length:
                raise MalformedError("a storage inside a pickle holds no bytes")
        self._storages[key] = Storage(key, reference.nbytes)
        return reference

    def resolve(self, reference: StorageRef) -> Storage:
        """The record of a storage that came as bytes."""
        return self._storages[reference.key]


def _nested_storage(blob: Blob, key: str) -> StorageRef:
    """What a legacy torch file holds whose object is one storage."""
    references: list[StorageRef] = []

    def remember(pid: object) -> object:
        value = torch_storage_ref(pid)
        if isinstance(value, StorageRef):
            references.append(value)
        return value

    table = GlobalTable()
    position = 0
    for _ in range(4):
        machine = PickleMachine(blob, table.find, remember, begin=position)
        machine.load()
        position = machine.position
    if not references:
        raise MalformedError("a storage inside a pickle names none")
    return StorageRef(key, references[0].dtype, references[0].nbytes)


def _with_arrays(root: object) -> object:
    """The same structure with numpy arrays as tensor values; changed in place."""
    pending = [root]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            for key, item in value.items():
                value[key] = _array(item)
            pending.extend(value.values())
        elif isinstance(value, list):
            value[:] = [_array(item) for item in value]
            pending.extend(value)
        elif isinstance(value, Opaque):
            pending.append(value.state)
    return _array(root)


def _array(value: object) -> object:
    """A tensor value for a pickled numpy array of a plain type; anything else as it is."""
    if not isinstance(value, Opaque) or not isinstance(value.func, Global):
        return value
    if value.func.name not in _ARRAY_FUNCTIONS or value.func.module.partition(".")[0] != "numpy":
        return value
    if value.func.name == "_reconstruct":
        state = value.state
        shape, dtype, data = state[1:3] + state[4:5] if isinstance(state, tuple) and len(state) == 5 else (None,) * 3
    else:
        data, dtype, shape = value.args[:3] if isinstance(value.args, tuple) and len(value.args) > 3 else (None,) * 3
    name = _numpy_dtype(dtype)
    length = len(data) if isinstance(data, bytes) else data.length if isinstance(data, LongBytes) else None
    if name is None or length is None or not isinstance(shape, tuple):
        return value
    dims = tuple(size for size in shape if type(size) is int)
    dims, stride, numel, _ = measure(dims, contiguous_stride(dims))
    if numel * BITS[name] // 8 > length:  # protocol 2 writes bytes as text, in which those above 0x7f take two
        raise MalformedError("a numpy array has fewer bytes than its shape needs")
    return TensorValue(None, 0, dims, stride, name, numel)


def _numpy_dtype(dtype: object) -> str | None:
    """The name in torch of `numpy.dtype("f4", ..)`; None for types torch does not have."""
    args = dtype.args if isinstance(dtype, Opaque) and dtype.class_name == "numpy.dtype" else None
    code = args[0] if isinstance(args, tuple) and args else None
    return NUMPY_TYPES.get(code) if isinstance(code, str) else None
