"""`paraminspect grad`: from a source to a backward pass, and from its report to what is printed and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paraminspect.cli.chosen import Build, is_live
from paraminspect.cli.grad_options import GradOptions, GradPlan, read_options
from paraminspect.cli.grad_output import GradPrinter
from paraminspect.cli.init import REFUSED
from paraminspect.cli.init_report import say_unmatched
from paraminspect.cli.live import open_model
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.cli.rules import ChosenRules, collect_rules
from paraminspect.errors import LimitExceededError, ParamInspectError, SourceError
from paraminspect.live.build.memory import available_memory, too_large

if TYPE_CHECKING:
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.grad.backward import BackwardReport


def run_grad(source: str, build: Build, how: GradOptions, output: Output) -> int:
    """Take gradients of one source; returns the exit status.

    Raises:
        ParamInspectError: Options that do not fit, a source that is no model, a model that fails, a file that cannot
            be read or written.
    """
    plan = read_options(how, output)
    if not is_live(source):
        raise _no_architecture(source)
    initialises = how.init or how.rules.rules or how.rules.config
    chosen = collect_rules(source, build, how.rules, output) if initialises else None
    live = _open(source, build if chosen is None else chosen.build, how, output)
    if live is None or not (chosen is None or _initialise(live, chosen, how, output)):
        output.finish()
        return output.status
    try:
        report = _backward(live, plan, how, output)
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


def _no_architecture(source: str) -> SourceError:
    """A checkpoint has no forward pass; what is wrong with the file itself goes first."""
    from paraminspect.formats import open_source

    checkpoint = open_source(source)
    return SourceError(
        f"a checkpoint ({checkpoint.format}) holds tensors; a gradient needs the architecture too",
        hint=f"name a spec or a factory: paraminspect grad model.yaml --weights {source}",
        source=source,
    )


def _open(source: str, build: Build, how: GradOptions, output: Output) -> LiveModel | None:
    """The model in memory, if it fits there."""
    from paraminspect.architecture.expand import MAX_MODEL_BYTES

    available = available_memory()
    limit = MAX_MODEL_BYTES if available is None else min(available, MAX_MODEL_BYTES)
    try:
        return open_model(source, build, output, seed=how.rules.seed, max_bytes=limit)
    except LimitExceededError as error:
        if error.limit != limit or error.actual is None or available is None:
            raise
        refusal = too_large(2 * error.actual, available)
        refusal.source = source
        raise refusal from None


def _initialise(live: LiveModel, chosen: ChosenRules, how: GradOptions, output: Output) -> bool:
    """Apply rules; whether to go on, which a rule that matches nothing forbids."""
    from paraminspect.live.init.apply import apply_init, plan_init

    functions = chosen.own.functions if chosen.own is not None else None
    plan = plan_init(live.model, chosen.rules, functions=functions)
    say_unmatched(plan, output)
    if plan.unmatched and not how.allow_unmatched:
        output.status = max(output.status, REFUSED)
        return False
    if not chosen.rules:
        output.note("no rule applies: --rule 'SELECTOR=ACTION' gives one")
    apply_init(live.model, chosen.rules, how.rules.seed, functions=functions, allow_unmatched=True)
    return True


def _backward(live: LiveModel, plan: GradPlan, how: GradOptions, output: Output) -> BackwardReport:
    import torch

    from paraminspect.live.grad.backward import backward_report
    from paraminspect.live.grad.feed import Feed, Wanted
    from paraminspect.live.grad.prepare import check_inputs, choose_device, convert, freeze, materialise
    from paraminspect.live.grad.steps import repeat_backward

    device = choose_device(how.device)
    seed = how.rules.seed
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
