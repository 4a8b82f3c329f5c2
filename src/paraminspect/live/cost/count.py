"""What a live model takes: its pass without values, or in memory where it has to look at them; and the sums."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final

import torch
from torch import nn

from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.live.build.complaints import complaint_of, lacks_values
from paraminspect.live.build.describe import describe_model
from paraminspect.live.build.feeding import check_call
from paraminspect.live.build.forward import Inputs, map_tensors, set_mode
from paraminspect.live.build.lazy import has_lazy, having_run
from paraminspect.live.build.live_model import LiveModel, is_worth_memory
from paraminspect.live.build.outline import make_module_tree
from paraminspect.live.build.untouched import leaving_untouched
from paraminspect.live.cost.cost_plan import CostPlan
from paraminspect.live.cost.measure import Measured, measure
from paraminspect.live.cost.totals import weigh
from paraminspect.live.cost.without_values import copy_inputs, copy_model, make_mode, quietly
from paraminspect.live.grad.once import explaining_memory
from paraminspect.outcomes import Cost, ModuleCost
from paraminspect.records import TensorRecord
from paraminspect.text import counted, list_some
from paraminspect.tuples import NamedTuple

MAX_NAMED: Final = 8
"""Operations and functions that a note names."""

FLASH: Final = "_scaled_dot_product_flash_attention_for_cpu"
MATH: Final = "_safe_softmax"
"""What only these kernels of `scaled_dot_product_attention` run."""


def count_cost(
    live: LiveModel, asked: CostPlan, inputs: Inputs | None = None, in_memory: Callable[[], LiveModel] | None = None
) -> Cost:
    """Run a copy of a model that has no values, and say what it took.

    Args:
        live: Is left as it was.
        inputs: None takes its own.
        in_memory: Makes the same model with values, for code that looks at them; None where this one has them.

    Raises:
        ParamInspectError: There is no input, or the model fails on it.
    """
    try:
        done = _anywhere(live, asked, inputs, in_memory or (lambda: live))
    except ParamInspectError as error:
        error.source = error.source or live.source
        raise
    totals = weigh(done.records, asked.optimizer, whole=done.rows[0])
    return Cost(tuple(done.rows), totals, tuple(done.notes))


class _ValuesError(Exception):
    """Something has to look at values."""


class _Done(NamedTuple):
    rows: list[ModuleCost]
    records: Sequence[TensorRecord]
    notes: list[str]


def _anywhere(live: LiveModel, asked: CostPlan, inputs: Inputs | None, in_memory: Callable[[], LiveModel]) -> _Done:
    try:
        return _without_values(live, asked, inputs)
    except _ValuesError as error:
        done = _in_memory(in_memory(), asked, inputs)
        done.notes.insert(0, f"counted in memory, since it does not run without values: {error}")
        return done


def _without_values(live: LiveModel, asked: CostPlan, inputs: Inputs | None) -> _Done:
    if any(isinstance(each, torch.jit.ScriptModule) for each in live.model.modules()):
        raise _ValuesError("it is scripted")
    lazy = has_lazy(live.model)
    fed = inputs if inputs is not None else live.inputs() if lazy else live.feeding().inputs(device="meta")
    check_call(live.model, fed)
    with having_run(live.model, *fed, plan=live.plan) if lazy else nullcontext():
        return _of_copy(live, asked, fed)


def _of_copy(live: LiveModel, asked: CostPlan, inputs: Inputs) -> _Done:
    dtype = _type(asked)
    mode = make_mode()
    try:
        model = copy_model(live.model, mode, dtype)
        fed = copy_inputs(inputs, mode, dtype)
    except Exception as error:
        raise _ValuesError(complaint_of(error)) from error
    try:
        with quietly(), mode:
            return _run(model, fed, live.plan, asked)
    except LimitExceededError:
        raise
    except ParamInspectError as error:
        if is_worth_memory(error, live.model) if live.plan is None else lacks_values(error.__cause__):
            raise _ValuesError(error.message) from error
        raise


def _in_memory(live: LiveModel, asked: CostPlan, inputs: Inputs | None) -> _Done:
    dtype = _type(asked)
    fed = inputs if inputs is not None else live.feeding().inputs()
    model = live.model
    if dtype is not None:
        model = copy.deepcopy(model).to(dtype)
        fed = Inputs(*map_tensors(tuple(fed), lambda each: each.to(dtype) if each.is_floating_point() else each))
    live.expect_pass(fed.positional)
    with leaving_untouched(model), explaining_memory(model):
        return _run(model, fed, live.plan, asked)


def _run(model: nn.Module, inputs: Inputs, plan: ModelPlan | None, asked: CostPlan) -> _Done:
    if asked.train is not None:
        set_mode(model, train=asked.train)
    measured = measure(model, inputs, plan, asked.attention)
    return _Done(_rows(model, measured), describe_model(model), _notes(measured))


def _type(asked: CostPlan) -> torch.dtype | None:
    found: torch.dtype | None = getattr(torch, asked.dtype) if asked.dtype is not None else None
    return found


def _rows(model: nn.Module, measured: Measured) -> list[ModuleCost]:
    rows = []
    for node in make_module_tree(model).walk():
        shapes = measured.shapes.get(node.path, ())
        ran = measured.has_run(node.path)
        rows.append(
            ModuleCost(
                node.path,
                node.module_type,
                node.numel,
                shapes[0] if shapes else None,
                measured.forward.get(node.path, 0) if ran else None,
                measured.backward.get(node.path, 0) if ran and measured.goes_back else None,
                measured.saved.get(node.path, 0) if ran else None,
            )
        )
    return rows


def _notes(measured: Measured) -> list[str]:
    notes = []
    if measured.uncounted:
        most = sorted(measured.uncounted.items(), key=lambda each: -each[1])
        what = list_some([f"{name} ({number:,})" for name, number in most], MAX_NAMED)
        notes.append(f"FLOPs are those of matrix products, convolutions and attention; not counted: {what}")
    if calls := measured.ran.get(FLASH):
        notes.append(
            f"attention: {counted(calls, 'call')} of a flash kernel, which keeps no scores (--attention math keeps them)"
        )
    if calls := measured.ran.get(MATH):
        other = "" if measured.attention == "math" else ", as on a CPU with dropout (--attention fused keeps none)"
        notes.append(f"attention: {counted(calls, 'call')} of the math kernel, which keeps the scores{other}")
    if measured.functions:
        names = list_some(measured.functions, MAX_NAMED)
        notes.append(
            f"autograd functions in Python ({names}): what they keep counts only where save_for_backward has it"
        )
    if not measured.goes_back:
        notes.append("nothing that it returns has a gradient: no backward pass is counted")
    return notes
