"""The tensors that rules can mean: of a live model, and of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from paraminspect.live.records import NamedTensor, check_size, iter_tensors
from paraminspect.modules import is_shown
from paraminspect.records import TensorRecord
from paraminspect.rules.plan import Target
from paraminspect.ties import find_canonical

_BUFFER, _ATTRIBUTE, _STATE = "buffers", "plain tensor attributes", "optimizer state"


@dataclass(frozen=True, slots=True)
class Targets:
    """What rules can mean and what they cannot.

    Attributes:
        targets: Parameters, each tensor once, in the order of the model.
        others: (name, what it is) of the other tensors.
        tensors: For a live model, the parameter of each target; empty for a checkpoint.
        records: For a checkpoint, the record of each target; empty for a live model.
    """

    targets: tuple[Target, ...]
    others: tuple[tuple[str, str], ...]
    tensors: tuple[Tensor, ...] = ()
    records: tuple[TensorRecord, ...] = ()


def model_targets(model: nn.Module) -> Targets:
    """The parameters of a model as `named_parameters()` has them, each with its further names.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    check_size(model)
    first: dict[int, NamedTensor] = {}
    aliases: dict[int, list[str]] = {}
    padding: dict[int, int] = {}
    others = []
    for each in iter_tensors(model):
        if each.kind != "parameter":
            others.append((each.name, _BUFFER if each.kind == "buffer" else _ATTRIBUTE))
            continue
        key = id(each.tensor)
        if key in first:
            aliases.setdefault(key, []).append(each.name)
        else:
            first[key] = each
        row = getattr(each.module, "padding_idx", None)
        if isinstance(row, int) and isinstance(each.module, (nn.Embedding, nn.EmbeddingBag)):
            padding[key] = row
    targets = [_model_target(each, aliases.get(key, []), padding.get(key)) for key, each in first.items()]
    return Targets(tuple(targets), tuple(others), tensors=tuple(each.tensor for each in first.values()))


def checkpoint_targets(records: Sequence[TensorRecord]) -> Targets:
    """The tensors of a checkpoint that are or may be parameters; those that hold the same bytes are one."""
    canonical = find_canonical(records)
    aliases: dict[int, list[str]] = {}
    for index, first in enumerate(canonical):
        if first is not None:
            aliases.setdefault(first, []).append(records[index].name)
    targets, kept, others = [], [], []
    for index, record in enumerate(records):
        if not is_shown(record):
            others.append((record.name, _what(record)))
        elif canonical[index] is None:
            targets.append(_record_target(record, aliases.get(index, [])))
            kept.append(record)
    return Targets(tuple(targets), tuple(others), records=tuple(kept))


def _model_target(each: NamedTensor, aliases: Sequence[str], padding_idx: int | None) -> Target:
    tensor = each.tensor
    problem = "" if tensor.layout is torch.strided else f"a tensor of layout {tensor.layout}"
    if nn.parameter.is_lazy(tensor):
        problem = "without a shape yet: run the model once, so that its lazy layers know theirs"
    shape = () if nn.parameter.is_lazy(tensor) else tuple(tensor.shape)
    classes = tuple(f"{cls.__module__}.{cls.__qualname__}" for cls in type(each.module).__mro__[:-1])
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Target(each.name, shape, dtype, classes, tuple(aliases), padding_idx, problem)


def _record_target(record: TensorRecord, aliases: Sequence[str]) -> Target:
    problem = ""
    if record.shape is None or record.layout != "strided":
        kind = f"quantised ({record.dtype})" if record.layout == "gguf" else f"a tensor of layout {record.layout}"
        problem = kind
    classes = (record.module_type,) if record.module_type else ()
    return Target(record.name, record.shape or (), record.dtype, classes, tuple(aliases), None, problem)


def _what(record: TensorRecord) -> str:
    if record.kind == "buffer":
        return _BUFFER
    return _ATTRIBUTE if record.role == "attribute" else _STATE
