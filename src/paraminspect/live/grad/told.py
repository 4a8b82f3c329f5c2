"""What is said of a backward pass: rows of gradients, of their uses, of changes, and the tensors themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from paraminspect.outcomes import UseRecord
from paraminspect.render.columns import GRADIENT_CHANGES, GRADIENTS, SPREAD, USES
from paraminspect.render.rows import EMPTY_NAME, Column, Rows
from paraminspect.render.style import Style
from paraminspect.text import counted, escape_text, format_bytes, shape_text

if TYPE_CHECKING:
    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.grad.asked import BackwardPlan
    from paraminspect.live.grad.backward import BackwardReport
    from paraminspect.render.chart import Chart


class Told:
    """One backward pass, as rows, text, a picture and a file.

    Args:
        live: The model that ran.
        report: What came of it.
        plan: What was asked for.

    Attributes:
        before: What there was of gradients, and which loss was taken.
        notes: Remarks on the model and on the pass.
        closing: One line on the whole: "loss 9, total norm 6, 1 ok".
    """

    def __init__(self, live: LiveModel, report: BackwardReport, plan: BackwardPlan) -> None:
        from paraminspect.live.grad.gradient_files import other_names

        self._report = report
        self._plan = plan
        self._source = live.source
        self._head = {"source": live.source, "format": live.checkpoint.format}
        self._aliases = other_names(live.model)
        means = f"mean of {plan.steps:,} batches: " if plan.steps > 1 else ""
        loss = f"{means}loss {report.loss:.6g}"
        self.before = (
            f"before backward: {report.none_before:,} of {len(report.parameters):,} gradients are None",
            f"{loss} is {report.loss_said}",
        )
        self.notes = [*live.notes, *report.notes]
        counts = [f"{count:,} {state}" for state, count in report.states.items()]
        self.closing = ", ".join([loss, f"total norm {report.total_norm:.6g}", *counts])

    def rows(self) -> Rows:
        """One row a parameter."""
        several = self._plan.steps > 1
        values: list[tuple[Any, ...]] = []
        for each in self._report.parameters:
            uses = [use._asdict() for use in each.uses]
            row = (each.name, each.shape, each.state, each.norm, each.max_abs, each.zero_fraction, each.norm_ratio, uses, each.reason)  # fmt: skip
            values.append((*row, each.norm_std, each.untouched) if several else row)
        columns = (*GRADIENTS, *SPREAD) if several else GRADIENTS
        return Rows("parameters", columns, values, self._head, self._summary(), self.closing)

    def in_state(self, state: str) -> list[str]:
        """Parameters whose gradients are so."""
        return [each.name for each in self._report.parameters if each.state == state]

    def with_values(self, rows: Rows) -> Rows:
        """These rows with the gradients themselves, as lists of lists."""
        from paraminspect.live.build.arrays import tensor_array
        from paraminspect.live.ranks.sharded import whole_of
        from paraminspect.values.display import nested_values

        gradients = [self._report.gradients[record.name] for record in self._report.parameters]
        values = [None if each is None else nested_values(tensor_array(whole_of(each))) for each in gradients]
        whole = [(*row, value) for row, value in zip(rows.values, values, strict=True)]
        return rows._replace(columns=(*rows.columns, Column("gradient", "json")), values=whole)

    def use_rows(self, *, every: bool) -> Rows:
        """One row a use: of parameters with several uses or several names, or of all."""
        tied = set(self._aliases.values())
        values = [
            (each.name, use.module, use.op, use.norm, use.cosine, each.norm)
            for each in self._report.parameters
            if every or len(each.uses) > 1 or each.name in tied
            for use in each.uses
        ]
        return Rows("uses", USES, values, self._head, self._summary(), self.closing)

    def change_rows(self, file: str, tolerance: float) -> Rows:
        """One row a gradient that differs from what a file has, beyond `tolerance` times its norm.

        Raises:
            ParamInspectError: The file cannot be read.
        """
        from paraminspect.live.grad.gradient_files import compare_gradients

        gradients = self._report.gradients
        changes = compare_gradients(gradients, file, tolerance, self._aliases)
        held = sum(each is not None for each in gradients.values())
        found = f", {len(changes):,} differ from {file}" if changes else f" agree with {file}"
        values = [tuple(each) for each in changes]
        return Rows("changes", GRADIENT_CHANGES, values, self._head, closing=f"{held:,} gradients{found}")

    def texts(self, columns: int | None) -> Iterator[str]:
        """The gradients, each below its name, and where the plan has uses the parts of those that have several.

        Args:
            columns: Of the terminal; None in a pipe.
        """
        from paraminspect.live.build.arrays import dtype_name, print_tensor
        from paraminspect.live.ranks.sharded import whole_of, whole_part

        for record in self._report.parameters:
            gradient = self._report.gradients[record.name]
            shape = shape_text(record.shape)
            name = escape_text(record.name) or EMPTY_NAME
            if gradient is None:
                why = f", {escape_text(record.reason)}" if record.reason else ""
                yield f"{name}  gradient  {shape}\nNone ({record.state}{why})\n\n"
                continue
            yield f"{name}  gradient  {dtype_name(gradient)}  {shape}\n{print_tensor(whole_of(gradient), columns)}\n\n"
            if self._plan.uses and len(record.uses) > 1:
                for use, part in zip(record.uses, self._report.parts[record.name], strict=True):
                    text = "not kept" if part is None else print_tensor(whole_part(part, gradient), columns)
                    yield f"{name}  use at {_place(use)}\n{text}\n\n"
        yield f"{self.closing}\n"

    def chart(self, style: Style) -> Iterator[str]:
        """A bar a parameter, for a terminal."""
        from paraminspect.render.gradient_chart import render_chart

        yield from render_chart(self._report.parameters, style, closing=self.closing)

    def picture(self) -> Chart:
        """The same for a picture."""
        from paraminspect.render.gradient_plot import chart_of_gradients

        title = f"Gradients of {os.path.basename(self._source) or self._source}"
        return chart_of_gradients(self._report.parameters, title, self.closing)

    def encoded(self) -> Iterator[bytes]:
        """A safetensors file of the gradients."""
        from paraminspect.live.grad.gradient_files import encode_gradients

        return encode_gradients(self._report.gradients, self._aliases)

    def saved(self) -> str:
        """What that file holds: "4 tensors, 76 B"; a parameter without a gradient has none there."""
        held = [each for each in self._report.gradients.values() if each is not None]
        return f"{counted(len(held), 'tensor')}, {format_bytes(sum(each.nbytes for each in held))}"

    def _summary(self) -> dict[str, Any]:
        """What JSON says after the rows."""
        report, steps = self._report, self._plan.steps
        members = {"loss": report.loss, "total_norm": report.total_norm, "none_before": report.none_before}
        return {
            **members,
            "states": report.states,
            **({"steps": steps} if steps > 1 else {}),
            "loss_taken": report.loss_taken,
        }


def _place(use: UseRecord) -> str:
    return f"{escape_text(use.module) or EMPTY_NAME} ({use.op})"
