"""numpy arrays inside a pickle: `_reconstruct` (or `_frombuffer`) with dtype, shape and bytes in the state.

The bytes of a long array lie in the file as they are, except in protocol 2, which writes them as text; those of a short one
are kept.

Source: `numpy.ndarray.__reduce__`.
"""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.errors import MalformedError
from paraminspect.files.blob import Blob
from paraminspect.formats.dtypes import BITS, NUMPY_TYPES
from paraminspect.formats.pickles.inert import Global, LongBytes, Opaque, StorageRef, TensorValue
from paraminspect.formats.pytorch.classify import kind_of
from paraminspect.formats.shapes import check_sizes, contiguous_stride, count_elements
from paraminspect.records import Folded, Role, Storage, TensorRecord

_ARRAY: str = "array"
"""What a value says it is until `settle` has seen the others."""


class Arrays:
    """The arrays of one pickle.

    Args:
        blob: The pickle, of a file.
        is_torch: Whether `torch.save` wrote it: then `settle` is to be asked.
        is_inflated: Whether the bytes of the pickle do not lie in a file as they are.

    Attributes:
        storages: Of the bytes that lie in the file, by their keys.
    """

    def __init__(self, blob: Blob, *, is_torch: bool = False, is_inflated: bool = False) -> None:
        self._blob = blob
        self._has_places = not is_inflated
        self._kind = _ARRAY if is_torch else "tensor"
        self._values: dict[int, tuple[Opaque, TensorValue]] = {}
        self.storages: dict[str, Storage] = {}

    @property
    def nbytes(self) -> int:
        """Of all that were asked for."""
        return sum(storage.nbytes for storage in self.storages.values())

    def convert(self, value: Opaque) -> object:
        """A tensor value for a pickled array of a type that torch has, the same for the same; anything else as it is.

        Raises:
            MalformedError: It has fewer bytes than its shape needs.
        """
        found = self._values.get(id(value))
        if found is None:
            made = self._make(value)
            if made is None:
                return value
            found = self._values[id(value)] = value, made
        return found[1]

    def settle(self, tensors: Sequence[TensorRecord]) -> list[TensorRecord]:
        """The records of a torch file: beside tensors of the model, arrays are none, since no state dict holds them."""
        if not self._values:
            return list(tensors)
        has_model = any(each.role == "model" and each.kind != _ARRAY for each in tensors)
        return [_settled(each, has_model=has_model) if each.kind == _ARRAY else each for each in tensors]

    def _make(self, value: Opaque) -> TensorValue | None:
        parts = _array_parts(value)
        if parts is None:
            return None
        shape, dtype, fortran, data = parts
        name, swapped = _numpy_dtype(dtype)
        length = len(data) if isinstance(data, bytes) else data.length if isinstance(data, LongBytes) else None
        if name is None or length is None or not isinstance(shape, tuple):
            return None
        dims = check_sizes(shape)
        numel = count_elements(dims)
        nbytes = numel * BITS[name] // 8
        if nbytes > length:  # bytes as text take more, not fewer: those above 0x7f are two
            raise MalformedError("a numpy array has fewer bytes than its shape needs")
        stride = contiguous_stride(dims[::-1])[::-1] if fortran else contiguous_stride(dims)
        storage = self._add(name, data, swapped=swapped)
        made = TensorValue(storage, 0, dims, stride, name, numel)
        made.kind = self._kind
        return made

    def _add(self, dtype: str, data: object, *, swapped: bool) -> StorageRef | None:
        key = f"array {len(self.storages)}"
        storage = None
        if isinstance(data, bytes):
            kept = _swap(data, dtype) if swapped else data
            storage = Storage(key, len(data), self._blob.path, kept=kept)
        elif isinstance(data, LongBytes) and self._has_places:
            storage = place_bytes(key, data.length, self._blob, data, swapped=swapped)
        if storage is None:
            return None
        self.storages[key] = storage
        return StorageRef(key, dtype, storage.nbytes)


def place_bytes(
    key: str, nbytes: int, blob: Blob, data: LongBytes, *, skip: int = 0, swapped: bool = False
) -> Storage | None:
    """A storage whose bytes a pickle holds in a long string; None of text of which they cannot be made piece by piece.

    Args:
        key: Of the storage.
        nbytes: Of it, at least.
        blob: The pickle, of a file.
        data: The string.
        skip: Bytes of it before those of the storage.
        swapped: Whether they are in big-endian order.
    """
    begin = blob.begin + data.begin
    if not data.text:
        return Storage(key, nbytes, blob.path, *((None, begin + skip) if swapped else (begin + skip, None)))
    return Storage(key, nbytes, blob.path, kept=Folded(begin, data.length, skip, swapped)) if data.is_utf8 else None


def _swap(data: bytes, dtype: str) -> bytes:
    """The bytes of each number in the other order; of a complex one, those of each of its parts."""
    size = BITS[dtype] // (16 if dtype.startswith("complex") else 8)
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def _settled(record: TensorRecord, *, has_model: bool) -> TensorRecord:
    role: Role = "state" if has_model and record.role == "model" else record.role
    kind = kind_of(record.name, record.shape, record.dtype) if role == "model" else "tensor"
    return record._replace(kind=kind, role=role)


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
    code, swapped = dtype_code(dtype)
    return NUMPY_TYPES.get(code or ""), swapped


def dtype_code(dtype: object) -> tuple[str | None, bool]:
    """What `numpy.dtype("f4", ..)` is called with, None if that is no text, and whether its bytes are in reverse order."""
    if not isinstance(dtype, Opaque):
        return None, False
    code = dtype.args[0] if isinstance(dtype.args, tuple) and dtype.args else None
    return code if isinstance(code, str) else None, isinstance(dtype.state, tuple) and ">" in dtype.state[1:2]
