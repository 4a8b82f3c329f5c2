"""What a layer of torch.nn holds and prints, by the rows of `torch_layers`, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, Final

from paraminspect.architecture.argument_kinds import MAX_SIZE, bind_values, read_takes
from paraminspect.architecture.expressions import evaluate
from paraminspect.architecture.layer_rows import HELD, DoubtError, LayerRow, says
from paraminspect.architecture.model import Value
from paraminspect.architecture.plan import Parametrization
from paraminspect.architecture.torch_layers import INSIDE, LAYERS
from paraminspect.errors import SpecError
from paraminspect.tuples import NamedTuple

MODULE: Final = "torch.nn.modules.module.Module"


class HeldTensor(NamedTuple):
    """A parameter or buffer of a layer.

    Attributes:
        name: In the layer.
        shape: (d0, ..., dn).
        dtype: torch's name.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class LayerFacts(NamedTuple):
    """What is known of a layer.

    Attributes:
        classes: Dotted, its own first.
        extra: Its arguments, as `print` shows them.
        parts: Modules inside, by name, in order.
        padding_idx: Row of an embedding that stays zero; None where there is none.
    """

    classes: tuple[str, ...]
    extra: str = ""
    parameters: tuple[HeldTensor, ...] = ()
    buffers: tuple[HeldTensor, ...] = ()
    parts: tuple[tuple[str, LayerFacts], ...] = ()
    padding_idx: int | None = None


def layer_facts(name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> LayerFacts:
    """What torch would build.

    Args:
        name: Of a class of torch.nn.

    Raises:
        DoubtError: The table does not know the class, or does not admit the arguments.
    """
    return _facts(name, tuple(map(_typed, args)), tuple((key, _typed(value)) for key, value in kwargs.items()))


def _typed(value: Value) -> tuple[type, Any]:
    """The value with its type: for a cache, 1 and 1.0 and true are one key otherwise."""
    return type(value), tuple(map(_typed, value)) if isinstance(value, tuple) else value


def _value(typed: tuple[type, Any]) -> Any:
    return tuple(map(_value, typed[1])) if typed[0] is tuple else typed[1]


@lru_cache(maxsize=4096)
def _facts(name: str, args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> LayerFacts:
    row = LAYERS.get(name)
    if row is None:
        raise DoubtError
    return _of_row(name, row, [_value(each) for each in args], {key: _value(each) for key, each in kwargs})


def _of_row(name: str, row: LayerRow, args: Sequence[Any], kwargs: Mapping[str, Any]) -> LayerFacts:
    classes = (*(f"torch.nn.modules.{each}" for each in row.derives), MODULE)
    if row.takes == "...":
        return LayerFacts(classes)
    taken = read_takes(row.takes)
    values = bind_values(taken, args, kwargs, int(name[-2]) if name[-2:] in ("1d", "2d", "3d") else 1)
    if row.settle is not None:
        row.settle(values)
    dtype = values.get("dtype") or "float32"
    parts = row.parts(values) if row.parts is not None else ()
    inside = {**LAYERS, **INSIDE} if parts else {}
    facts = LayerFacts(
        classes,
        says(row.says, values, _defaults(row.takes)),
        _read_held(values.get(HELD, row.holds), values, dtype),
        _read_held(row.keeps, values, dtype),
        tuple((part, _of_row(kind, inside[kind], (), given)) for part, kind, given in parts),
        values.get("padding_idx"),
    )
    if any(prod(each.shape) >= MAX_SIZE * MAX_SIZE // 8 for each in facts.parameters):
        raise DoubtError
    return facts


@lru_cache(maxsize=256)
def _defaults(text: str) -> Mapping[str, Any]:
    return {"proj_size": 0, **{each.name: each.default for each in read_takes(text)}}


def _read_held(text: str, values: Mapping[str, Any], dtype: str) -> tuple[HeldTensor, ...]:
    found = []
    for word in text.split():
        name, _, rest = word.partition("[")
        shape, _, more = rest.partition("]")
        own, _, condition = more.partition("?")
        if not condition or values[condition]:
            found.append(HeldTensor(name, _read_shape(shape, values), own[1:] or dtype))
    return tuple(found)


def _read_shape(text: str, values: Mapping[str, Any]) -> tuple[int, ...]:
    shape: list[int] = []
    for each in text.split(",") if text else ():
        if each[0] == "*":
            shape += values[each[1:]]
            continue
        try:
            size = values[each] if each in values else int(each) if each.isdecimal() else evaluate(each, values)
        except SpecError:
            raise DoubtError from None
        if not isinstance(size, int):
            raise DoubtError
        shape.append(size)
    return tuple(shape)


Shapes = dict[str, tuple[int, ...]]


def parametrization_facts(
    each: Parametrization, shape: tuple[int, ...], dtype: str, classes: Sequence[str]
) -> tuple[str, Shapes, Shapes]:
    """What torch makes of a tensor that is parametrized: (class, parameters, buffers).

    Args:
        classes: Of the layer.

    Raises:
        DoubtError: It is not known.
    """
    if len(shape) < 2 or dtype != "float32":
        raise DoubtError
    match each.kind:
        case "weight_norm":
            dim = each.kwargs["dim"]
            if dim not in (-1, 0, len(shape) - 1) or not isinstance(dim, int):
                raise DoubtError
            kept = tuple(size if place == dim else 1 for place, size in enumerate(shape)) if dim >= 0 else ()
            return "_WeightNorm", {"original0": kept, "original1": shape}, {}
        case "spectral_norm":
            dim = int("torch.nn.modules.conv._ConvTransposeNd" in classes)
            rest = prod(shape) // shape[dim]
            return "_SpectralNorm", {"original": shape}, {"_u": (shape[dim],), "_v": (rest,)}
        case "orthogonal" if len(shape) == 2:
            return "_Orthogonal", {"original": shape}, {"base": (max(shape),) * 2}
    raise DoubtError
