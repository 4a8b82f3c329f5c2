"""`paraminspect grad`: from a source to a backward pass, and from its report to what is printed and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paraminspect.cli.grad_options import GradOptions, GradPlan, read_options
from paraminspect.cli.grad_output import GradPrinter
from paraminspect.cli.init_report import say_unmatched
from paraminspect.cli.opened import open_one
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.errors import ParamInspectError
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model

if TYPE_CHECKING:
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.grad.backward import BackwardReport


def run_grad(source: str, asked: Asked, how: GradOptions, output: Output) -> int:
    """Take gradients of one source; returns the exit status.

    Raises:
        ParamInspectError: Options that do not fit, a source that is no model, a model that fails, a file that cannot
            be read or written.
    """
    plan = read_options(how, output)
    model = open_one(source, asked, output)
    if model is None:
        output.finish()
        return output.status
    live = model.live
    assert live is not None
    _say_rules(model, asked, how, output)
    try:
        report = _backward(live, plan, how, asked.seed, output)
    except ParamInspectError as error:
        error.source = error.source or source
        raise
    none, total = report.none_before, len(report.parameters)
    output.remark(f"before backward: {none:,} of {total:,} gradients are None")
    for note in [*live.notes, *report.notes]:
        output.note(note)
    GradPrinter(live, report, plan, how, output).print()
    output.finish()
    return output.status


def _say_rules(model: Model, asked: Asked, how: GradOptions, output: Output) -> None:
    """Say which rules do nothing, and whether none is there though one was expected."""
    if model.plan is not None:
        say_unmatched(model.plan, output)
    if (how.init or asked.config) and (model.plan is None or not model.plan.rules):
        output.note("no rule applies: --rule 'SELECTOR=ACTION' gives one")


def _backward(live: LiveModel, plan: GradPlan, how: GradOptions, seed: int, output: Output) -> BackwardReport:
    import torch

    from paraminspect.live.grad.backward import backward_report
    from paraminspect.live.grad.feed import Feed, Wanted
    from paraminspect.live.grad.prepare import check_inputs, choose_device, convert, freeze, materialise
    from paraminspect.live.grad.steps import repeat_backward

    device = choose_device(how.device)
    dtype = None if how.dtype is None else getattr(torch, how.dtype)
    wanted = Wanted(plan.inputs, plan.target, how.loss, how.loss_file, dtype, device)
    feed = Feed(wanted, live.plan, seed)
    freeze(live.model, plan.freeze)
    convert(live.model, dtype=dtype, device=device, train=how.train)
    inputs, loss = feed.batch()
    check_inputs(live.model, inputs)
    materialise(live.model, inputs, live.plan)
    if how.steps > 1:
        with Progress(output, "run", "{:,} batches".format) as progress:
            return repeat_backward(
                live.model, feed.batch, how.steps, uses=how.uses, seed=seed, plan=live.plan,
                on_step=lambda done: progress(done, how.steps),
            )  # fmt: skip
    return backward_report(live.model, inputs, loss, uses=how.uses, seed=seed, plan=live.plan)
