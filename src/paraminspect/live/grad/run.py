"""A plan of a backward pass, carried out on a model in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import BackwardError, ParamInspectError
from paraminspect.live.build.feeding import check_call
from paraminspect.live.build.forward import Inputs, set_mode
from paraminspect.live.build.lazy import has_lazy, run_once
from paraminspect.live.build.live_model import LiveModel
from paraminspect.live.grad.asked import BackwardPlan
from paraminspect.live.grad.backward import BackwardReport, backward_report
from paraminspect.live.grad.feed import Feed, Wanted
from paraminspect.live.grad.prepare import choose_device, convert, freeze
from paraminspect.live.grad.rows import Rows, count_rows, share_rows, why_together
from paraminspect.live.grad.steps import repeat_backward
from paraminspect.live.grad.told import Told
from paraminspect.text import counted

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def run_backward(
    live: LiveModel, plan: BackwardPlan, on_step: Callable[[int], None], give: Callable[[str], Tensor] | None = None
) -> Told:
    """Feed a model, take the loss and go back; says what came of it.

    Args:
        live: Is frozen, converted and moved as the plan says.
        on_step: Is told how many batches are done, if there are several.
        give: All of a tensor by its name, of a model that is to be sharded, and on the meta device.

    Raises:
        ParamInspectError: The inputs do not fit, or the model fails.
    """
    try:
        done = _run(live, plan, on_step) if give is None else _run_sharded(live, plan, give)
        return Told(live, done, plan)
    except ParamInspectError as error:
        error.source = error.source or live.source
        raise live.with_example(error) from error.__cause__


def _run_sharded(live: LiveModel, plan: BackwardPlan, give: Callable[[str], Tensor]) -> BackwardReport:
    """The same, of a model of which this process has a part, and of the batch where its rows go apart."""
    from paraminspect.live.grad.sharding import make_mesh, shard_model

    assert plan.shard is not None
    mesh = make_mesh(plan.shard)
    dtype = None if plan.dtype is None else getattr(torch, plan.dtype)
    feeding = live.feeding()
    wanted = Wanted(plan.target, plan.loss, plan.loss_file, dtype, "cpu")
    feed = Feed(wanted, live.plan, plan.seed, lambda step: feeding.inputs(step, device="cpu", dtype=dtype))
    inputs, _ = feed.batch()
    model = copy.deepcopy(live.model)  # which stays as it is, to draw from
    if has_lazy(model):
        raise BackwardError("a model with lazy layers cannot be sharded", hint="leave out --shard")
    freeze(model, plan.freeze)
    if dtype is not None:
        model.to(dtype)
    if plan.train is not None:
        set_mode(model, train=plan.train)
    check_call(model, inputs)
    rows, said = _share_batch(model, inputs, feed, live.plan, mesh["dp"])
    inputs, loss = feed.batch(rows=rows)
    notes = shard_model(model, plan.shard, mesh, give)
    done = backward_report(model, inputs, loss, uses=plan.uses, seed=plan.seed, plan=live.plan)
    return replace(done, notes=(*notes, said, *done.notes))


def _share_batch(
    model: nn.Module, inputs: Inputs, feed: Feed, plan: ModelPlan | None, mesh: DeviceMesh
) -> tuple[Rows | None, str]:
    """The rows that this process is fed, None for all, and what is to be said of that."""
    parts, total = mesh.size(), count_rows(inputs)
    whole = "every process is fed the whole batch"
    if parts == 1:
        return None, whole
    if total is None:
        return None, f"{whole}: its inputs have no rows in common"
    if total < parts:
        return None, f"{whole}: {counted(total, 'row')} for {parts} processes"
    why = why_together(model, inputs, plan, lambda output: feed.why_no_sum(output, total))
    if why:
        return None, f"{whole}: {why}"
    return share_rows(total, mesh.get_local_rank(), parts), f"each process is fed its part of {counted(total, 'row')}"


def _run(live: LiveModel, plan: BackwardPlan, on_step: Callable[[int], None]) -> BackwardReport:
    device = choose_device(plan.device)
    dtype = None if plan.dtype is None else getattr(torch, plan.dtype)
    feeding = live.feeding()
    wanted = Wanted(plan.target, plan.loss, plan.loss_file, dtype, device)
    feed = Feed(wanted, live.plan, plan.seed, lambda step: feeding.inputs(step, device=device, dtype=dtype))
    model = live.model
    freeze(model, plan.freeze)
    convert(model, dtype=dtype, device=device, train=plan.train)
    inputs, loss = feed.batch()
    check_call(model, inputs)
    live.expect_pass(inputs.positional)
    if has_lazy(model):
        run_once(model, inputs.positional, inputs.named, plan=live.plan, seed=plan.seed)
    if plan.steps == 1:
        return backward_report(model, inputs, loss, uses=plan.uses, seed=plan.seed, plan=live.plan)
    return repeat_backward(
        model, feed.batch, plan.steps, uses=plan.uses, seed=plan.seed, plan=live.plan, on_step=on_step
    )
