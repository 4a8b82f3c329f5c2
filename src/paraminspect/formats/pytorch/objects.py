"""The allow-list: what the globals mean that torch itself writes into its pickles.

Each entry makes an inert value from the arguments the pickle passes. Any name that is not here stays a `Global`, and
what is made with it an `Opaque`. Arguments are checked before they are believed: shapes, strides and offsets must be
non-negative integers within the bounds, and lie inside the storage.

Source: the `_rebuild_*` functions of `torch._utils` and `torch._tensor` (arguments and their order).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeGuard

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError
from paraminspect.formats.dtypes import BITS, PACKED, STORAGE_TYPES, TORCH_ALIASES
from paraminspect.formats.pickles.inert import (
    Builder,
    Dtype,
    Global,
    LongBytes,
    Opaque,
    StorageRef,
    StorageType,
    TensorValue,
    ValueEncoding,
)
from paraminspect.formats.pickles.shortcut import Layout, TensorShortcut
from paraminspect.formats.shapes import MAX_NUMEL, check_sizes, count_elements
from paraminspect.records import Storage
from paraminspect.text import quote

Args = tuple[object, ...]


# --- checked arguments ----------------------------------------------------------------------------------------


def _dtype(value: object) -> str:
    if isinstance(value, Dtype):
        return value.name
    raise MalformedError("a tensor's dtype is none of torch's")


def _tensor(value: object) -> TensorValue:
    if isinstance(value, TensorValue):
        return value
    raise MalformedError("a tensor is built of something that is no tensor")


def measure(shape: tuple[int, ...], stride: tuple[int, ...]) -> Layout:
    """Check a shape and stride, in elements, and say how far they reach.

    Raises:
        MalformedError: Negative numbers, or not as many strides as dimensions.
    """
    shape = check_sizes(shape)
    stride = check_sizes(stride, "stride")
    if len(stride) != len(shape):
        raise MalformedError(f"a tensor of {len(shape)} dimensions has {len(stride)} strides")
    numel = count_elements(shape)
    reach = 1 + sum((count - 1) * step for count, step in zip(shape, stride, strict=True)) if numel else 0
    return shape, stride, numel, reach


def strided_tensor(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    *,
    trainable: bool | None = None,
    dtype: str | None = None,
) -> TensorValue:
    """A view of a storage; `offset` and `stride` in elements, `dtype` None for the storage's own.

    Raises:
        MalformedError: No storage, or a view that reaches past its end.
    """
    if not isinstance(storage, StorageRef):
        raise MalformedError("a tensor is built of something that is no storage")
    if type(offset) is not int or not 0 <= offset <= MAX_NUMEL:
        raise MalformedError("a tensor whose offset is no count of elements")
    shape, steps, numel, reach = measure(check_sizes(size), check_sizes(stride, "stride"))
    name = dtype or storage.dtype
    needed = -(-(offset + reach) * (BITS.get(name, 8) // 8) // PACKED.get(name, 1))
    if numel and needed > storage.nbytes:
        raise MalformedError(
            f"a tensor of shape {list(shape)} needs {needed:,} bytes of storage {quote(storage.key, 40)}, "
            f"which has {storage.nbytes:,}"
        )
    return TensorValue(storage, offset, shape, steps, name, numel, trainable=trainable)


# --- builders of tensors ----------------------------------------------------------------------------------------


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _rebuild_tensor(args: Args) -> TensorValue:
    storage, offset, size, stride = args[:4]
    return strided_tensor(storage, offset, size, stride)


def _rebuild_tensor_v2(args: Args) -> TensorValue:
    storage, offset, size, stride, trainable, _ = args[:6]
    value = strided_tensor(storage, offset, size, stride, trainable=_flag(trainable))
    return _flip(value, args[6]) if len(args) > 6 else value


def _rebuild_tensor_v3(args: Args) -> TensorValue:
    storage, offset, size, stride, trainable, _, dtype = args[:7]
    value = strided_tensor(storage, offset, size, stride, trainable=_flag(trainable), dtype=_dtype(dtype))
    return _flip(value, args[7]) if len(args) > 7 else value


def _flip(value: TensorValue, metadata: object) -> TensorValue:
    """Note that the values are the negatives, or conjugates, of what the bytes say: {"neg": True}, {"conj": True}."""
    if isinstance(metadata, dict):
        negated, conjugated = metadata.get("neg") is True, metadata.get("conj") is True
        if negated or conjugated:
            value.encoding = ValueEncoding(negated=negated, conjugated=conjugated)
    return value


def _rebuild_qtensor(args: Args) -> TensorValue:
    storage, offset, size, stride, quantizer, trainable, _ = args[:7]
    value = strided_tensor(storage, offset, size, stride, trainable=_flag(trainable))
    value.encoding = _quantizer(quantizer)
    if value.dtype in PACKED:
        _pack(value)
    return value


def _quantizer(value: object) -> ValueEncoding | None:
    """(scheme, scale, zero point) or (scheme, scales, zero points, axis); None for anything else."""
    if not isinstance(value, tuple) or len(value) < 3:
        return None
    scale, zero_point = value[1:3]
    axis = value[3] if len(value) > 3 and type(value[3]) is int else None
    kind = float | int if axis is None else TensorValue
    if isinstance(scale, kind) and isinstance(zero_point, kind):
        return ValueEncoding(scale, zero_point, axis)
    return None


def _pack(value: TensorValue) -> None:
    """Each row of the last dimension begins with a byte of its own; elements within a byte have no address."""
    last = value.shape[-1] if value.shape else 1
    value.nbytes = value.numel // max(last, 1) * -(-last // PACKED[value.dtype])
    value.stride = None
    if value.storage is None or value.offset + value.nbytes > value.storage.nbytes:
        raise MalformedError(f"a {value.dtype} tensor reaches past the end of its storage")


def _rebuild_parameter(args: Args) -> TensorValue:
    parameter = _tensor(args[0]).copy()
    parameter.kind = "parameter"
    parameter.trainable = _flag(args[1])
    return parameter


def _rebuild_buffer(args: Args) -> TensorValue:
    buffer = _tensor(args[0]).copy()
    buffer.kind = "buffer"
    return buffer


def _rebuild_meta(args: Args) -> TensorValue:
    dtype, size, stride, trainable = args[:4]
    shape, steps, numel, _ = measure(check_sizes(size), check_sizes(stride, "stride"))
    return TensorValue(None, 0, shape, steps, _dtype(dtype), numel, trainable=_flag(trainable))


def _rebuild_wrapper(args: Args) -> TensorValue:
    """A wrapper subclass such as DTensor: global shape, no storage of its own."""
    _, dtype, size, stride, _, _, _, trainable = args[:8]
    shape, steps, numel, _ = measure(check_sizes(size), check_sizes(stride, "stride"))
    return TensorValue(None, 0, shape, steps, _dtype(dtype), numel, trainable=_flag(trainable), layout="chunked")


def _rebuild_from_type(args: Args) -> object:
    """A tensor subclass: (func, type, args of func, state). The state marks parameters and buffers."""
    func, subclass, inner, state = args[:4]
    if not isinstance(func, Builder) or func.name not in _TENSOR_BUILDERS or not isinstance(inner, tuple):
        return Opaque(func, inner)
    value = func.build(inner)
    if isinstance(value, TensorValue):
        parts = state[:2] if isinstance(state, tuple) else (state,)  # __dict__, slots
        for part in parts:
            for flag, kind in (("_is_param", "parameter"), ("_is_buffer", "buffer")):
                if isinstance(part, dict) and part.get(flag) is True:
                    value.kind = kind
        if value.layout == "strided":
            value.state = state
        elif value.layout == "chunked":
            local = [tensor for part in parts for tensor in _local_parts(part)]
            _take_local_parts(value, local)
            if not local and isinstance(parts[0], dict):
                value.wrapped = subclass.name if isinstance(subclass, Global) else "", _told(parts[0])
    return value


def _told(state: dict[object, object]) -> dict[str, object]:
    """Attributes of a wrapper, types of torch as their names."""
    return {
        key: value.name if isinstance(value, Dtype) else value for key, value in state.items() if isinstance(key, str)
    }


def _local_parts(state: object) -> Iterator[TensorValue]:
    """What a rank has of a DTensor (an attribute), or of a ShardedTensor (the first item of its state)."""
    shards = [shard.state for shard in state if isinstance(shard, Opaque)] if isinstance(state, list) else []
    for place in shards or [state]:
        attributes = place[1] if isinstance(place, tuple) and len(place) == 2 else place  # behind a None, slots
        local = attributes.get("tensor" if shards else "_local_tensor") if isinstance(attributes, dict) else None
        if isinstance(local, TensorValue):
            yield local


def _take_local_parts(value: TensorValue, parts: list[TensorValue]) -> None:
    """A tensor whose local part is the whole has its bytes there; of any other only as many are in the file."""
    if len(parts) == 1 and parts[0].shape == value.shape and parts[0].dtype == value.dtype:
        (local,) = parts
        value.storage, value.offset, value.stride = local.storage, local.offset, local.stride
        value.layout, value.encoding = local.layout, local.encoding
    elif parts:
        value.nbytes = sum(local.numel * BITS.get(local.dtype, 8) // 8 for local in parts)


_SPARSE_PARTS: Final = {
    "sparse_coo": ("indices", "values"),
    "sparse_csr": ("crow_indices", "col_indices", "values"),
    "sparse_csc": ("ccol_indices", "row_indices", "values"),
    "sparse_bsr": ("crow_indices", "col_indices", "values"),
    "sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
"""Layouts, with torch's names of their parts."""


