"""Rules on tensors in memory: planned, and carried out in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.init.draw import Drawing, failed, one_thread
from paraminspect.live.init.find import model_targets
from paraminspect.live.init.functions import OwnFunctions, own_functions
from paraminspect.live.init.run import measure, with_statistics
from paraminspect.outcomes import InitStep
from paraminspect.rules.meant import Targets
from paraminspect.rules.parse import RuleParser
from paraminspect.rules.rule import Origin, Rule
from paraminspect.rules.steps import InitPlan, PlannedStep, plan_rules

Functions = Mapping[str, Callable[..., object]]

CarryOut = Callable[[InitPlan, Sequence[Tensor], int, OwnFunctions], list[InitStep]]
"""Does what a plan says to these tensors, from that seed."""


def apply_rules(
    model: nn.Module,
    rules: Sequence[str | Rule],
    seed: int,
    *,
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
    allow_unmatched: bool = False,
    carry_out: CarryOut | None = None,
) -> list[InitStep]:
    """Initialise the parameters of a model in place; see `paraminspect.apply_init`.

    Args:
        carry_out: What a plan is carried out by; None for `apply_plan`.
    """
    found = model_targets(model)
    plan = plan_targets(found, rules, functions, variables)
    if plan.unmatched and not allow_unmatched:
        number, reason = next(iter(plan.unmatched.items()))
        raise RuleError(
            f"rule {number} ({plan.rules[number - 1].text}) matches no parameter" + (f": {reason}" if reason else "")
        )
    return (carry_out or apply_plan)(plan, found.tensors, seed, own_functions(functions or {}))


def apply_plan(
    plan: InitPlan, tensors: Sequence[Tensor], seed: int, own: OwnFunctions, *, measured: bool = True
) -> list[InitStep]:
    """Carry a plan out in place.

    Args:
        own: Initializers that the rules may name.
        measured: Whether the steps have statistics of what is drawn.

    Raises:
        ParamInspectError: A tensor that is meant is on the meta device, or a rule cannot be applied to it.
    """
    check_steps(list(zip(plan.steps, tensors, strict=True)), own)
    drawing = Drawing(seed, own)
    done = []
    with one_thread(), torch.no_grad():
        for step, tensor in zip(plan.steps, tensors, strict=True):
            if step.draws:
                give(step, tensor, drawing.draw(step, lambda tensor=tensor: tensor))  # type: ignore[misc]
            done += [_measured(act, tensor) if measured else act.record() for act in step.acts]
    return done


def plan_targets(
    found: Targets,
    rules: Sequence[str | Rule],
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
) -> InitPlan:
    """What rules would do to the tensors of a model or a checkpoint; see `paraminspect.plan_init`."""
    own = own_functions(functions or {})
    parser = RuleParser(own.described)
    parsed = [rule if isinstance(rule, Rule) else parser.parse(rule, Origin(), variables) for rule in rules]
    return plan_rules(found.targets, parsed, found.others)


def check_steps(steps: Sequence[tuple[PlannedStep, Tensor]], own: OwnFunctions) -> None:
    """Raise what would stop them, before anything is changed."""
    for step, tensor in steps:
        for draw in step.draws:
            _check_step(draw, tensor, own)


def _check_step(step: PlannedStep, tensor: Tensor, own: OwnFunctions) -> None:
    assert step.initializer is not None
    if tensor.is_meta:
        raise ParamInspectError(
            f"{step.target.name} is on the meta device, where initialisation does nothing",
            hint="move the model first: model.to_empty(device='cpu')",
        )
    name = step.initializer.name
    if step.initializer.kind == "function" and name not in own.functions:
        raise failed(step, f"the function {name} is not at hand", f"give it again: functions={{'{name}': {name}}}")


def give(step: PlannedStep, tensor: Tensor, values: Tensor) -> None:
    """Let a tensor have these values.

    Raises:
        RuleError: It cannot be written.
    """
    try:
        tensor.copy_(values)
    except RuntimeError as error:  # of inference mode, of memory that is mapped read-only
        raise failed(step.draws[0], first_line(error)) from error


def _measured(step: PlannedStep, tensor: Tensor) -> InitStep:
    if step.target.problem or tensor.is_meta:
        return step.record()  # kept as it is
    return with_statistics(step.record(), measure(tensor.detach()[step.rows]))
