"""The names in `tie`, held against the modules of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paraminspect.architecture.model import Tie
from paraminspect.architecture.nodes import Mark, shown
from paraminspect.architecture.plan import ModulePlan
from paraminspect.names.suggestions import suggest


def check_ties(root: ModulePlan, ties: Sequence[Tie]) -> None:
    """Refuse a tie of names that the model cannot have.

    What a class of torch.nn holds is not known here: below it every name will do.

    Raises:
        SpecError: At the tie.
    """
    plans = {plan.path: plan for plan in root.walk()} if ties else {}
    for tie in ties:
        for name in (tie.alias, tie.source):
            _check(name, root, plans, tie.mark)


def _check(name: str, root: ModulePlan, plans: Mapping[str, ModulePlan], mark: Mark) -> None:
    plan, parts = root, name.split(".")
    for place, part in enumerate(parts):
        if plan.kind == "reference" and plan.reference is not None:
            plan = plans[plan.reference]
        if plan.kind == "module":
            return
        child = plans.get(f"{plan.path}.{part}" if plan.path else part)
        if child is None:
            children = [step.name for step in plan.steps]
            below = ".".join(parts[:place]) or "the model"
            hint = suggest(part, children, "it has")
            raise mark.error(f"tie of {shown(name)}: {shown(below)} has no child {shown(part)}", hint=hint)
        plan = child
    if plan.type != "Param":
        hint = f"name its tensor: {shown(name)}.weight" if plan.kind == "module" else "name a tensor: embed.weight"
        raise mark.error(f"tie of {shown(name)}: it is a module ({plan.type}); expected a tensor", hint=hint)
