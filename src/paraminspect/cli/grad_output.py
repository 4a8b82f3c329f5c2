"""What `paraminspect grad` prints and writes: rows, a chart, tensors, pictures, a file, a comparison."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from paraminspect.cli.files import write_to
from paraminspect.cli.grad_options import JSON, GradOptions, GradPlan
from paraminspect.cli.output import Output
from paraminspect.live.grad.rows import change_rows, describe, gradient_rows, show_gradients, use_rows
from paraminspect.render.rows import Column, Rows
from paraminspect.text import list_some

if TYPE_CHECKING:
    from torch import nn

    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.grad.backward import BackwardReport

FOUND = 1
"""Exit status of --fail-on and --compare when there is something to find."""

MAX_NAMES = 5
"""Names that a note lists."""

LINE_WIDTH = 80
"""Columns that torch prints in; fewer on a narrower terminal."""


class GradPrinter:
    """Prints and writes one report.

    Args:
        live: The model that ran.
        report: What came of it; with parts of uses if they are shown.
        plan: Of the options.
        how: The options.
        output: Takes the rows, and the exit status of --compare and --fail-on.
    """

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
        """Pictures and files first, then rows.

        Raises:
            ParamInspectError: A file cannot be read or written.
        """
        how = self._how
        if how.plot:
            self._plot()
        if how.save:
            from paraminspect.live.grad.gradient_files import encode_gradients

            write_to(how.save, encode_gradients(self._report.gradients, self._aliases), self._output)
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
        elif how.format == "auto" and output.is_terminal and not how.rows.columns:
            from paraminspect.render.gradient_chart import render_chart

            output.write(render_chart(report.parameters, output.style(), closing=describe(report, how.steps)))
        else:
            rows = self._picked(gradient_rows(report, self._head, how.steps))
            output.write_rows(self._with_values(rows) if how.show else rows)

    def _picked(self, rows: Rows) -> Rows:
        return self._output.pick(rows, self._plan.columns)

    def _with_values(self, rows: Rows) -> Rows:
        from paraminspect.live.build.arrays import tensor_array
        from paraminspect.values.display import nested_values

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
        from paraminspect.live.build.arrays import tensor_array
        from paraminspect.values.display import PrintOptions, format_tensor

        array = tensor_array(tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        width = min(self._output.style().width or LINE_WIDTH, LINE_WIDTH)
        return dtype, format_tensor(array, dtype, PrintOptions(linewidth=width))

    def _plot(self) -> None:
        from paraminspect.render.gradient_plot import plot_gradients
        from paraminspect.render.pictures import encode_picture

        how = self._how
        title = f"Gradients of {os.path.basename(self._live.source) or self._live.source}"
        picture = plot_gradients(self._report.parameters, title, describe(self._report, how.steps))
        write_to(how.plot, encode_picture(picture, how.plot), self._output)

    def _compare(self) -> None:
        from paraminspect.live.grad.gradient_files import compare_gradients

        how, gradients = self._how, self._report.gradients
        changes = compare_gradients(gradients, how.compare, how.tolerance, self._aliases)
        held = sum(each is not None for each in gradients.values())
        differing = len(changes)
        closing = f"{held:,} gradients, {differing:,} differ from {how.compare}" if changes else f"{held:,} gradients agree with {how.compare}"  # fmt: skip
        self._output.write_rows(self._picked(change_rows(changes, self._head, closing)))
        if changes:
            self._output.status = max(self._output.status, FOUND)

    def _judge(self) -> None:
        """Exit status and note of --fail-on."""
        for state in self._how.fail_on:
            names = [record.name for record in self._report.parameters if record.state == state]
            if names:
                self._output.status = max(self._output.status, FOUND)
                self._output.note(f"--fail-on {state}: {list_some(names, MAX_NAMES)}")


def _aliases(model: nn.Module) -> dict[str, str]:
    """Other name of a tied parameter -> its canonical one."""
    first: dict[int, str] = {}
    aliases = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        if canonical != name:
            aliases[name] = canonical
    return aliases
