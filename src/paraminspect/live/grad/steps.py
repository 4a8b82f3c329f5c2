"""Several backward passes of one model, each on a batch of its own: means, spread, and what no batch touched."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from paraminspect.architecture.plan import ModelPlan
from paraminspect.live.build.forward import Inputs
from paraminspect.live.build.lazy import having_run
from paraminspect.live.grad.backward import BackwardReport, backward_report
from paraminspect.live.grad.losses import Loss
from paraminspect.outcomes import GradRecord, GradState

Batch = tuple[Inputs, Loss]

WORST_FIRST: tuple[GradState, ...] = ("nan", "inf", "ok", "zero", "none", "frozen")
"""Which of several states a parameter is in: one that is no number in any pass, one that is "ok" in any other."""


def repeat_backward(
    model: nn.Module,
    batch: Callable[[int], Batch],
    steps: int,
    *,
    uses: bool = False,
    seed: int = 0,
    plan: ModelPlan | None = None,
    on_step: Callable[[int], None] | None = None,
) -> BackwardReport:
    """Run `steps` backward passes, the weights staying as they are.

    Loss and total norm are means; gradients are those of the mean loss. Uses, their parts, reasons and notes are those
    of the first pass.

    Args:
        batch: Inputs and loss of a step, from 0.
        steps: One or more.
        seed: Of what forward draws; step N takes `seed + N`.
        plan: Of a spec's model, for the places in error messages.
        on_step: Called with the number of passes that are done.

    Raises:
        ParamInspectError: As of `backward_report`.
    """

    def report_of(step: int) -> BackwardReport:
        inputs, loss = batch(step)
        return backward_report(
            model, inputs, loss, uses=uses and not step, seed=seed + step, reasons=not step, plan=plan
        )

    first = report_of(0)
    if not first.made:
        return _fold(first, report_of, steps, on_step)
    inputs, _ = batch(0)
    with having_run(model, *inputs, plan=plan, seed=seed):  # layers that the first batch makes serve all of them
        again = replace(report_of(0), notes=first.notes, made=first.made)
        return _fold(again, report_of, steps, on_step)


def _fold(
    first: BackwardReport,
    report_of: Callable[[int], BackwardReport],
    steps: int,
    on_step: Callable[[int], None] | None,
) -> BackwardReport:
    """The first report with the numbers of all."""
    tallies: dict[str, _Tally] = {}
    losses, totals = [], []
    for step in range(steps):
        report = report_of(step) if step else first
        losses.append(report.loss)
        totals.append(report.total_norm)
        for record in report.parameters:
            tallies.setdefault(record.name, _Tally(record)).add(record, report.gradients[record.name])
        if on_step is not None:
            on_step(step + 1)
    records = tuple(tallies[record.name].summary() for record in first.parameters)
    gradients = {name: tally.mean(steps) for name, tally in tallies.items()}
    return replace(first, parameters=records, loss=_mean(losses), total_norm=_mean(totals), gradients=gradients)


class _Tally:
    """What several passes say of one parameter."""

    def __init__(self, first: GradRecord) -> None:
        self._records: list[GradRecord] = []
        self._first = first
        self._sum: Tensor | None = None
        self._touched: Tensor | None = None

    def add(self, record: GradRecord, gradient: Tensor | None) -> None:
        self._records.append(record)
        if gradient is None:
            return
        slices = gradient.reshape(len(gradient), -1) if gradient.dim() and gradient.numel() else gradient.reshape(1, -1)
        touched = slices.any(dim=1)
        self._touched = touched if self._touched is None else self._touched | touched
        self._sum = gradient if self._sum is None else self._sum + gradient

    def mean(self, steps: int) -> Tensor | None:
        return None if self._sum is None else self._sum / steps

    def summary(self) -> GradRecord:
        states = {record.state for record in self._records}
        state = next(each for each in WORST_FIRST if each in states)
        norms = [record.norm for record in self._records if record.norm is not None]
        shape = self._first.shape
        untouched = (shape[0] if shape else 1) if self._touched is None else int((~self._touched).sum())
        return self._first._replace(
            state=state,
            norm=_mean(norms) if norms else None,
            max_abs=max(self._known("max_abs"), default=None, key=lambda value: (math.isnan(value), value)),
            zero_fraction=_mean(self._known("zero_fraction")) if norms else None,
            norm_ratio=_mean(self._known("norm_ratio")) if self._known("norm_ratio") else None,
            reason=self._first.reason if state == self._first.state else None,
            norm_std=_deviation(norms),
            untouched=untouched,
        )

    def _known(self, what: str) -> list[float]:
        return [value for record in self._records if (value := getattr(record, what)) is not None]


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers) if all(map(math.isfinite, numbers)) and numbers else math.nan


def _deviation(numbers: Sequence[float]) -> float | None:
    """With Bessel's correction; None of fewer than two numbers."""
    if len(numbers) < 2:
        return None
    mean = _mean(numbers)
    return math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
