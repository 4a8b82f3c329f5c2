"""Floating-point operations of what runs, by the formulas of torch's own `FlopCounterMode`.

A multiplication and an addition are two. A causal mask does not make attention cheaper, since torch's formulas do not
say so. Operations without a formula are counted by their names.

Source: `torch.utils.flop_counter`; the formulas below are those that it has for the kernels of other devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

from paraminspect.limits import effort
from paraminspect.live.build.expected import OPERATIONS
from paraminspect.live.build.modes import Mode

Stack = tuple[str, ...]
"""Paths of the modules that are at work, the outermost first."""

POINTWISE: Final = "pointwise operations"

_ATEN: Final[Any] = torch.ops.aten

MOVES: Final = frozenset({
    "arange", "cat", "clone", "constant_pad_nd", "copy", "copy_", "_to_copy", "detach", "detach_", "empty", "empty_like",
    "empty_strided", "fill", "fill_", "full", "full_like", "index", "index_select", "lift_fresh", "new_empty",
    "new_empty_strided", "new_full", "new_ones", "new_zeros", "ones", "ones_like", "repeat", "scalar_tensor",
    "select_backward", "slice_backward", "stack", "tril", "triu", "unfold_backward", "unsafe_split", "_unsafe_view",
    "zero_", "zeros", "zeros_like",
})  # fmt: skip
"""Operations that make, move or copy tensors and compute nothing."""


class FlopCounter(Mode):
    """Counts while it is entered.

    Args:
        at: Says which modules are at work.
        is_bounded: Whether the number of operations has a limit.

    Attributes:
        flops: Of each stack of modules; changed for another one when the backward pass begins.
        uncounted: Name of an operation without a formula -> how often it ran.
        ran: The same of all that compute.

    Raises:
        EffortError: At the operation that is too much.
    """

    def __init__(self, at: Callable[[], Stack], *, is_bounded: bool) -> None:
        self.flops: Counter[Stack] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self._at = at
        self._is_bounded = is_bounded
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        out = func(*args, **named)
        if not isinstance(func, torch._ops.OpOverload) or func.namespace == "prim":
            return out
        if self._is_bounded:
            effort().spend(OPERATIONS, 1)
        name = func.overloadpacket.__name__
        formula = _OWN.get(func.overloadpacket) or flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops[self._at()] += formula(*args, **named, out_val=out)
            self.ran[name] += 1
        elif not _only_looks(func) and name not in MOVES:
            self.ran[name] += 1
            self.uncounted[POINTWISE if torch.Tag.pointwise in func.tags else name] += 1
        return out


def _only_looks(func: Any) -> bool:
    """Whether it returns a view."""
    returned = func._schema.returns
    return bool(returned) and all(each.alias_info is not None and not each.alias_info.is_write for each in returned)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> int:
    """Scores, and what they weigh."""
    batch, heads, queries, width = query.shape
    return 2 * batch * heads * queries * key.shape[-2] * (width + value.shape[-1])


def _attention_backward(_: Tensor, query: Tensor, key: Tensor, value: Tensor, *__: object, **___: object) -> int:
    """The scores again, and the gradients of scores, query, key and value."""
    batch, heads, queries, width = query.shape
    return 2 * batch * heads * queries * key.shape[-2] * (3 * width + 2 * value.shape[-1])


def _dot(one: Tensor, *_: object, **__: object) -> int:
    return 2 * one.numel()


def _addmv(_: Tensor, matrix: Tensor, *__: object, **___: object) -> int:
    return 2 * matrix.numel()


def _addr(out: Tensor, *_: object, **__: object) -> int:
    return 2 * out.numel()


def _grouped(one: Tensor, other: Tensor, *_: object, **__: object) -> int:
    """Products of groups of rows or columns, each with its own matrix: the layers of a mixture of experts."""
    groups = one.shape[0] if one.dim() == other.dim() == 3 else 1
    return 2 * groups * one.shape[-2] * one.shape[-1] * other.shape[-1]


_OWN: Final[Mapping[Any, Callable[..., int]]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    _ATEN.dot: _dot,
    _ATEN.vdot: _dot,
    _ATEN.mv: _dot,
    _ATEN.addmv: _addmv,
    _ATEN.addr: _addr,
    **({_ATEN._grouped_mm: _grouped} if hasattr(_ATEN, "_grouped_mm") else {}),  # not before torch 2.8
}
"""Operations -> formulas that torch does not have."""
