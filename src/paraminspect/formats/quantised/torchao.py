"""Tensor subclasses of torchao: what their inner tensors are, as a pickle holds them or flattened in safetensors.

A subclass names its inner tensors and attributes; `torch.save` writes them as they are. For safetensors torchao writes the
inner tensors of `0.weight` as `0._weight_qdata`, `0._weight_scale`, .. and a JSON text for each tensor into the metadata,
whose key is its name and which has the class and the attributes; `tensor_names` lists all of them.

Source: `tensor_data_names` and `dequantize` of the classes of torchao 0.18, `torchao.prototype.safetensors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from paraminspect.errors import MalformedError
from paraminspect.formats.json_text import parse_object
from paraminspect.formats.quantised.found import FLOATS, NotItError, block_of, is_object, must, other
from paraminspect.records import Logical, TensorRecord
from paraminspect.tuples import NamedTuple

ROLES: Final = {"qdata": "weight", "per_tensor_scale": "scale_2"}
"""What decoders call inner tensors, where that is another word."""

INTEGERS: Final = frozenset({"int8", "uint8", "int16", "int32", "int64"})

CLASSES: Final = frozenset(
    {
        "Int8Tensor", "IntxUnpackedToInt8Tensor", "Float8Tensor", "MXTensor", "NVFP4Tensor", "Int4Tensor",
        "Int4PlainInt32Tensor", "Int4TilePackedTo4dTensor",
    }
)  # fmt: skip
"""Whose inner tensors are known."""

NAMES: Final = "tensor_names"
"""Key of the metadata of a flattened file."""


class Wrapped(NamedTuple):
    """One tensor of a subclass.

    Attributes:
        kind: Name of the class.
        name: Of the tensor.
        tensors: Inner ones, by attribute.
        told: The other attributes, types of torch as their names.
        shape: Of the whole; None where only its parts tell.
        dtype: As it passes for; "" where only the attributes tell.
        is_one: Whether the file has it as one object.
    """

    kind: str
    name: str
    tensors: Mapping[str, TensorRecord]
    told: Mapping[str, object]
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    is_one: bool = False


def describe(wrapped: Wrapped) -> Logical | None:
    """What its tensors stand for; None of a class that is not known, or whose tensors do not fit it."""
    try:
        return _describe(wrapped) if wrapped.kind in CLASSES and "qdata" in wrapped.tensors else None
    except NotItError:
        return None


def _describe(wrapped: Wrapped) -> Logical:
    told, main = wrapped.told, wrapped.tensors["qdata"]
    stored = main.shape
    must(stored is not None)
    assert stored is not None
    dtype = wrapped.dtype or next((told[key] for key in ("dtype", "orig_dtype") if key in told), "bfloat16")
    must(dtype in FLOATS)
    parts = [
        ("weight", main),
        *((ROLES.get(key, key), each) for key, each in wrapped.tensors.items() if key != "qdata"),
    ]
    problem, settings = ("", ""), {}
    shape: tuple[int, ...] = stored
    match wrapped.kind:
        case "Int8Tensor" | "IntxUnpackedToInt8Tensor":
            label = f"torchao {told.get('target_dtype', 'int8')!s:.10}"
            scheme, settings = "torchao blocks", {"block": _block(wrapped, stored)}
        case "Float8Tensor":
            label, scheme, settings = "torchao float8", "torchao blocks", {"block": _grid(wrapped, stored)}
        case "MXTensor" if main.dtype.startswith("float8"):
            label, scheme, settings = "torchao mxfp8", "torchao blocks", {"block": _grid(wrapped, stored)}
        case "MXTensor" | "NVFP4Tensor" if main.dtype in ("uint8", "float4_e2m1fn_x2"):
            label = "torchao mxfp4" if wrapped.kind == "MXTensor" else "torchao nvfp4"
            shape, scheme = (*stored[:-1], 2 * stored[-1]), "torchao pairs"
            settings = {"block": _grid(wrapped, shape)}
        case _:
            label, scheme, shape = "torchao int4", "torchao int4", _sizes(told.get("shape"))
            problem = other(f"a {wrapped.kind}, which torchao itself decodes on its devices alone,")
    if told.get("is_swizzled_scales") is True:
        problem = other("scales in the order of a device")
    if wrapped.shape is not None:
        must(wrapped.shape == shape)
    return Logical(
        scheme, label, wrapped.name, shape, math.prod(shape), str(dtype), tuple(parts), tuple(settings.items()), *problem,
        is_one=wrapped.is_one,
    )  # fmt: skip


def _sizes(value: object) -> tuple[int, ...]:
    must(isinstance(value, list | tuple) and all(type(size) is int and size > 0 for size in value))
    assert isinstance(value, list | tuple)
    return tuple(value)


def _block(wrapped: Wrapped, shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a block that one scale is for, as the class says."""
    block = _sizes(wrapped.told.get("block_size"))
    must(len(block) == len(shape) >= 2 and all(size % each == 0 for size, each in zip(shape, block, strict=True)))
    scales = wrapped.tensors.get("scale")
    must(scales is not None)
    assert scales is not None
    must(scales.numel == math.prod(size // each for size, each in zip(shape, block, strict=True)))
    must(set(block[:-2]) <= {1} or scales.numel == 1)
    must(scales.numel == 1 or (scales.shape is not None and scales.shape[-1] == shape[-1] // block[-1]))
    zero = wrapped.tensors.get("zero_point")
    must(zero is None or (zero.dtype in INTEGERS and zero.numel == scales.numel))
    return block[-2], block[-1]


def _grid(wrapped: Wrapped, shape: tuple[int, ...]) -> tuple[int, int]:
    """The same, as the numbers of scales say."""
    scales = wrapped.tensors.get("scale")
    must(scales is not None and scales.shape is not None and len(shape) >= 2)
    assert scales is not None
    assert scales.shape is not None
    if scales.numel == 1:
        return shape[-2], shape[-1]
    return block_of(shape, scales.shape)


def is_flattened(text: str) -> bool:
    """Whether a value of the metadata tells of a tensor that torchao has flattened."""
    return text.startswith('{"_type"')


def find_flattened(metadata: Mapping[str, str], by_name: Mapping[str, TensorRecord]) -> Iterator[Logical]:
    """Tensors of a safetensors file that torchao has flattened."""
    if NAMES not in metadata:
        return
    for name, text in metadata.items():
        module, dot, last = name.rpartition(".")
        if name == NAMES or not is_flattened(text) or not dot:
            continue
        try:
            said = parse_object(text, "the metadata")
        except MalformedError:
            continue
        kind, keys, told = said.get("_type"), said.get("_tensor_data_names"), said.get("_data")
        if not isinstance(kind, str) or not isinstance(keys, list) or not is_object(told):
            continue
        found = {key: by_name.get(f"{module}._{last}_{key}") for key in keys if isinstance(key, str)}
        tensors = {key: record for key, record in found.items() if record is not None}
        if len(tensors) == len(keys):
            plain = {key: _plain(value) for key, value in told.items()}
            logical = describe(Wrapped(kind, name, tensors, plain))
            if logical is not None:
                yield logical


def _plain(value: Any) -> object:
    """An attribute; types of torch as their names."""
    if is_object(value) and value.get("_type") == "torch.dtype":
        return value.get("_data")
    return value
