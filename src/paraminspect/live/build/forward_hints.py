"""What to do about a forward pass that fails: the mistakes that are made most, by the module that complains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from paraminspect.text import shape_text


def suggest_remedy(module: nn.Module, inputs: Sequence[object], error: Exception) -> str | None:
    """The next step after `error`, None where there is none to name.

    Args:
        module: The innermost one at work.
        inputs: Of its call.
        error: What it raised.
    """
    text = str(error)
    if isinstance(error, NotImplementedError) and "meta" in text.lower():
        return "this operation has no shape rule on the meta device"
    given = next((each for each in inputs if isinstance(each, Tensor)), None)
    if given is None:
        return None
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return _of_embedding(module, given)
    if isinstance(module, _NormBase) and "more than 1 value per channel" in text:
        return f"statistics of one sample are not defined: a larger batch ({_larger(given)}), or --eval"
    expected = _expected_features(module)
    if expected is not None and given.dim():
        axis, size = expected
        if given.dim() >= abs(axis) and given.shape[axis] != size:
            shape = list(given.shape)
            shape[axis] = size
            return f"it takes {size:,} in dimension {axis if axis >= 0 else given.dim() + axis}: {shape_text(shape)}"
    parameter = next(module.parameters(recurse=False), None)
    if parameter is not None and given.dtype != parameter.dtype:
        found, due = (str(each.dtype).removeprefix("torch.") for each in (given, parameter))
        return f"the input is {found} and the parameters are {due}: dtype: {due} in the input, or --dtype"
    return None


def _of_embedding(module: nn.Embedding | nn.EmbeddingBag, given: Tensor) -> str | None:
    """Indices are integers, and below the number of rows."""
    rows = module.num_embeddings
    wanted = f"{{shape: {shape_text(given.shape)}, dtype: int64, high: {rows}}}"
    if given.dtype not in (torch.int64, torch.int32):
        return f"it takes integers: --input '{wanted}'"
    if given.is_meta or not given.numel():
        return None
    low, high = (int(each) for each in torch.aminmax(given))
    if low < 0 or high >= rows:
        return f"it has {rows:,} rows, the input goes from {low:,} to {high:,}: dtype: int64, high: {rows}"
    return None


def _larger(given: Tensor) -> str:
    return shape_text([2, *given.shape[1:]])


def _expected_features(module: nn.Module) -> tuple[int, int] | None:
    """(dimension, size) that the input of a module must have."""
    if isinstance(module, nn.Linear):
        return -1, module.in_features
    if isinstance(module, nn.RNNBase):
        return -1, module.input_size
    if isinstance(module, nn.modules.conv._ConvNd):
        return -1 - len(module.kernel_size), module.in_channels
    return None
