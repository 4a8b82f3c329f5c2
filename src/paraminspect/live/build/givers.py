"""A layer that is given a tuple and takes a tensor: which layer gives it, for that is where `take` is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from paraminspect.architecture.built_in import BUILTINS
from paraminspect.architecture.plan import ModelPlan, ModulePlan, Step
from paraminspect.errors import SpecError
from paraminspect.text import shape_text
from paraminspect.tuples import NamedTuple

_COMPLAINTS = re.compile(r"\b(tuple|list|dict)\b")
"""In what torch and Python say of an input that is none of their tensors."""


class Given(NamedTuple):
    """A layer that failed.

    Attributes:
        path: Of it.
        inputs: What it was given.
    """

    path: str
    inputs: Sequence[object]


def explain_tuple(plan: ModelPlan, calls: Sequence[Given], error: BaseException) -> SpecError | None:
    """What to say where a tuple, or a mapping, came instead of a tensor; None where it was something else.

    Args:
        calls: At work when it failed, the innermost last.
    """
    if not _COMPLAINTS.search(str(error)):
        return None
    plans = {each.path: each for each in plan.root.walk()}
    for call in reversed(calls):
        places = [place for place, each in enumerate(call.inputs) if isinstance(each, (tuple, list, Mapping))]
        if not places or call.path not in plans:
            continue
        giver = _giver(plans, call.path, places[0])
        if giver is None:
            return None
        return _error(giver, plans[call.path], call.inputs[places[0]])
    return None


def _giver(plans: Mapping[str, ModulePlan], path: str, place: int) -> ModulePlan | None:
    """The layer whose output is the input of another one; None where it is the model's own input."""
    while path:
        owner_path, _, name = path.rpartition(".")
        owner = plans.get(owner_path)
        step = next((step for step in owner.steps if step.name == name), None) if owner is not None else None
        if owner is None or step is None or place >= len(step.inputs):
            return None
        source = step.inputs[place]
        for each in owner.steps:
            if each.name == source:
                return _last(plans, each)
        path, place = owner_path, owner.entries.index(source) if source in owner.entries else 0
    return None


def _last(plans: Mapping[str, ModulePlan], step: Step) -> ModulePlan:
    """The layer that makes the output: of layers one after the other the last one."""
    plan = step.plan
    while True:
        if plan.reference is not None:
            plan = plans[plan.reference]
        if plan.kind not in ("sequential", "flow") or plan.outputs or not plan.steps:
            return plan
        plan = plan.steps[-1].plan


def _error(giver: ModulePlan, taker: ModulePlan, given: object) -> SpecError:
    kind = "mapping" if isinstance(given, Mapping) else "tuple"
    first = next(iter(given)) if isinstance(given, Mapping) and given else 0
    message = (
        f"{giver.path} ({giver.type}) gives a {kind}, {_shown(given)}, and {taker.path} ({taker.type}) takes a tensor"
    )
    several = giver.outputs or (giver.type in BUILTINS and BUILTINS[giver.type].gives == "several")
    name = giver.path.rpartition(".")[2]
    hint = (
        f"write from: {name}.{first} at {taker.path}, or join them: Concat, Add"
        if several
        else f"write take: 0 at {giver.path}"
    )
    return giver.mark.error(message, hint=hint)


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return shape_text(value.shape)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_shown(each)}' for key, each in list(value.items())[:4])}}}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_shown(each) for each in value[:4])})"
    return type(value).__name__
