"""What the names of `rules.initializers` do to a tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from torch import Generator, Tensor, nn

from paraminspect.rules.rule import Scalar

Apply = Callable[[Tensor, Mapping[str, Scalar], Generator], Any]


def _plain(name: str) -> Apply:
    function = getattr(nn.init, f"{name}_")
    return lambda tensor, arguments, generator: function(tensor, **arguments)


def _random(name: str) -> Apply:
    function = getattr(nn.init, f"{name}_")
    return lambda tensor, arguments, generator: function(tensor, **arguments, generator=generator)


def _clamp(tensor: Tensor, arguments: Mapping[str, Scalar], generator: Generator) -> Tensor:
    return tensor.clamp_(arguments["a"], arguments["b"])  # type: ignore[arg-type]


_DRAWN: Final = (
    "uniform", "normal", "trunc_normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
    "orthogonal", "sparse",
)  # fmt: skip

FUNCTIONS: Final[Mapping[str, Apply]] = {
    **{name: _plain(name) for name in ("constant", "ones", "zeros", "eye", "dirac")},
    **{name: _random(name) for name in _DRAWN},
    "add": lambda tensor, arguments, generator: tensor.add_(arguments["x"]),  # type: ignore[arg-type]
    "mul": lambda tensor, arguments, generator: tensor.mul_(arguments["x"]),  # type: ignore[arg-type]
    "clamp": _clamp,
}
"""By name, all but `keep`. Each works in place, without gradient, on a contiguous tensor."""

COPIES: Final[Mapping[str, int]] = {"orthogonal": 5, "trunc_normal": 4}
"""How many times its own size a tensor takes while it is drawn, at most; once by the others (torch 2.13)."""

USES_GLOBAL_GENERATOR: Final = frozenset({"sparse"})
"""Draws its pattern of zeros from torch's global generator, whatever generator it is given (torch 2.13)."""
