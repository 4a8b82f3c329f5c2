"""`paraminspect grad`: from a source to a backward pass, and from its report to what is printed and written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paraminspect.cli.files import write_to
from paraminspect.cli.grad_options import JSON, GradOptions, GradPlan, read_options
from paraminspect.cli.grad_rows import change_rows, describe, gradient_rows, show_gradients, use_rows
from paraminspect.cli.init import REFUSED
from paraminspect.cli.init_report import say_unmatched
from paraminspect.cli.live import open_model, tensor_array
from paraminspect.cli.output import Output
from paraminspect.cli.rules import ChosenRules, collect_rules
from paraminspect.cli.sources import Build, is_live
from paraminspect.errors import LimitExceededError, ParamInspectError, SourceError
from paraminspect.live.memory import available_memory, too_large
from paraminspect.render.rows import Column, Rows

if TYPE_CHECKING:
    from torch import nn

    from paraminspect.live.backward import BackwardReport
    from paraminspect.live.source import LiveModel

FOUND = 1
"""Exit status of --fail-on and --compare when there is something to find."""

MAX_NAMES = 5
"""Names that a note lists."""

LINE_WIDTH = 80
"""Columns that torch prints in; fewer on a narrower terminal."""


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
    live = _open(source, build, how, output)
    if live is None or not (chosen is None or _initialise(live, chosen, how, output)):
        output.finish()
        return output.status
    try:
        report = _backward(live, plan, how)
    except ParamInspectError as error:
        error.source = error.source or source
        raise
    none, total = report.none_before, len(report.parameters)
    output.remark(f"before backward: {none:,} of {total:,} gradients are None")
    for note in [*live.notes, *report.notes]:
        output.note(note)
    _Printer(live, report, plan, how, output).print()
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
    from paraminspect.live.limits import MAX_MODEL_BYTES

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


def _backward(live: LiveModel, plan: GradPlan, how: GradOptions) -> BackwardReport:
    import torch

    from paraminspect.live.backward import backward_report
    from paraminspect.live.feed import Feed, Wanted
    from paraminspect.live.prepare import check_inputs, choose_device, convert, freeze, materialise
    from paraminspect.live.steps import repeat_backward

    device = choose_device(how.device)
    dtype = None if how.dtype is None else getattr(torch, how.dtype)
    wanted = Wanted(plan.inputs, plan.target, how.loss, how.loss_file, dtype, device)
    feed = Feed(wanted, live.plan, how.rules.seed)
    freeze(live.model, plan.freeze)
    convert(live.model, dtype=dtype, device=device, train=how.train)
    inputs, loss = feed.batch()
    check_inputs(live.model, inputs)
    materialise(live.model, inputs, live.plan)
    if how.steps > 1:
        return repeat_backward(live.model, feed.batch, how.steps, uses=how.uses, seed=how.rules.seed, plan=live.plan)
    return backward_report(live.model, inputs, loss, uses=how.uses, seed=how.rules.seed, plan=live.plan)


class _Printer:
    """Prints and writes one report."""

    def __init__(
        self, live: LiveModel, report: BackwardReport, plan: GradPlan, how: GradOptions, output: Output
    ) -> None:
        self._live = live
        self._report = report
        self._plan = plan
        self._how = how
        self._output = output
        self._aliases = _aliases(live.model)
        self._head = {"source": live.source, "format": live.checkpoint.format}

    def print(self) -> None:
        how = self._how
        if how.plot:
            self._plot()
        if how.save:
            from paraminspect.live.gradient_files import encode_gradients

            write_to(how.save, [encode_gradients(self._report.gradients, self._aliases)], self._output)
        if how.compare:
            self._compare()
        elif how.save != "-":
            self._rows()
        self._judge()

    def _rows(self) -> None:
        how, output, report = self._how, self._output, self._report
        if how.show and how.format not in JSON:
            output.write([*show_gradients(report, self._printed, uses=how.uses), describe(report, how.steps) + "\n"])
        elif how.uses and output.format not in JSON:
            output.write_rows(self._picked(use_rows(report, self._used(), self._head, how.steps)))
        elif how.format == "auto" and output.is_terminal and not how.columns:
            from paraminspect.render.gradient_chart import render_chart

            output.write(render_chart(report.parameters, output.style(), closing=describe(report, how.steps)))
        else:
            rows = self._picked(gradient_rows(report, self._head, how.steps))
            output.write_rows(self._with_values(rows) if how.show else rows)

    def _picked(self, rows: Rows) -> Rows:
        return rows.pick(self._plan.columns) if self._plan.columns and self._output.format != "names" else rows

    def _with_values(self, rows: Rows) -> Rows:
        from paraminspect.values.export import nested_values

        gradients = [self._report.gradients[record.name] for record in self._report.parameters]
        values = [None if each is None else nested_values(tensor_array(each)) for each in gradients]
        whole = [(*row, value) for row, value in zip(rows.values, values, strict=True)]
        return rows._replace(columns=(*rows.columns, Column("gradient", "json")), values=whole)

    def _used(self) -> list[str]:
        """Parameters whose uses are shown: with several uses or several names, or all of them."""
        tied = set(self._aliases.values())
        names = [
            record.name
            for record in self._report.parameters
            if self._how.all_uses or len(record.uses) > 1 or record.name in tied
        ]
        if not names:
            self._output.note("no parameter is used more than once (--all-uses shows every use)")
        return names

    def _printed(self, tensor: Any) -> tuple[str, str]:
        from paraminspect.values.display import PrintOptions, format_tensor

        array = tensor_array(tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        width = min(self._output.style().width or LINE_WIDTH, LINE_WIDTH)
        return dtype, format_tensor(array, dtype, PrintOptions(linewidth=width))

    def _plot(self) -> None:
        from paraminspect.render.gradient_plot import plot_gradients
        from paraminspect.render.svg import render_html, render_svg

        how = self._how
        title = f"Gradients of {os.path.basename(self._live.source) or self._live.source}"
        picture = plot_gradients(self._report.parameters, title, describe(self._report, how.steps))
        ending = os.path.splitext(how.plot)[1].lower()
        if ending == ".png":
            from paraminspect.render.png import render_png

            write_to(how.plot, [render_png(picture)], self._output)
        else:
            pieces = render_svg(picture) if ending == ".svg" else render_html(picture)
            write_to(how.plot, (piece.encode("utf-8", "backslashreplace") for piece in pieces), self._output)

    def _compare(self) -> None:
        from paraminspect.live.gradient_files import compare_gradients

        how, gradients = self._how, self._report.gradients
        changes = compare_gradients(gradients, how.compare, how.tolerance, self._aliases)
        held = sum(each is not None for each in gradients.values())
        differing = len(changes)
        closing = f"{held:,} gradients, {differing:,} differ from {how.compare}" if changes else f"{held:,} gradients agree with {how.compare}"  # fmt: skip
        self._output.write_rows(change_rows(changes, self._head, closing))
        if changes:
            self._output.status = max(self._output.status, FOUND)

    def _judge(self) -> None:
        """Exit status and note of --fail-on."""
        for state in self._plan.fail_on:
            names = [record.name for record in self._report.parameters if record.state == state]
            if names:
                self._output.status = max(self._output.status, FOUND)
                self._output.note(f"--fail-on {state}: {_listed(names)}")


def _aliases(model: nn.Module) -> dict[str, str]:
    """Other name of a tied parameter -> its canonical one."""
    first: dict[int, str] = {}
    aliases = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        if canonical != name:
            aliases[name] = canonical
    return aliases


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
