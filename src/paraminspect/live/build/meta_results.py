"""What common operations return on the meta device.

Torch's own kernels for that device are in Python, and the first that runs imports sympy and a compiler: 1.2 s, as much as
a forward and a backward pass of GPT-2. So what plain layers call has its shape from here. A rule answers only where the
operation is sure to succeed and its result to be laid out as torch does it; whatever else there is goes to torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

Result = Tensor | tuple[Tensor, ...]
Rule = Callable[..., Result | None]
Shape = Sequence[int]

FLOATS: Final = frozenset({torch.float32, torch.float64})
"""Types that no operation below widens."""

PICTURES: Final = (4, 5)
"""Dimensions of what may have its channels last in memory."""

POINTWISE: Final = frozenset({
    "abs.default", "add.Tensor", "cos.default", "div.Tensor", "elu.default", "exp.default", "gelu.default", "hardswish.default",
    "hardtanh.default", "leaky_relu.default", "mish.default", "mul.Scalar", "mul.Tensor", "neg.default", "pow.Scalar",
    "pow.Tensor_Scalar", "relu.default", "rsqrt.default", "sigmoid.default", "silu.default", "sin.default",
    "softplus.default", "sqrt.default", "sub.Tensor", "tanh.default", "where.self",
})  # fmt: skip
"""Operations that give numbers of the type that they are given, one an element of what they broadcast to."""

WRITING: Final = frozenset({"add_.Scalar", "elu_.default", "hardtanh_.default", "leaky_relu_.default", "relu_.default", "silu_.default"})  # fmt: skip
"""The same, of one tensor, which they write into."""


def result_of(func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Result | None:
    """What an operation returns, on the meta device; None where that is for torch to say.

    Args:
        func: As `__torch_dispatch__` has it.
    """
    name = func.name().removeprefix("aten::")
    name = name if "." in name else f"{name}.default"
    rule = _pointwise if name in POINTWISE else _writing if name in WRITING else _RULES.get(name)
    if rule is None or not all(_is_plain(each) for each in (*args, *named.values())):
        return None
    return rule(*args, **named)


def _is_plain(given: object) -> bool:
    """No tensor, or a plain one of the meta device, whose numbers are real."""
    if isinstance(given, (list, tuple)):
        return all(_is_plain(each) for each in given)
    if not isinstance(given, Tensor):
        return not isinstance(given, complex)
    return (
        type(given) in (Tensor, torch.nn.Parameter)
        and given.is_meta
        and given.layout == torch.strided
        and (given.dtype in FLOATS or not given.is_floating_point())
        and not given.is_complex()
    )


def _made(like: Tensor, shape: Shape, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or like.dtype, device="meta")


def _pointwise(*given: Any, **_: Any) -> Tensor | None:
    tensors = [each for each in given if isinstance(each, Tensor)]
    numbers = [each for each in tensors if each.dtype != torch.bool]  # `where` has a mask
    if not numbers or {each.dtype for each in numbers} - FLOATS or len({each.dtype for each in numbers}) > 1:
        return None
    if len({each.shape for each in tensors}) == 1 and numbers[0] is tensors[0]:
        return _dense(tensors[0])
    shape = _broadcast([each.shape for each in tensors])
    return _made(numbers[0], shape) if shape is not None and all(map(_is_in_order, tensors)) else None


def _is_in_order(x: Tensor) -> bool:
    """Whether each dimension lies inside of the one before it, gaps or not; those of one element lie anywhere."""
    strides = [stride for size, stride in zip(x.shape, x.stride(), strict=True) if size > 1]
    return all(outer > inner for outer, inner in itertools.pairwise([*strides, 0]))


def _dense(x: Tensor) -> Tensor | None:
    """A tensor like it without gaps, its dimensions in the same order in memory."""
    strides, step = [1] * x.dim(), 1
    if any(size > 1 and not stride for size, stride in zip(x.shape, x.stride(), strict=True)):
        return None
    for place in sorted(range(x.dim()), key=lambda place: (x.stride(place), -place)):
        if x.shape[place] != 1:
            strides[place], step = step, step * x.shape[place]
    return torch.empty_strided(x.shape, strides, dtype=x.dtype, device="meta")


def _writing(x: Tensor, *_: Any, **__: Any) -> Tensor | None:
    return x if x.dtype in FLOATS else None


def _broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """What shapes broadcast to."""
    found = [1] * max(map(len, shapes))
    for shape in shapes:
        for place, size in enumerate(reversed(shape), 1):
            if size != 1:
                if found[-place] not in (1, size):
                    return None
                found[-place] = size
    return found


def _fits(*tensors: Tensor) -> bool:
    """Floating-point numbers of one type."""
    return {each.dtype for each in tensors} <= FLOATS and len({each.dtype for each in tensors}) == 1


def _mm(a: Tensor, b: Tensor) -> Tensor | None:
    if not _fits(a, b) or a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        return None
    return _made(a, (a.shape[0], b.shape[1]))


def _bmm(a: Tensor, b: Tensor) -> Tensor | None:
    if not _fits(a, b) or a.dim() != 3 or b.dim() != 3 or a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return None
    return _made(a, (*a.shape[:2], b.shape[2]))


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Tensor | None:
    made = _mm(a, b)
    fits = made is not None and _fits(bias, a) and _broadcast([bias.shape, made.shape]) == [*made.shape]
    return made if fits else None


def _alike(x: Tensor, *_: Any) -> Tensor | None:
    """A contiguous tensor of the same shape and type: softmax, a triangle."""
    return _made(x, x.shape) if x.dtype in FLOATS and x.dim() and x.is_contiguous() else None


def _softmax(x: Tensor, dim: int, other: object = None) -> Tensor | None:
    return None if other or not -x.dim() <= dim < x.dim() else _alike(x)


def _tril(x: Tensor, diagonal: int = 0) -> Tensor | None:
    return _made(x, x.shape) if x.dim() >= 2 and x.is_contiguous() else None


def _layer_norm(x: Tensor, shape: Shape, weight: Tensor | None, bias: Tensor | None, _: float) -> Result | None:
    own = [each for each in (weight, bias) if each is not None]
    lead = x.dim() - len(shape)
    if lead < 0 or [*x.shape[lead:]] != [*shape] or not _fits(x, *own):
        return None
    if any([*each.shape] != [*shape] for each in own):
        return None
    small = (*x.shape[:lead], *[1] * len(shape))
    return _made(x, x.shape), _made(x, small), _made(x, small)


def _batch_norm(x: Tensor, *given: Any) -> Result | None:
    *tensors, training, _, _ = given
    own = [each for each in tensors if each is not None]
    if training or None in tensors[2:] or x.dim() < 2 or not _fits(x, *own) or not x.is_contiguous():
        return None
    if any([*each.shape] != [x.shape[1]] for each in own):
        return None
    return _made(x, x.shape), _made(x, (0,)), _made(x, (0,))


def _embedding(weight: Tensor, indices: Tensor, *_: object) -> Tensor | None:
    if weight.dim() != 2 or weight.dtype not in FLOATS or indices.dtype not in (torch.int64, torch.int32):
        return None
    return _made(weight, (*indices.shape, weight.shape[1]))


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if not _fits(*tensors) or not -first.dim() <= dim < first.dim():
        return None
    dim %= first.dim()
    rest = {(*each.shape[:dim], *each.shape[dim + 1 :]) for each in tensors}
    if len(rest) > 1 or any(each.dim() != first.dim() for each in tensors):
        return None
    if first.dim() in PICTURES and not all(each.is_contiguous() for each in tensors):  # channels may come last
        return None
    return _made(first, (*first.shape[:dim], sum(each.shape[dim] for each in tensors), *first.shape[dim + 1 :]))


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if (
        not _fits(*tensors)
        or len({each.shape for each in tensors}) > 1
        or not -first.dim() <= dim + 1 <= first.dim() + 1
    ):
        return None
    dim %= first.dim() + 1
    return _made(first, (*first.shape[:dim], len(tensors), *first.shape[dim:]))


def _reduced(x: Tensor, dims: Shape | None, keepdim: bool = False, *, dtype: object = None) -> Tensor | None:
    """A mean or a sum."""
    if x.dtype not in FLOATS or dtype is not None or not dims or not x.is_contiguous():
        return None
    if not all(-x.dim() <= dim < x.dim() for dim in dims) or len({dim % x.dim() for dim in dims}) < len(dims):
        return None
    gone = {dim % x.dim() for dim in dims}
    return _made(
        x, [1 if place in gone else size for place, size in enumerate(x.shape) if keepdim or place not in gone]
    )


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor | None:
    stride, padding, dilation, transposed, output_padding, groups = how
    given = [x, weight, *([] if bias is None else [bias])]
    if x.dim() not in (3, *PICTURES) or x.dim() != weight.dim() or not _fits(*given) or not x.numel():
        return None
    if not weight.is_contiguous() or not x.is_contiguous() or weight.shape[0] % groups:
        return None
    channels = (weight.shape[0], weight.shape[1] * groups)
    made, taken = reversed(channels) if transposed else channels
    if x.shape[1] != taken or (bias is not None and [*bias.shape] != [made]):
        return None
    where = (x.shape[2:], weight.shape[2:], stride, padding, dilation)
    sizes = _spread(*where, output_padding) if transposed else _windows(*where)
    return None if sizes is None else _made(x, (x.shape[0], made, *sizes))


def _spread(sizes: Shape, kernel: Shape, *how: Shape) -> list[int] | None:
    """How much a transposed convolution makes of each dimension."""
    found = []
    for size, wide, step, pad, apart, more in zip(
        sizes, kernel, *(_each(each, len(sizes)) for each in how), strict=True
    ):
        made = (size - 1) * step - 2 * pad + apart * (wide - 1) + more + 1
        if min(size, wide, step, apart, made) < 1 or pad < 0 or not 0 <= more < max(step, apart):
            return None
        found.append(made)
    return found


def _windows(sizes: Shape, kernel: Shape, stride: Shape, *how: Shape) -> list[int] | None:
    """How often a kernel fits, a dimension; None where it does not, or the numbers are no such ones."""
    every = [_each(given, len(sizes)) for given in (kernel, stride or kernel, *how)]
    found = []
    for size, wide, step, pad, apart in zip(sizes, *every, strict=True):
        room = size + 2 * pad - apart * (wide - 1) - 1
        if min(size, wide, step, apart) < 1 or pad < 0 or room < 0:
            return None
        found.append(room // step + 1)
    return found


def _each(given: Shape, ways: int) -> Shape:
    return [*given] * ways if len(given) == 1 else given


def _max_pool(x: Tensor, kernel: Shape, stride: Shape = (), padding: Shape = (0,), *more: Any) -> Result | None:
    dilation = more[0] if more else (1,)
    rounds_up = more[1] if more[1:] else False
    made = None if rounds_up else _pooled(x, kernel, stride, padding, dilation)
    return None if made is None else (made, _made(made, made.shape, torch.int64))


def _avg_pool(x: Tensor, kernel: Shape, stride: Shape = (), padding: Shape = (0,), *more: Any) -> Tensor | None:
    return None if more and more[0] else _pooled(x, kernel, stride, padding, (1,))  # the rest changes no shape


def _pooled(x: Tensor, *windows: Shape) -> Tensor | None:
    kernel, _, padding, _ = windows
    if x.dim() != 4 or x.dtype not in FLOATS or not x.is_contiguous() or not x.numel():
        return None
    if any(2 * pad > wide for pad, wide in zip(_each(padding, 2), _each(kernel, 2), strict=True)):
        return None
    sizes = _windows(x.shape[2:], *windows)
    return None if sizes is None else _made(x, (*x.shape[:2], *sizes))


def _adaptive_pool(x: Tensor, sizes: Shape) -> Tensor | None:
    if x.dim() != 4 or x.dtype not in FLOATS or not x.is_contiguous() or not math.prod(x.shape[1:]) or min(sizes) < 1:
        return None
    return _made(x, (*x.shape[:2], *sizes))


def _arange(end: float, *, dtype: torch.dtype | None = None, **_: Any) -> Tensor | None:
    if not isinstance(end, int) or end < 0:
        return None
    return torch.empty((end,), dtype=dtype or torch.int64, device="meta")


_RULES: Final[Mapping[str, Rule]] = {
    "_adaptive_avg_pool2d.default": _adaptive_pool,
    "_safe_softmax.default": _softmax,
    "_softmax.default": _softmax,
    "addmm.default": _addmm,
    "arange.default": _arange,
    "avg_pool2d.default": _avg_pool,
    "bmm.default": _bmm,
    "cat.default": _cat,
    "convolution.default": _convolution,
    "embedding.default": _embedding,
    "max_pool2d_with_indices.default": _max_pool,
    "mean.dim": _reduced,
    "mm.default": _mm,
    "native_batch_norm.default": _batch_norm,
    "native_layer_norm.default": _layer_norm,
    "stack.default": _stack,
    "sum.dim_IntList": _reduced,
    "tril.default": _tril,
}
