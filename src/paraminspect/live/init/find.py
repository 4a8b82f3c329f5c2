"""The tensors of a live model that rules can mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from paraminspect.live.build.describe import NamedTensor, describe_model, iter_tensors
from paraminspect.records import TensorRecord
from paraminspect.rules.meant import Targets, parameter_targets


def model_targets(model: nn.Module, records: Sequence[TensorRecord] | None = None) -> Targets:
    """The parameters of a model, as `parameter_targets` has them.

    Args:
        records: As `describe_model` made them; None makes them.

    Raises:
        LimitExceededError: Modules by too many names.
    """
    records = records or describe_model(model)
    named = {each.name: each for each in iter_tensors(model)}
    padding = {name: row for name, each in named.items() if (row := _padding_of(each)) is not None}
    found = parameter_targets(records, padding, lambda record: _problem(named[record.name].tensor))
    tensors = tuple(named[record.name].tensor for record in found.records)
    return found._replace(tensors=tensors)


def _problem(tensor: Tensor) -> str:
    if tensor.is_quantized:
        return f"quantised ({str(tensor.dtype).removeprefix('torch.')})"
    if tensor.layout is not torch.strided:
        return f"a tensor of layout {str(tensor.layout).removeprefix('torch.')}"
    return ""


def _padding_of(each: NamedTensor) -> int | None:
    """The row of an embedding's weight that stays zero."""
    is_table = isinstance(each.module, (nn.Embedding, nn.EmbeddingBag)) and each.name.rpartition(".")[2] == "weight"
    row = getattr(each.module, "padding_idx", None) if is_table else None
    return row if isinstance(row, int) else None
