"""What the built-in types print, which values of their arguments do not go together, and of what class they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paraminspect.architecture.built_in import BUILTINS
from paraminspect.architecture.functions import FUNCTIONS
from paraminspect.architecture.layer_rows import says
from paraminspect.text import shape_text

_REDUCTIONS: Final = ("Mean", "Sum", "Max", "Min")
_FUNCTIONS: Final = frozenset(each.name for each in FUNCTIONS)


def built_in_text(name: str, kwargs: Mapping[str, Any]) -> str:
    """What a built-in, or a MixtureOfExperts, prints in its parentheses."""
    if name == "MixtureOfExperts":
        return says("top normalize?", kwargs, {"normalize": True})
    row = BUILTINS[name]
    text = " ".join(f"{each.name}?" for each in row.arguments) if row.says is None else row.says
    if name == "Attention" and kwargs["kv_heads"] == kwargs["heads"]:
        kwargs = {**kwargs, "kv_heads": 0}  # as many
    return says(text, kwargs, {each.name: each.default for each in row.arguments}, _shown)


def _shown(value: object) -> str:
    return shape_text(value) if isinstance(value, tuple) else str(value)


def check_built_in(name: str, kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that do not go together.

    Raises:
        ValueError: Such as a list of heads that cannot be shared out.
    """
    match name:
        case "Attention":
            _check_attention(kwargs["heads"], kwargs["kv_heads"], kwargs["dropout"])
        case "Reshape":
            if kwargs["shape"].count(-1) > 1:
                raise ValueError(f"shape is {shape_text(kwargs['shape'])}; expected one -1 at most")
        case "Param":
            _check_parameter(kwargs["shape"], kwargs["op"])


def _check_attention(heads: int, kv_heads: int, dropout: float) -> None:
    if heads % (kv_heads or heads):
        raise ValueError(f"heads is {heads}, no multiple of kv_heads {kv_heads}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout is {dropout}; expected 0 to 1")


def _check_parameter(shape: tuple[int, ...], op: str) -> None:
    if op in ("prepend", "append") and (len(shape) < 2 or shape[0] != 1):
        raise ValueError(f"shape is {shape_text(shape)}; expected [1,n,..] for op {op}")
    if op == "matmul" and not shape:
        raise ValueError("shape is []; expected one dimension or more for op matmul")


def derives(name: str) -> tuple[str, ...]:
    """Dotted classes behind `paraminspect.live.build.`, its own first."""
    if name not in _FUNCTIONS:
        return (f"layers.{name}",)
    return (f"functions.{name}", *(("functions.Reduction",) if name in _REDUCTIONS else ()), "functions.Function")
