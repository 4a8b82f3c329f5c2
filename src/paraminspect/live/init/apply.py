"""Rules on a model in memory: `plan_init` and `apply_init` for a training script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.live.build.complaints import first_line
from paraminspect.live.init.draw import Drawing, failed, one_thread
from paraminspect.live.init.find import Targets, model_targets
from paraminspect.live.init.functions import OwnFunctions, own_functions
from paraminspect.live.init.run import measure, with_statistics
from paraminspect.records import InitStep
from paraminspect.rules.parse import RuleParser
from paraminspect.rules.rule import Origin, Rule
from paraminspect.rules.steps import InitPlan, PlannedStep, plan_rules

Functions = Mapping[str, Callable[..., object]]


def plan_init(
    model: nn.Module,
    rules: Sequence[str | Rule],
    *,
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
) -> InitPlan:
    """Decide what rules would do to the parameters of a model; nothing is changed.

    Args:
        model: On any device, the meta device included.
        rules: In order: text, or what `parse_rule` made of it. The last one that matches a parameter wins.
        functions: Your own initializers by name: functions of a tensor, with or without `generator`.
        variables: What names in the expressions of the rules stand for.

    Returns:
        A step for each parameter, and the rules that match nothing.

    Raises:
        RuleError: A rule that cannot be parsed, or not applied to a parameter that it wins.

    Example:
        >>> plan_init(model, ["*.weight=normal(std=0.02)"]).records[0].arguments
        {'mean': 0.0, 'std': 0.02}
    """
    return _plan(model_targets(model), rules, own_functions(functions or {}), variables)


def apply_init(
    model: nn.Module,
    rules: Sequence[str | Rule],
    seed: int = 0,
    *,
    functions: Functions | None = None,
    variables: Mapping[str, object] | None = None,
    allow_unmatched: bool = False,
) -> list[InitStep]:
    """Initialise the parameters of a model in place.

    Each is drawn on the CPU in float32, from a generator seeded by (seed, name), and copied to its own type and device:
    the same values on any device, in any order, whatever other layers there are. torch's global generators are left as
    they were. A tied parameter is initialised once, under its first name; parameters that no rule matches stay as they
    are.

    Args:
        model: Not on the meta device.
        allow_unmatched: Go on if a rule matches no parameter.

    Returns:
        What was done, one step for each parameter that a rule matches, with its statistics.

    Raises:
        RuleError: As of `plan_init`; or a rule matches nothing. Nothing is changed then. Or one of your functions fails
            on a parameter; those before it are changed then.
        ParamInspectError: A parameter that is meant is on the meta device. Nothing is changed.

    Example:
        >>> apply_init(model, ["*.weight=normal(std=0.02)", "*.bias=zeros"])[0].std
        0.02002...
    """
    own, found = own_functions(functions or {}), model_targets(model)
    plan = _plan(found, rules, own, variables)
    if plan.unmatched and not allow_unmatched:
        number, reason = next(iter(plan.unmatched.items()))
        raise RuleError(
            f"rule {number} ({plan.rules[number - 1].text}) matches no parameter" + (f": {reason}" if reason else "")
        )
    return apply_plan(plan, found.tensors, seed, own)


def apply_plan(plan: InitPlan, tensors: Sequence[Tensor], seed: int, own: OwnFunctions) -> list[InitStep]:
    """Carry a plan out in place.

    Args:
        own: Initializers that the rules may name.

    Raises:
        ParamInspectError: As of `apply_init`.
    """
    for step, tensor in zip(plan.steps, tensors, strict=True):
        _check_step(step, tensor, own)
    drawing = Drawing(seed, own)
    done = []
    with one_thread(), torch.no_grad():
        for step, tensor in zip(plan.steps, tensors, strict=True):
            if step.rule is None:
                continue
            if step.initializer is not None:
                _give(step, tensor, drawing.draw(step, lambda tensor=tensor: tensor))  # type: ignore[misc]
            done.append(_measured(step, tensor))
    return done


def _plan(
    found: Targets, rules: Sequence[str | Rule], own: OwnFunctions, variables: Mapping[str, object] | None
) -> InitPlan:
    parser = RuleParser(own.described)
    parsed = [rule if isinstance(rule, Rule) else parser.parse(rule, Origin(), variables) for rule in rules]
    return plan_rules(found.targets, parsed, found.others)


def _check_step(step: PlannedStep, tensor: Tensor, own: OwnFunctions) -> None:
    if step.initializer is None:
        return
    if tensor.is_meta:
        raise ParamInspectError(
            f"{step.target.name} is on the meta device, where initialisation does nothing",
            hint="move the model first: model.to_empty(device='cpu')",
        )
    name = step.initializer.name
    if step.initializer.kind == "function" and name not in own.functions:
        raise failed(step, f"the function {name} is not at hand", f"give it again: functions={{'{name}': {name}}}")


def _give(step: PlannedStep, tensor: Tensor, values: Tensor) -> None:
    try:
        tensor.copy_(values)
    except RuntimeError as error:  # of inference mode, of memory that is mapped read-only
        raise failed(step, first_line(error)) from error


def _measured(step: PlannedStep, tensor: Tensor) -> InitStep:
    if step.target.problem or tensor.is_meta:
        return step.record()  # kept as it is
    return with_statistics(step.record(), measure(tensor.detach()))
