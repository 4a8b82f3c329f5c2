"""The tensors that rules can mean: of a live model, and of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paraminspect.live.build.describe import NamedTensor, describe_model, iter_tensors
from paraminspect.names.listing import is_shown
from paraminspect.records import Classes, TensorRecord
from paraminspect.rules.targets import Other, Target
from paraminspect.tied.shared_bytes import find_canonical

_BUFFER, _ATTRIBUTE, _STATE = "buffers", "plain tensor attributes", "optimizer state"
_PART = "parts of quantised tensors"


@dataclass(frozen=True, slots=True)
class Targets:
    """What rules can mean and what they cannot.

    Attributes:
        targets: Parameters, each tensor once, in the order of the model.
        tensors: For a live model, the parameter of each target; empty for a checkpoint.
        records: For a checkpoint, the record of each target; empty for a live model.
    """

    targets: tuple[Target, ...]
    others: tuple[Other, ...]
    tensors: tuple[Tensor, ...] = ()
    records: tuple[TensorRecord, ...] = ()


def model_targets(model: nn.Module, records: Sequence[TensorRecord] | None = None) -> Targets:
    """The parameters of a model as `named_parameters()` has them, each with its further names.

    Two parameters that hold the same bytes are one, as two names of one parameter are.

    Args:
        records: As `describe_model` made them; None makes them.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    described = list(zip(iter_tensors(model), records or describe_model(model), strict=True))
    parameters = [(each, record.classes) for each, record in described if each.kind == "parameter"]
    canonical = find_canonical([record for each, record in described if each.kind == "parameter"])
    names: dict[int, list[tuple[NamedTensor, Classes]]] = {}
    for index, (each, classes) in enumerate(parameters):
        first = canonical[index]
        names.setdefault(id(parameters[index if first is None else first][0].tensor), []).append((each, classes))
    others = [
        Other(record.name, _BUFFER if record.kind == "buffer" else _ATTRIBUTE, record.classes)
        for each, record in described
        if each.kind != "parameter"
    ]
    tensors = tuple(first.tensor for (first, _), *_ in names.values())
    return Targets(tuple(map(_model_target, names.values())), tuple(others), tensors=tensors)


def checkpoint_targets(records: Sequence[TensorRecord]) -> Targets:
    """The tensors of a checkpoint that are or may be parameters; those that hold the same bytes are one."""
    shown = [record for record in records if is_shown(record)]
    names: dict[int, list[TensorRecord]] = {}
    for index, first in enumerate(find_canonical(shown)):
        names.setdefault(index if first is None else first, []).append(shown[index])
    others = tuple(Other(record.name, _what(record), record.classes) for record in records if not is_shown(record))
    kept = tuple(first for first, *_ in names.values())
    return Targets(tuple(map(_record_target, names.values())), others, records=kept)


def _model_target(names: Sequence[tuple[NamedTensor, Classes]]) -> Target:
    """The target of one parameter, met by all these names."""
    (first, classes), *aliases = names
    tensor = first.tensor
    is_lazy = nn.parameter.is_lazy(tensor)
    if is_lazy:
        problem = "without a shape yet: run the model once, so that its lazy layers know theirs"
    elif tensor.is_quantized:
        problem = f"quantised ({_dtype_of(tensor)})"
    elif tensor.layout is not torch.strided:
        problem = f"a tensor of layout {str(tensor.layout).removeprefix('torch.')}"
    else:
        problem = _why_shared(tuple(tensor.shape), tensor.stride())
    return Target(
        first.name,
        () if is_lazy else tuple(tensor.shape),
        _dtype_of(tensor),
        classes,
        tuple(each.name for each, _ in aliases),
        next((row for each, _ in names if (row := _padding_of(each)) is not None), None),
        problem,
        tuple(classes for _, classes in aliases),
    )


def _record_target(names: Sequence[TensorRecord]) -> Target:
    """The target of one stored tensor, met by all these names."""
    record, *aliases = names
    if record.layout == "gguf" or record.logical is not None:
        problem = f"quantised ({record.encoding_label or record.dtype})"
    elif record.shape is None or record.layout not in ("strided", "chunked"):
        problem = "ragged" if record.shape is None else f"of layout {record.layout}"
    else:
        problem = _why_shared(record.shape, record.stride)
    return Target(
        record.name,
        record.shape or (),
        record.dtype,
        record.classes,
        tuple(each.name for each in aliases),
        None,
        problem,
        tuple(each.classes for each in aliases),
    )


def _why_shared(shape: tuple[int, ...], stride: tuple[int, ...] | None) -> str:
    """Why the elements of a tensor cannot have values of their own."""
    is_expanded = stride is not None and any(size > 1 and not step for size, step in zip(shape, stride, strict=True))
    return "expanded: many of its elements are one in memory" if is_expanded else ""


def _padding_of(each: NamedTensor) -> int | None:
    """The row of an embedding's weight that stays zero."""
    is_table = isinstance(each.module, (nn.Embedding, nn.EmbeddingBag)) and each.name.rpartition(".")[2] == "weight"
    row = getattr(each.module, "padding_idx", None) if is_table else None
    return row if isinstance(row, int) else None


def _dtype_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _what(record: TensorRecord) -> str:
    if record.kind == "buffer":
        return _BUFFER
    return {"attribute": _ATTRIBUTE, "part": _PART}.get(record.role, _STATE)
