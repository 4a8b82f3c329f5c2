"""What optimizers keep for each parameter. Imports no torch: it is asked of files too.

A tensor of state has the type of its parameter; a counter of steps is one float32.

Source: `torch.optim` 2.4 to 2.13, against which a test holds the table; for lion, "Symbolic Discovery of Optimization
Algorithms" (Chen et al., 2023), algorithm 2: one momentum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from paraminspect.errors import ParamInspectError
from paraminspect.tuples import NamedTuple

Optimizer = Literal["adamw", "adam", "sgd", "sgd-momentum", "adafactor", "rmsprop", "adagrad", "lion", "none"]

COUNTER: Final = 4
"""Bytes of a number of steps."""


class _State(NamedTuple):
    """What is kept for one parameter.

    Attributes:
        elements: Of a shape, of the parameter's type.
        counters: How many.
    """

    elements: Callable[[tuple[int, ...]], int]
    counters: int = 0


def _full(times: int) -> Callable[[tuple[int, ...]], int]:
    def elements(shape: tuple[int, ...]) -> int:
        return times * _numel(shape)

    return elements


def _factored(shape: tuple[int, ...]) -> int:
    """Means over rows and over columns, of the last two dimensions."""
    if len(shape) < 2:
        return _numel(shape)
    return _numel(shape[:-1]) + _numel((*shape[:-2], shape[-1]))


def _numel(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


STATES: Final[Mapping[Optimizer, _State]] = {
    "adamw": _State(_full(2), 1),
    "adam": _State(_full(2), 1),
    "sgd": _State(_full(0)),
    "sgd-momentum": _State(_full(1)),
    "adafactor": _State(_factored, 1),
    "rmsprop": _State(_full(1), 1),
    "adagrad": _State(_full(1), 1),
    "lion": _State(_full(1)),
    "none": _State(_full(0)),
}


def state_bytes(optimizer: Optimizer, shape: tuple[int, ...], itemsize: int) -> int:
    """Bytes that an optimizer keeps for a parameter.

    Args:
        itemsize: Of the parameter, in bytes.

    Raises:
        ParamInspectError: It is not known.
    """
    state = STATES.get(optimizer)
    if state is None:
        raise ParamInspectError(f"there is no optimizer {optimizer!r}", hint=f"they are {', '.join(STATES)}")
    return state.elements(shape) * itemsize + COUNTER * state.counters
