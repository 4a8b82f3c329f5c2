"""The table of optimizers, against the state that torch's own keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from paraminspect.errors import ParamInspectError
from paraminspect.live.cost.optimizers import STATES, Optimizer, state_bytes

SHAPES = [(), (3,), (2, 3), (2, 3, 4, 5), (1, 7)]

TORCH: dict[Optimizer, Callable[[Any], torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "sgd-momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adafactor": torch.optim.Adafactor,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", TORCH)
def test_a_state_is_as_large_as_torch_makes_it(name: Optimizer, dtype: torch.dtype) -> None:
    parameters = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in SHAPES]
    optimizer = TORCH[name](parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for shape, parameter in zip(SHAPES, parameters, strict=True):
        kept = [each for each in optimizer.state[parameter].values() if isinstance(each, torch.Tensor)]
        assert state_bytes(name, shape, dtype.itemsize) == sum(each.nbytes for each in kept), shape


def test_others_are_known_from_their_papers() -> None:
    assert STATES.keys() - TORCH.keys() == {"lion", "none"}
    assert state_bytes("lion", (2, 3), 2) == 12
    assert state_bytes("none", (2, 3), 2) == 0
    with pytest.raises(ParamInspectError, match="there is no optimizer 'adamm'"):
        state_bytes("adamm", (2,), 4)  # type: ignore[arg-type]
