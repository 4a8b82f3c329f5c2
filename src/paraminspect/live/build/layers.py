"""The built-in layers of a spec as modules, after the table `architecture.built_in.BUILTINS`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paraminspect.architecture.built_in_facts import built_in_text, check_built_in
from paraminspect.architecture.model import Value
from paraminspect.live.build.functions import FUNCTION_MODULES, joined
from paraminspect.text import shape_text


class Add(nn.Module):
    """a + b + ..., from left to right."""

    def forward(self, *inputs: object) -> Tensor:
        """Tensors that broadcast -> their sum."""
        return functools.reduce(operator.add, joined(inputs))


class Multiply(nn.Module):
    """a * b * ..., from left to right."""

    def forward(self, *inputs: object) -> Tensor:
        """Tensors that broadcast -> their product."""
        return functools.reduce(operator.mul, joined(inputs))


class Concat(nn.Module):
    """Inputs one after the other along `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: object) -> Tensor:
        """Tensors alike but for `dim` -> one, as long there as all together."""
        return torch.cat(joined(inputs), self.dim)

    def extra_repr(self) -> str:
        return built_in_text("Concat", vars(self))


class Attention(nn.Module):
    """Scaled dot-product attention of many heads, without parameters.

    Args:
        kv_heads: Of keys and values; 0 means as many.
        causal: Each position sees only itself and earlier ones.
        dropout: Of the attention weights, while training.

    Raises:
        ValueError: `heads` is no multiple of `kv_heads`, `dropout` no probability.
    """

    def __init__(self, heads: int, kv_heads: int = 0, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        check_built_in("Attention", {"heads": heads, "kv_heads": kv_heads, "dropout": dropout})
        self.heads = heads
        self.kv_heads = kv_heads or heads
        self.causal = causal
        self.dropout = dropout

    def forward(self, q: Tensor, k: Tensor | None = None, v: Tensor | None = None) -> Tensor:
        """Queries [B, L, heads*d], k and v [B, S, kv_heads*d], or all three side by side in q -> [B, L, heads*d]."""
        if k is None or v is None:
            q, k, v = self._split(q)
        q, k, v = self._by_head(q, self.heads), self._by_head(k, self.kv_heads), self._by_head(v, self.kv_heads)
        if self.kv_heads != self.heads:
            k, v = (each.repeat_interleave(self.heads // self.kv_heads, dim=1) for each in (k, v))
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=self.causal)
        return mixed.transpose(1, 2).flatten(2)

    def _split(self, packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.heads + 2 * self.kv_heads
        if packed.dim() != 3 or packed.shape[-1] % parts:
            raise ValueError(f"Attention of {shape_text(packed.shape)}; expected [B,L,{parts}*d] for one input")
        size = packed.shape[-1] // parts
        q, k, v = torch.split(packed, [self.heads * size, self.kv_heads * size, self.kv_heads * size], dim=-1)
        return q, k, v

    @staticmethod
    def _by_head(x: Tensor, heads: int) -> Tensor:
        if x.dim() != 3 or x.shape[-1] % heads:
            raise ValueError(f"Attention of {shape_text(x.shape)}; expected [B,L,{heads}*d] for {heads} heads")
        return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)

    def extra_repr(self) -> str:
        return built_in_text("Attention", vars(self))


class Rotary(nn.Module):
    """Rotary position embedding in the half-split layout.

    Args:
        heads: In the last dimension of the input.
        base: Of the angles, position * base ** (-2j / d).
    """

    def __init__(self, heads: int, base: float = 10000.0) -> None:
        super().__init__()
        self.heads = heads
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        """Input x [B, L, heads*d] -> the same shape; the angles are float32."""
        if x.dim() != 3 or x.shape[-1] % (2 * self.heads):
            raise ValueError(
                f"Rotary of {shape_text(x.shape)}; expected [B,L,{self.heads}*d] with an even d for {self.heads} heads"
            )
        half = x.shape[-1] // (2 * self.heads)
        steps = torch.arange(half, dtype=torch.float32, device=x.device)
        positions = torch.arange(x.shape[1], dtype=torch.float32, device=x.device)
        angles = torch.outer(positions, self.base ** (-steps / half))[:, None, :]
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        first, second = x.reshape(*x.shape[:-1], self.heads, 2, half).unbind(-2)
        turned = torch.stack((first * cos - second * sin, second * cos + first * sin), dim=-2)
        return turned.flatten(2)

    def extra_repr(self) -> str:
        return built_in_text("Rotary", vars(self))


class Positions(nn.Module):
    """The positions of a sequence.

    Args:
        dim: Of the input, the sequence.
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Input x -> int64 [x.shape[dim]]: 0, 1, 2, ..."""
        return torch.arange(x.shape[self.dim], device=x.device)

    def extra_repr(self) -> str:
        return built_in_text("Positions", vars(self))


class Transpose(nn.Module):
    """Two dimensions exchanged."""

    def __init__(self, dim0: int, dim1: int) -> None:
        super().__init__()
        self.dim0 = dim0
        self.dim1 = dim1

    def forward(self, x: Tensor) -> Tensor:
        """Input x -> a view of it."""
        return x.transpose(self.dim0, self.dim1)

    def extra_repr(self) -> str:
        return built_in_text("Transpose", vars(self))


class Select(nn.Module):
    """One slice along `dim`, without that dimension."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """Input x [.., n, ..] -> [.., ..], a view of it."""
        return x.select(self.dim, self.index)

    def extra_repr(self) -> str:
        return built_in_text("Select", vars(self))


BUILTIN_MODULES: Final[Mapping[str, type[nn.Module]]] = {
    **{cls.__name__: cls for cls in (Add, Multiply, Concat, Attention, Rotary, Positions, Transpose, Select)},
    **FUNCTION_MODULES,
}
"""By name, all of `architecture.built_in.BUILTINS` but Param, which is no module."""


def make_parameter(kwargs: Mapping[str, Value]) -> nn.Parameter:
    """The tensor of a `Param` layer (float32, on the default device), initialised as `PARAM_OPS` says.

    Raises:
        ValueError: The op cannot work with that shape.
    """
    check_built_in("Param", kwargs)
    shape, op = kwargs["shape"], kwargs["op"]
    assert isinstance(shape, tuple)
    sizes = [size for size in shape if isinstance(size, int)]
    parameter = nn.Parameter(torch.zeros(sizes) if op == "add" else torch.ones(sizes))
    if op == "matmul":
        bound = sizes[-2 if len(sizes) > 1 else 0] ** -0.5
        nn.init.uniform_(parameter, -bound, bound)
    elif op in ("prepend", "append"):
        nn.init.normal_(parameter, 0.0, 0.02)
    return parameter


def apply_parameter(op: Value, p: Tensor, x: Tensor) -> Tensor:
    """What a bare parameter p does with its input x, by `PARAM_OPS`."""
    if op == "add":
        return x + p
    if op == "mul":
        return x * p
    if op == "matmul":
        return x @ p
    if p.dim() != x.dim():
        raise ValueError(f"{op} of {shape_text(p.shape)} to {shape_text(x.shape)}; expected as many dimensions")
    expanded = p.expand(x.shape[0], *p.shape[1:])
    return torch.cat((expanded, x) if op == "prepend" else (x, expanded), dim=1)
