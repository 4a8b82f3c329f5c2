# ruff: noqa: D101 - what each class computes is said by its row of the table, which becomes its docstring
"""The built-ins that are functions of tensors as modules, after the table `architecture.functions.FUNCTIONS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paraminspect.architecture.built_in_facts import built_in_text, check_built_in
from paraminspect.architecture.functions import FUNCTIONS
from paraminspect.architecture.model import Value
from paraminspect.text import shape_text

MAX_PARTS: Final = 4_096
"""Tensors that one Chunk or Split gives: each takes a thousandth of a millisecond and half a kilobyte."""


class Function(nn.Module):
    """A function of tensors with constants, which it prints.

    Args:
        constants: All that its row of the table declares.
    """

    def __init__(self, **constants: Value) -> None:
        super().__init__()
        self._names = tuple(constants)
        for name, value in constants.items():
            setattr(self, name, value)

    def extra_repr(self) -> str:
        return built_in_text(type(self).__name__, {name: getattr(self, name) for name in self._names})


_ROWS: Final = {row.name: row for row in FUNCTIONS}


def joined(inputs: Sequence[object]) -> tuple[Tensor, ...]:
    """Several inputs, or one that holds them: a tuple, a list or a mapping."""
    if len(inputs) == 1:
        (held,) = inputs
        inputs = (
            tuple(held.values()) if isinstance(held, Mapping) else held if isinstance(held, (tuple, list)) else inputs
        )
    found = tuple(each for each in inputs if isinstance(each, Tensor))
    if len(found) != len(inputs):
        raise TypeError("an input that is no tensor: a tuple inside of a tuple")
    return found


class Reshape(Function):
    shape: tuple[int, ...]

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape=shape)
        check_built_in("Reshape", {"shape": shape})

    def forward(self, x: Tensor) -> Tensor:
        if any(size == 0 for size in self.shape[x.dim() :]):
            raise ValueError(
                f"shape is {shape_text(self.shape)}: 0 in a dimension that {shape_text(x.shape)} does not have"
            )
        return x.reshape([size or x.shape[place] for place, size in enumerate(self.shape)])


class Permute(Function):
    dims: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class Squeeze(Function):
    dim: int

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[self.dim] != 1:
            raise ValueError(f"dimension {self.dim} of {shape_text(x.shape)}; expected size 1")
        return x.squeeze(self.dim)


class Unsqueeze(Function):
    dim: int

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(self.dim)


class Expand(Function):
    sizes: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(self.sizes)


class Flip(Function):
    dims: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(self.dims)


class Roll(Function):
    shifts: tuple[int, ...]
    dims: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(self.shifts, self.dims)


class Slice(Function):
    dim: int
    start: int
    end: int | None
    step: int

    def forward(self, x: Tensor) -> Tensor:
        place = self.dim + x.dim() if self.dim < 0 else self.dim
        if not 0 <= place < x.dim():
            raise IndexError(f"dimension {self.dim} of {shape_text(x.shape)}")
        return x[(slice(None),) * place + (slice(self.start, self.end, self.step),)]


class Chunk(Function):
    chunks: int
    dim: int

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        _check_parts(self.chunks)
        if x.shape[self.dim] % self.chunks:
            raise ValueError(f"{self.chunks} equal parts of dimension {self.dim} of {shape_text(x.shape)}")
        return x.chunk(self.chunks, self.dim)


class Split(Function):
    sizes: tuple[int, ...]
    dim: int

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        size = self.sizes[0]
        _check_parts(len(self.sizes) if len(self.sizes) > 1 else -(-x.shape[self.dim] // max(size, 1)))
        return torch.split(x, size if len(self.sizes) == 1 else list(self.sizes), self.dim)


def _check_parts(count: int) -> None:
    if count > MAX_PARTS:
        raise ValueError(f"{count:,} parts; the limit is {MAX_PARTS:,}")


class Stack(Function):
    dim: int

    def forward(self, *inputs: object) -> Tensor:
        return torch.stack(joined(inputs), self.dim)


class Gather(Function):
    dim: int

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a.gather(self.dim, b)


class IndexSelect(Function):
    dim: int

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a.index_select(self.dim, b)


class Reduction(Function):
    """Of some dimensions; of all where `dim` is None."""

    dim: tuple[int, ...] | None
    keepdim: bool

    def over(self, x: Tensor) -> tuple[int, ...]:
        return self.dim if self.dim is not None else tuple(range(x.dim()))


class Mean(Reduction):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.over(x), self.keepdim)


class Sum(Reduction):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(self.over(x), self.keepdim)


class Max(Reduction):
    def forward(self, x: Tensor) -> Tensor:
        return x.amax(self.over(x), self.keepdim)


class Min(Reduction):
    def forward(self, x: Tensor) -> Tensor:
        return x.amin(self.over(x), self.keepdim)


class Normalize(Function):
    dim: int
    p: float
    eps: float

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(x, self.p, self.dim, self.eps)


class Scale(Function):
    factor: float
    shift: float

    def forward(self, x: Tensor) -> Tensor:
        scaled = x * self.factor
        return scaled + self.shift if self.shift else scaled


class Power(Function):
    exponent: float

    def forward(self, x: Tensor) -> Tensor:
        return torch.pow(x, self.exponent)


class Exp(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


class Log(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class Abs(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class Sin(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class Cos(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.cos()


class Subtract(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


class Divide(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a / b


class Maximum(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.maximum(a, b)


class Minimum(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.minimum(a, b)


class MatMul(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b


class Einsum(Function):
    equation: str

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.einsum(self.equation, *inputs)


class CausalMask(Function):
    dim: int

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[self.dim]
        return torch.ones(size, size, dtype=torch.bool, device=x.device).triu(1)


class Equal(Function):
    value: float

    def forward(self, x: Tensor) -> Tensor:
        return x == self.value


class MaskFill(Function):
    value: float

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a.masked_fill(b, self.value)


class Interpolate(Function):
    mode: str

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.interpolate(a, b.shape[2:], mode=self.mode)


class Crop(Function):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        for dim in range(2, a.dim()):
            room = a.shape[dim] - b.shape[dim]
            if room < 0:
                raise ValueError(f"{shape_text(b.shape)} is larger than {shape_text(a.shape)} in dimension {dim}")
            a = a.narrow(dim, room // 2, b.shape[dim])
        return a


class Noise(Function):
    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x)


class Detach(Function):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


for _cls in (*Function.__subclasses__(), *Reduction.__subclasses__()):
    if _cls is not Reduction:
        _cls.__doc__ = _ROWS[_cls.__name__].computes

FUNCTION_MODULES: Final[Mapping[str, type[Function]]] = {
    cls.__name__: cls for cls in (*Function.__subclasses__(), *Reduction.__subclasses__()) if cls is not Reduction
}
"""By name, all of `FUNCTIONS`."""
