"""Lazy layers (`LazyLinear`, ...): their shapes from the spec's input, found on the meta device."""

from __future__ import annotations

import copy
from typing import Final

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from paraminspect.architecture.given import InputPlan
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import LimitExceededError
from paraminspect.live.build.feeding import Feeding
from paraminspect.live.build.forward import run_forward

MAX_LAZY: Final = 2_000
"""Lazy layers of one model: each takes a thousandth of a second."""


def materialise(model: nn.Module, plan: ModelPlan, given: InputPlan | None) -> dict[str, nn.Module]:
    """Run the model once, so that its lazy layers know their shapes.

    Args:
        model: On the meta device; its lazy layers become ordinary ones.
        given: Inputs in place of the spec's.

    Returns:
        What were lazy layers, by path.

    Raises:
        LimitExceededError: More than MAX_LAZY of them.
        SpecError: At the lazy layer: the spec has no input, or the layer gets none; or the model fails on it.
    """
    waiting = [
        each
        for each in plan.root.walk()
        if each.kind == "module" and each.type.startswith("Lazy") and is_lazy(model.get_submodule(each.path))
    ]
    if not waiting:
        return {}
    if len(waiting) > MAX_LAZY:
        raise LimitExceededError("lazy layers", limit=MAX_LAZY, actual=len(waiting), hint="write their sizes")
    if not plan.inputs and given is None:
        raise waiting[0].mark.error(
            f"{waiting[0].type} at {waiting[0].path}: its shape follows from the input, and the spec has none",
            hint="write input: [2, 4]",
        )
    run_forward(model, Feeding(given, plan).inputs(device="meta"), plan=plan)
    for each in waiting:
        if is_lazy(model.get_submodule(each.path)):
            raise each.mark.error(f"{each.type} at {each.path}: its shape is not known, as it gets no input")
    return {each.path: model.get_submodule(each.path) for each in waiting}


def is_lazy(module: nn.Module) -> bool:
    """Whether a module has tensors without a shape."""
    return isinstance(module, LazyModuleMixin) and bool(module.has_uninitialized_params())


def has_lazy(model: nn.Module) -> bool:
    """Whether any of its modules has."""
    return any(is_lazy(each) for each in model.modules())


def draw(materialised: nn.Module, device: str) -> nn.Module:
    """What was a lazy layer, in memory and initialised from the global generator."""
    made: nn.Module = copy.deepcopy(materialised).to_empty(device=device)
    made.reset_parameters()  # type: ignore[operator]
    return made
