"""Which rows of a batch, its dimension 0, each of several processes is fed: its part where they go through the model apart.

A row goes apart if no module lets it see another one and the loss is a sum or a mean over rows. That is known of the
modules of a table, and seen in a run on the meta device with as many rows as nothing else has elements: that number has to
be the first dimension, and no other one, of all that comes of the rows. Of everything else nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear  # of MultiheadAttention

from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import ParamInspectError
from paraminspect.live.build import functions, layers
from paraminspect.live.build.containers import Flow, MixtureOfExperts, Parallel, Residual, is_block
from paraminspect.live.build.forward import Call, CallPaths, Inputs, call_model, iter_tensors, map_tensors
from paraminspect.tuples import NamedTuple

TRIED: Final = 100_003
"""Rows of the run on the meta device: a prime, so that nothing is folded into it, and of a size that nothing else has."""


class Rows(NamedTuple):
    """What one process is fed of a batch.

    Attributes:
        start: Its first row.
        stop: The one after its last.
        total: Of the batch.
        parts: Processes that have some.
    """

    start: int
    stop: int
    total: int
    parts: int

    def of(self, tensor: Tensor) -> Tensor:
        """These rows."""
        return tensor[self.start : self.stop]

    def whole_shape(self, shape: Sequence[int]) -> torch.Size:
        """Of the tensor of all rows, from that of these."""
        return torch.Size((self.total, *shape[1:]))


def share_rows(total: int, rank: int, parts: int) -> Rows:
    """Those of one process, about as many as any other has."""
    return Rows(total * rank // parts, total * (rank + 1) // parts, total, parts)


def count_rows(inputs: Inputs) -> int | None:
    """How many there are; None where not everything that a model is called with has as many."""
    sizes = {each.shape[0] if each.dim() else None for each in iter_tensors(tuple(inputs))}
    return sizes.pop() if len(sizes) == 1 and all(map(_is_tensor, _leaves(inputs))) else None


def why_together(model: nn.Module, inputs: Inputs, plan: ModelPlan | None, loss: Callable[[object], str]) -> str:
    """Why the rows of a batch do not go through a model apart, in words; "" where it is known that they do.

    Args:
        model: On the meta device, in the mode that it will run in.
        loss: Why the loss of an output, which is on that device, is not added up over rows; "" where it is.
    """
    for path, module in model.named_modules():
        why = _objection(module)
        if why:
            return f"{path or 'the model'} ({type(module).__name__}) {why}"
    found: list[str] = []

    def look(call: Call, output: object) -> None:
        if not found and not _keeps_apart(call, output):
            found.append(f"{call.path or 'the model'} ({type(call.module).__name__}) does not keep its rows apart")

    many = Inputs(*map_tensors(tuple(inputs), lambda each: each.new_empty((TRIED, *each.shape[1:]), device="meta")))
    try:
        with torch.enable_grad(), torch.device("meta"), CallPaths(model, look) as calls:
            output = call_model(calls, many.positional, many.named, plan=plan)
    except (ParamInspectError, MemoryError):
        return found[0] if found else "the model takes no other number of rows"
    return found[0] if found else loss(output)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


_ANY: Final = frozenset(
    {
        *(nn.Sequential, nn.ModuleList, nn.ModuleDict, Flow, Parallel, Residual, MixtureOfExperts),
        *(nn.TransformerEncoder, nn.TransformerDecoder),
        *(
            nn.Identity,
            nn.Linear,
            NonDynamicallyQuantizableLinear,
            nn.Bilinear,
            nn.Flatten,
            nn.Unflatten,
            nn.CosineSimilarity,
            nn.PairwiseDistance,
        ),
        *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
        *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
        *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.LPPool1d, nn.LPPool2d),
        *(nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d, nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
        *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d),
        *(nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
        *(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, nn.PixelShuffle, nn.PixelUnshuffle),
        *(nn.ChannelShuffle, nn.Fold, nn.Unfold, nn.RNNCell, nn.LSTMCell, nn.GRUCell),
        *(nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.LocalResponseNorm),
        *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.GLU, nn.SiLU, nn.Mish),
        *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Tanhshrink, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Threshold),
        *(nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh),
        *(layers.Add, layers.Multiply, layers.Concat, layers.Rotary, layers.Transpose, layers.Select),
        *(functions.Reshape, functions.Permute, functions.Squeeze, functions.Unsqueeze, functions.Expand),
        *(functions.Stack, functions.Mean, functions.Sum, functions.Max, functions.Min, functions.Scale),
        *(functions.Power, functions.Exp, functions.Log, functions.Abs, functions.Sin, functions.Cos),
        *(functions.Subtract, functions.Divide, functions.Maximum, functions.Minimum, functions.MatMul),
        *(functions.CausalMask, functions.Equal, functions.MaskFill, functions.Interpolate, functions.Crop),
        functions.Detach,
    }
)
"""Modules in which rows meet, if they do, in a way that the shapes of what they give tell."""

_DIMENSION: Final[Mapping[type[nn.Module], str]] = {
    nn.Softmax: "dim",
    nn.LogSoftmax: "dim",
    nn.Softmin: "dim",
    layers.Positions: "dim",
    functions.Normalize: "dim",
    functions.Slice: "dim",
    functions.Chunk: "dim",
    functions.Split: "dim",
    functions.Gather: "dim",
    functions.IndexSelect: "dim",
    functions.Flip: "dims",
    functions.Roll: "dims",
}
"""Modules that work along a dimension, or some, and what has it: rows meet where it is theirs."""

_STATISTICS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECURRENT: Final = (nn.RNN, nn.LSTM, nn.GRU)
_CHANCE: Final[Mapping[type[nn.Module], str]] = {
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), "p"),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout), "p"),
    **dict.fromkeys((nn.MultiheadAttention, layers.Attention, *_RECURRENT), "dropout"),
}
"""Modules that draw while they are trained, and what has the probability."""

_BATCH_FIRST: Final[Mapping[type[nn.Module], Callable[[Any], bool]]] = {
    **dict.fromkeys((nn.MultiheadAttention, nn.Transformer, *_RECURRENT), lambda module: module.batch_first),
    **dict.fromkeys(
        (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer), lambda module: module.self_attn.batch_first
    ),
}
"""Modules of sequences, whose inputs have three dimensions; whether rows come first."""

_SHAPE_ALONE: Final = (layers.Positions, functions.CausalMask)
"""Modules that make something of the size of a dimension, whatever is in there."""

_SINGLE: Final = (nn.Softmax2d, nn.Embedding, functions.Einsum, functions.Noise)
"""Modules of which each is judged by itself."""

_KNOWN: Final = _ANY | {*_DIMENSION, *_STATISTICS, *_CHANCE, *_BATCH_FIRST, *_SINGLE}


def _type(module: nn.Module) -> type[nn.Module]:
    """Of a block of a spec that of the container that it is."""
    kind = type(module)
    return kind.__base__ if is_block(kind) and kind.__base__ is not None else kind


def _objection(module: Any) -> str:
    """Why a module lets rows see each other, or cannot be judged, whatever it is called with; "" for nothing."""
    kind = _type(module)
    is_plain = kind is not nn.Embedding or (module.max_norm is None and not module.scale_grad_by_freq)
    hooks = [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks]
    hooks += [each._backward_hooks for each in module.parameters(recurse=False)]
    if kind not in _KNOWN or not is_plain or "forward" in vars(module) or any(hooks):
        return "is not known to keep rows apart"
    if kind in _STATISTICS and (module.training or module.running_mean is None):
        return "takes statistics of the whole batch"
    if kind is functions.Noise or (kind in _CHANCE and module.training and getattr(module, _CHANCE[kind])):
        return "draws random numbers for the whole batch"
    return "" if kind not in _BATCH_FIRST or _BATCH_FIRST[kind](module) else "has rows in dimension 1"


def _keeps_apart(call: Call, output: object) -> bool:
    """Whether what a call gives has rows as what it was given."""
    module, kind = call.module, _type(call.module)
    given = list(iter_tensors(call.inputs))
    made = list(iter_tensors(output))
    if kind in _RECURRENT and isinstance(output, tuple):
        made = made[:1]  # states have rows in dimension 1, which is seen where they are used
    if not any(TRIED in each.shape for each in given):
        return not any(TRIED in each.shape for each in made)
    free = [each for each in made if TRIED not in each.shape]
    return (
        all(_has_rows(each) for each in (*given, *made) if TRIED in each.shape)
        and (not free or kind in _SHAPE_ALONE)
        and _works_within(module, kind, given)
    )


def _has_rows(tensor: Tensor) -> bool:
    return tensor.shape[0] == TRIED and TRIED not in tensor.shape[1:]


def _works_within(module: Any, kind: type[nn.Module], given: Sequence[Tensor]) -> bool:
    """Whether a module that could work along dimension 0 of what it is given does not."""
    if kind in _BATCH_FIRST:
        return given[0].dim() == 3 and (kind not in _RECURRENT or len(given) == 1)
    if kind is nn.Softmax2d:
        return given[0].dim() == 4
    if kind is functions.Einsum:
        return _sums_no_rows(module.equation)
    if kind not in _DIMENSION:
        return True
    dims: int | Sequence[int] | None = getattr(module, _DIMENSION[kind])
    if dims is None:  # torch takes dimension 0 of tensors of 0, 1 and 3
        return given[0].dim() not in (0, 1, 3)
    return all(dim % max(given[0].dim(), 1) for dim in ((dims,) if isinstance(dims, int) else dims))


def _sums_no_rows(equation: str) -> bool:
    """Whether all terms, and the result, begin with one letter that is nowhere else."""
    terms = equation.replace(" ", "").replace("->", ",").split(",")
    return "->" in equation and terms[0][:1].isalpha() and all(term.rfind(terms[0][0]) == 0 for term in terms)
