"""What is said of a backward pass: rows of gradients, of their uses, of changes, and the tensors themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paraminspect.records import GradRecord, UseRecord
from paraminspect.render.columns import GRADIENT_CHANGES, GRADIENTS, SPREAD, USES
from paraminspect.render.rows import EMPTY_NAME, Rows
from paraminspect.text import escape_text, shape_text

if TYPE_CHECKING:
    import numpy as np

    from paraminspect.live.grad.backward import BackwardReport
    from paraminspect.live.grad.gradient_files import GradientChange

    Array = np.ndarray[Any, Any]


def gradient_rows(report: BackwardReport, head: Mapping[str, Any], steps: int) -> Rows:
    """One row a parameter."""
    values: list[tuple[Any, ...]] = []
    for each in report.parameters:
        uses = [use._asdict() for use in each.uses]
        row = (each.name, each.shape, each.state, each.norm, each.max_abs, each.zero_fraction, each.norm_ratio, uses, each.reason)  # fmt: skip
        values.append(row if steps == 1 else (*row, each.norm_std, each.untouched))
    return Rows(
        "parameters",
        GRADIENTS if steps == 1 else (*GRADIENTS, *SPREAD),
        values,
        head,
        summary(report, steps),
        describe(report, steps),
    )


def use_rows(report: BackwardReport, names: Sequence[str], head: Mapping[str, Any], steps: int) -> Rows:
    """One row a use, of the parameters of these names."""
    wanted = set(names)
    values = [
        (each.name, use.module, use.op, use.norm, use.cosine, each.norm)
        for each in report.parameters
        if each.name in wanted
        for use in each.uses
    ]
    return Rows("uses", USES, values, head, summary(report, steps), describe(report, steps))


def change_rows(changes: Sequence[GradientChange], head: Mapping[str, Any], closing: str) -> Rows:
    """One row a gradient that differs."""
    return Rows("changes", GRADIENT_CHANGES, [tuple(each) for each in changes], head, closing=closing)


def summary(report: BackwardReport, steps: int) -> dict[str, Any]:
    """What JSON says after the rows."""
    members = {"loss": report.loss, "total_norm": report.total_norm, "none_before": report.none_before}
    return {**members, "states": report.states, **({"steps": steps} if steps > 1 else {})}


def describe(report: BackwardReport, steps: int) -> str:
    """The closing line: "loss 9, total norm 6, 1 ok"."""
    counts = [f"{count:,} {state}" for state, count in report.states.items()]
    means = f"mean of {steps:,} batches: " if steps > 1 else ""
    return ", ".join([f"{means}loss {report.loss:.6g}", f"total norm {report.total_norm:.6g}", *counts])


def show_gradients(
    report: BackwardReport, print_tensor: Callable[[Any], tuple[str, str]], *, uses: bool
) -> Iterator[str]:
    """The gradients, each below its name, and with `uses` the parts of those that have several.

    Args:
        print_tensor: A tensor -> (its dtype, its text).
    """
    for record in report.parameters:
        gradient = report.gradients[record.name]
        shape = shape_text(record.shape)
        name = escape_text(record.name) or EMPTY_NAME
        if gradient is None:
            why = f", {escape_text(record.reason)}" if record.reason else ""
            yield f"{name}  gradient  {shape}\nNone ({record.state}{why})\n\n"
            continue
        dtype, text = print_tensor(gradient)
        yield f"{name}  gradient  {dtype}  {shape}\n{text}\n\n"
        if uses and len(record.uses) > 1:
            yield from _show_parts(record, report.parts[record.name], print_tensor)


def _show_parts(
    record: GradRecord, parts: Sequence[Any], print_tensor: Callable[[Any], tuple[str, str]]
) -> Iterator[str]:
    for use, part in zip(record.uses, parts, strict=True):
        text = "not kept" if part is None else print_tensor(part)[1]
        yield f"{escape_text(record.name) or EMPTY_NAME}  use at {_place(use)}\n{text}\n\n"


def _place(use: UseRecord) -> str:
    return f"{escape_text(use.module) or EMPTY_NAME} ({use.op})"
