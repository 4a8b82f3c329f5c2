"""What is known of a model only when it has run once: shapes of lazy layers, and what its forward makes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final

from torch import nn
from torch.nn import parameter
from torch.nn.modules.lazy import LazyModuleMixin

from paraminspect.architecture.given import InputPlan
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import LimitExceededError
from paraminspect.live.build.feeding import Feeding
from paraminspect.live.build.forward import Inputs, call_to_evaluate, run_forward
from paraminspect.live.build.seeds import seeded
from paraminspect.live.build.untouched import leaving_untouched
from paraminspect.records import Kind
from paraminspect.text import list_some

MAX_LAZY: Final = 2_000
"""Lazy layers of one model: each takes a thousandth of a second."""

MAX_NAMED: Final = 5
"""Tensors that a note names."""


def run_once(
    model: nn.Module,
    inputs: Sequence[object],
    named: Mapping[str, object] | None = None,
    *,
    plan: ModelPlan | None = None,
    seed: int | None = None,
) -> list[str]:
    """Run a model, so that its lazy layers have shapes and values, and what its forward makes is there.

    It runs in evaluation mode and without gradients. Parameters, buffers, modes, gradients and random generators are as
    before; what is made stays: to undo that too, run this inside of `leaving_untouched`.

    Args:
        inputs: By position, on the model's device; on the meta device too.
        named: By name.
        plan: Of a spec's model, for the places in error messages.
        seed: Of what is drawn; None takes the generators as they are.

    Returns:
        Remarks on what was made.

    Raises:
        ParamInspectError: The model fails on the inputs, at the module that does.
    """
    with (
        leaving_untouched(model, structure=False) as before,
        seeded(seed, "", "forward") if seed is not None else nullcontext(),
    ):
        call_to_evaluate(model, Inputs(inputs, named or {}), plan=plan)
        made = before.made()
    return note_made(made)


@contextmanager
def having_run(
    model: nn.Module,
    inputs: Sequence[object],
    named: Mapping[str, object] | None = None,
    *,
    plan: ModelPlan | None = None,
    seed: int | None = None,
) -> Iterator[None]:
    """Inside, a model is what `run_once` makes of it; afterwards it is as it was. Arguments as there."""
    with leaving_untouched(model):
        run_once(model, inputs, named, plan=plan, seed=seed)
        yield


def note_made(made: Mapping[str, Kind]) -> list[str]:
    """What is to be said of parameters and buffers that a forward pass made, if any."""
    if not made:
        return []
    lost = "; an optimizer that was made before does not have them" if "parameter" in made.values() else ""
    return [f"made in forward: {list_some(list(made), MAX_NAMED)}{lost}"]


def has_lazy(model: nn.Module) -> bool:
    """Whether any tensor of a model has no shape before it runs."""
    return any(parameter.is_lazy(each) for each in [*model.parameters(), *model.buffers()])


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


def draw(materialised: nn.Module, device: str) -> nn.Module:
    """What was a lazy layer, in memory and initialised from the global generator."""
    made: nn.Module = copy.deepcopy(materialised).to_empty(device=device)
    made.reset_parameters()  # type: ignore[operator]
    return made