def _sparse(layout: str, parts: object, size: object) -> TensorValue:
    """Logical shape; bytes of all component tensors. The values' dtype is the tensor's."""
    tensors = [part for part in parts if isinstance(part, TensorValue)] if isinstance(parts, tuple) else []
    if not tensors:
        raise MalformedError(f"a {layout} tensor without components")
    shape = check_sizes(size)
    nbytes = sum(tensor.numel * BITS.get(tensor.dtype, 8) // 8 for tensor in tensors)
    value = TensorValue(None, 0, shape, None, tensors[-1].dtype, count_elements(shape), layout=layout, nbytes=nbytes)
    names = _SPARSE_PARTS.get(layout, ())
    if len(tensors) == len(names) and _is_one_matrix(layout, len(shape), tensors):
        value.encoding = ValueEncoding(sparse=tuple(zip(names, tensors, strict=True)))
    return value


def _is_one_matrix(layout: str, ndim: int, parts: list[TensorValue]) -> bool:
    """Whether it is no batch of matrices, and no matrix of blocks of more than numbers."""
    if layout == "sparse_coo":
        return True
    begins, others, values = (len(part.shape or ()) for part in parts)
    is_plain = layout in {"sparse_csr", "sparse_csc"}
    return (
        (begins, others) == (1, 1) and ndim >= 2 and values == (ndim - 1 if is_plain else 3) and (is_plain or ndim == 2)
    )


def _rebuild_sparse(args: Args) -> TensorValue:
    """(layout, (indices, values, size[, is_coalesced])) or (layout, (compressed, plain, values, size))."""
    layout, data = args[:2]
    if not isinstance(data, tuple) or len(data) < 3:
        raise MalformedError("a sparse tensor without components")
    name = layout.removeprefix("torch.") if isinstance(layout, str) else "sparse"
    tensors = len(_SPARSE_PARTS.get(name, "ab"))
    return _sparse(name, data[:tensors], data[tensors])


def _rebuild_nested(args: Args) -> TensorValue:
    buffer = _tensor(args[0])
    nbytes = buffer.numel * BITS.get(buffer.dtype, 8) // 8
    return TensorValue(None, 0, None, None, buffer.dtype, buffer.numel, layout="nested", nbytes=nbytes)


def _rebuild_jagged(args: Args) -> TensorValue:
    """A nested tensor of jagged layout: its rows one after another in `values`, where they begin in `offsets`."""
    parts = args[0]
    if not isinstance(parts, dict):
        raise MalformedError("a nested tensor without components")
    values = _tensor(parts.get("values"))
    tensors = [part for key in ("values", "offsets", "lengths") if isinstance(part := parts.get(key), TensorValue)]
    nbytes = sum(tensor.numel * BITS.get(tensor.dtype, 8) // 8 for tensor in tensors)
    flag = _flag(parts.get("requires_grad"))
    return TensorValue(None, 0, None, None, values.dtype, values.numel, trainable=flag, layout="nested", nbytes=nbytes)


def _rebuild_from_array(args: Args) -> TensorValue:
    """(array, dtype, device, requires_grad) of an XLA or other device tensor: only an inert array is at hand."""
    array, dtype = args[:2]
    if isinstance(array, TensorValue):
        return array
    state = array.state if isinstance(array, Opaque) else None
    shape = check_sizes(state[1]) if isinstance(state, tuple) and len(state) > 2 else None
    if shape is None:
        raise MalformedError("a tensor is built of something that is no array")
    numel = count_elements(shape)
    return TensorValue(None, 0, shape, None, _dtype(dtype), numel, trainable=_flag(args[-1]))


# --- builders of everything else --------------------------------------------------------------------------------


def _ordered_dict(args: Args) -> dict[object, object]:
    """`OrderedDict()`, or of a list of pairs as Python 2 wrote it."""
    made: dict[object, object] = {}
    pairs = args[0] if args else []
    if isinstance(pairs, dict):
        return dict(pairs)
    if isinstance(pairs, list):
        for pair in pairs:
            if isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str):
                made[pair[0]] = pair[1]
    return made


def _default_dict(_: Args) -> dict[object, object]:
    return {}


def _size(args: Args) -> tuple[object, ...]:
    items = args[0] if args else ()
    return tuple(items) if isinstance(items, tuple | list) else ()


def _first(args: Args) -> object:
    return args[0] if args else None


def _list(args: Args) -> list[object]:
    return list(_size(args))


def _encode(args: Args) -> object:
    """`_codecs.encode(text, "latin1")`: how protocol 2 writes byte strings; what another codec makes is not known."""
    text = args[0] if args else b""
    if len(args) != 2 or args[1] not in ("latin1", "latin-1"):
        return Opaque(Global("_codecs", "encode"), args)
    if isinstance(text, str):
        return text.encode("latin-1", "replace")
    return text if isinstance(text, LongBytes) else b""


def _bytes(args: Args) -> object:
    """`bytes()`: how protocol 2 writes the empty byte string."""
    return Opaque(Global("builtins", "bytes"), args) if args else b""


def _reconstructor(args: Args) -> Opaque:
    """`copyreg._reconstructor(cls, base, state)`: an object of protocol 0 and 1."""
    return Opaque(args[0] if args else None, args)


_TENSOR_BUILDERS: Final[dict[str, Callable[[Args], object]]] = {
    "_rebuild_tensor": _rebuild_tensor,
    "_rebuild_tensor_v2": _rebuild_tensor_v2,
    "_rebuild_tensor_v3": _rebuild_tensor_v3,
    "_rebuild_qtensor": _rebuild_qtensor,
    "_rebuild_parameter": _rebuild_parameter,
    "_rebuild_parameter_with_state": _rebuild_parameter,
    "_rebuild_buffer": _rebuild_buffer,
    "_rebuild_meta_tensor_no_storage": _rebuild_meta,
    "_rebuild_wrapper_subclass": _rebuild_wrapper,
    "_rebuild_sparse_tensor": _rebuild_sparse,
    "_rebuild_sparse_csr_tensor": _rebuild_sparse,
    "_rebuild_nested_tensor": _rebuild_nested,
    "_rebuild_njt": _rebuild_jagged,
    "_rebuild_device_tensor_from_numpy": _rebuild_from_array,
    "_rebuild_device_tensor_from_cpu_tensor": _rebuild_from_array,
    "_rebuild_xla_tensor": _rebuild_from_array,
}

_BUILDERS: Final[dict[tuple[str, str], Callable[[Args], object]]] = {
    **{("torch._utils", name): build for name, build in _TENSOR_BUILDERS.items()},
    **{("torch.tensor", name): _rebuild_from_type for name in ("_rebuild_from_type", "_rebuild_from_type_v2")},
    **{("torch._tensor", name): _rebuild_from_type for name in ("_rebuild_from_type", "_rebuild_from_type_v2")},
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): _rebuild_jagged,
    ("torch.nn.parameter", "Parameter"): lambda args: _rebuild_parameter((args[0], args[1] if len(args) > 1 else True)),
    ("torch.nn.parameter", "Buffer"): _rebuild_buffer,
    ("torch", "Size"): _size,
    ("torch.serialization", "_get_layout"): _first,
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "defaultdict"): _default_dict,
    ("collections", "Counter"): _ordered_dict,
    ("builtins", "dict"): _ordered_dict,
    ("builtins", "list"): _list,
    ("builtins", "tuple"): _size,
    ("builtins", "set"): _list,
    ("builtins", "frozenset"): _size,
    ("builtins", "bytes"): _bytes,
    ("_codecs", "encode"): _encode,
    ("copyreg", "_reconstructor"): _reconstructor,
    # TorchScript
    **{("torch.jit._pickle", f"build_{kind}list"): _first for kind in ("int", "double", "bool", "tensor")},
    ("torch.jit._pickle", "restore_type_tag"): _first,
}

MAX_GLOBALS: Final = 50_000
"""Different classes and functions one pickle may name; a TorchScript archive has one for each of its modules."""

_PYTHON2_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class GlobalTable:
    """Gives each global of one pickle its inert meaning; the same object for the same name.

    Attributes:
        foreign: (module, name) of what the pickle names that is not on the allow-list, in order of appearance.
        shortcut: For tensors that `torch._utils._rebuild_tensor_v2` makes.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], object] = {}
        self.foreign: list[tuple[str, str]] = []
        builder = Builder("torch._utils", "_rebuild_tensor_v2", _checked(_rebuild_tensor_v2))
        self._known["torch._utils", "_rebuild_tensor_v2"] = builder
        self.shortcut = TensorShortcut(builder, measure)

    def find(self, module: str, name: str) -> object:
        """The inert value for a global, never what it names."""
        key = (module, name)
        value = self._known.get(key)
        if value is None:
            if len(self._known) >= MAX_GLOBALS:
                raise LimitExceededError("different globals in one pickle", limit=MAX_GLOBALS, actual=None)
            value = self._known[key] = self._make(_PYTHON2_MODULES.get(module, module), name)
        return value

    def take(self, foreign: Iterable[tuple[str, str]]) -> None:
        """What another table found on no allow-list is so here too."""
        self.foreign = list(dict.fromkeys([*self.foreign, *foreign]))

    def _make(self, module: str, name: str) -> object:
        build = _BUILDERS.get((module, name))
        if build is not None:
            return Builder(module, name, _checked(build))
        if module == "torch":
            dtype = TORCH_ALIASES.get(name, name)
            if dtype in BITS:
                return Dtype(dtype)
        if module.partition(".")[0] == "torch" and name in STORAGE_TYPES:
            dtype = STORAGE_TYPES[name]
            return StorageType(module, name, dtype, BITS[dtype] // 8)
        self.foreign.append((module, name))
        return Global(module, name)


def _checked(build: Callable[[Args], object]) -> Callable[[Args], object]:
    """Turn a call with arguments that do not fit into a MalformedError."""

    def checked(args: Args) -> object:
        try:
            return build(args)
        except (ValueError, TypeError, IndexError, AttributeError):
            raise MalformedError("a tensor is built with arguments that do not fit") from None

    return checked


def is_view(pid: object) -> TypeGuard[tuple[object, ...]]:
    """Whether a persistent id names a part of a storage, with a type of its own."""
    return isinstance(pid, tuple) and len(pid) == 6 and pid[5] is not None


def storage_ref(pid: object) -> object:
    """What a persistent id stands for: a storage, or in old legacy files a module class.

    A storage is ("storage", type, key, location, numel) in a zip; legacy files add None or (view key, offset, size)
    in elements. The module form, ("module", class, source file, source text), gives the class.

    Raises:
        MalformedError: Neither of them.
    """
    if isinstance(pid, tuple) and pid:
        if pid[0] == "storage" and len(pid) in (5, 6):
            return _storage_ref(pid)
        if pid[0] == "module" and len(pid) == 4:
            return pid[1]
    raise MalformedError("a persistent id that names no storage")


def check_size(reference: StorageRef, storage: Storage) -> None:
    """Refuse a reference that reaches past the end of the storage that was found for it.

    Raises:
        TruncatedError: The storage is too short.
    """
    needed = reference.offset + reference.nbytes
    if storage.nbytes < needed:
        raise TruncatedError(f"storage {reference.key!r} has {storage.nbytes:,} bytes of {needed:,}"[:200])


def _storage_ref(pid: tuple[object, ...]) -> StorageRef:
    _, kind, key, _, numel = pid[:5]
    if not isinstance(kind, StorageType):
        raise MalformedError("a storage of a type that is none of torch's")
    dtype, itemsize = kind.dtype, kind.itemsize
    if type(key) is int:
        key = str(key)
    if not isinstance(key, str):
        raise MalformedError("a storage whose key is no string")
    if type(numel) is not int or not 0 <= numel <= MAX_NUMEL:
        raise MalformedError("a storage of negative or absurd size")
    if not is_view(pid):
        return StorageRef(key, dtype, numel * itemsize)
    view = pid[5]
    if isinstance(view, tuple) and len(view) == 3 and type(view[1]) is int and type(view[2]) is int:
        offset, size = view[1], view[2]
        if offset < 0 or size < 0 or offset + size > numel:
            raise MalformedError("a view of a storage reaches past its end")
        return StorageRef(key, dtype, size * itemsize, offset * itemsize)
    raise MalformedError("a view of a storage that is no (key, offset, size)")
