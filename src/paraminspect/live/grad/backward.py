"""One backward pass, and what came of every parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import BackwardError
from paraminspect.live.build.describe import describe_views
from paraminspect.live.build.forward import Inputs, as_inputs
from paraminspect.live.build.lazy import has_lazy, having_run, note_made
from paraminspect.live.grad.diagnose import find_reasons
from paraminspect.live.grad.gradients import GradientNumbers, angle, measure_gradients, norm_of
from paraminspect.live.grad.losses import Loss, LossFunction, as_loss
from paraminspect.live.grad.once import BackwardRun, Outcome, explaining_memory
from paraminspect.live.grad.uses import MAX_PART_BYTES
from paraminspect.live.ranks.sharded import Peers, is_sharded, whole_of, whole_part
from paraminspect.outcomes import GradRecord, GradState, UseRecord
from paraminspect.text import format_bytes

FLAT = {
    "SoftmaxBackward0": "a softmax sums to one",
    "NativeLayerNormBackward0": "what a LayerNorm gives sums to a constant",
    "NativeBatchNormBackward0": "what a BatchNorm gives sums to a constant",
    "NativeGroupNormBackward0": "what a GroupNorm gives sums to a constant",
}
"""Autograd nodes of an output whose sum does not depend on what comes before it, and why."""

TINY = 1e-5
"""Where the norms of all parameters before the last layer are below it, under a loss that is flat, they are rounding."""

MAX_CHANGED = 5
"""Parameters that a note names."""


@dataclass(frozen=True, slots=True)
class BackwardReport:
    """What came of one backward pass.

    Attributes:
        parameters: One a parameter, a tied one once, in the order of `named_parameters()`.
        total_norm: Of all gradients together: the root of the sum of the squares of their norms.
        none_before: How many parameters had no gradient before.
        gradients: By name, None where there is none; dense, on the model's device.
        parts: By name, one for each of the record's `uses`; empty unless they were asked for. None where a part was
            not kept.
        notes: Remarks for the user, one line each.
        made: Names of parameters and buffers that the forward pass made, and that are gone from the model again.
        loss_taken: What the loss is, as `--loss` has it: "sum(output.0)".
        loss_said: The same with the reason why it is this one, for a user.
    """

    parameters: tuple[GradRecord, ...]
    loss: float
    total_norm: float
    none_before: int
    gradients: Mapping[str, Tensor | None]
    parts: Mapping[str, tuple[Tensor | None, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    loss_taken: str = ""
    loss_said: str = ""

    @property
    def states(self) -> dict[GradState, int]:
        """How many parameters are in each state, those of none left out."""
        return dict(Counter(record.state for record in self.parameters))


def backward_report(
    model: nn.Module,
    inputs: Tensor | Sequence[object] | Mapping[str, object] | Inputs,
    loss: LossFunction | Loss | str | None = None,
    *,
    uses: bool = False,
    seed: int | None = None,
    reasons: bool = True,
    plan: ModelPlan | None = None,
    peers: Peers | None = None,
) -> BackwardReport:
    """Run one forward and one backward pass and say what came of every parameter.

    The model is left as it was, bit for bit: parameters, `.grad`, buffers, modes, hooks and random generators. It runs
    in the mode it is in.

    Args:
        inputs: Of its call: one tensor, a sequence of positional arguments, or a mapping of named ones.
        loss: As of `losses`; None takes the output's own, or the sum of its first floating-point tensor.
        uses: Whether to keep the part of the gradient of each use, of parameters that have several: it costs a tensor
            of the parameter's size a use.
        seed: For what the forward pass draws (dropout); None takes the generators as they are.
        reasons: Whether to look for the reason where a gradient is missing, zero or no number, which takes a second
            pass.
        plan: Of a spec's model, for the places in error messages.
        peers: Other processes that have the same model and call this too; None looks for those of a sharded one.

    Raises:
        ParamInspectError: The model fails on the inputs (with the module that does); the loss has no single element or
            no graph, or is no number; memory runs out.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> report = backward_report(net, torch.ones(2, 4))
        >>> [record.name for record in report.parameters]
        ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    run = BackwardRun(model, as_inputs(inputs), as_loss(loss), seed, plan, peers=peers)
    had = {name for name, each in model.named_parameters() if each.grad is not None}
    with (
        explaining_memory(model),
        having_run(model, *run.inputs, plan=plan, seed=seed) if has_lazy(model) else nullcontext(),
    ):
        for name, each in model.named_parameters():
            if is_lazy(each):
                raise BackwardError(f"{name} has no shape: it is lazy, and the forward pass gives it none")
        return _report(run, had, uses=uses, reasons=reasons)


def _report(run: BackwardRun, had: set[str], *, uses: bool, reasons: bool) -> BackwardReport:
    """Of one backward pass.

    Args:
        had: Parameters that had a gradient before.
    """
    done = run.backward(parts=uses)
    named = list(done.parameters.items())
    present = {name: gradient for name, gradient in done.gradients.items() if gradient is not None}
    numbers, total = measure_gradients([(each, present[name]) for name, each in named if name in present])
    measured = dict(zip(present, numbers, strict=True))
    parts = {name: _parts(done, name) for name in done.gradients} if uses else {}
    records = [
        _record(name, each, measured.get(name), _use_records(name, done, measured.get(name), parts.get(name)))
        for name, each in named
    ]
    notes = [*_notes(done, records), *_note_views(run.model)]
    if reasons:
        found = find_reasons(run, {record.name: record.state for record in records})
        records = [record._replace(reason=found.get(record.name)) for record in records]
    return BackwardReport(
        tuple(records),
        done.loss,
        total,
        len(done.parameters.keys() - had),
        done.gradients,
        parts,
        tuple(notes),
        tuple(done.made),
        done.loss_taken,
        done.loss_said,
    )


def _parts(done: Outcome, name: str) -> tuple[Tensor | None, ...]:
    uses = done.uses[name]
    return (done.gradients[name],) if len(uses) == 1 else tuple([use.part() for use in uses])


def _record(name: str, parameter: Tensor, numbers: GradientNumbers | None, uses: tuple[UseRecord, ...]) -> GradRecord:
    shape = tuple(parameter.shape)
    if numbers is None:
        return GradRecord(name, shape, "none" if parameter.requires_grad else "frozen", uses=uses)
    return GradRecord(name, shape, *numbers, uses=uses)


def _use_records(
    name: str, done: Outcome, numbers: GradientNumbers | None, parts: Sequence[Tensor | None] | None
) -> tuple[UseRecord, ...]:
    """The uses of a parameter; the only one there is has the whole gradient."""
    uses, whole = done.uses[name], done.gradients[name]
    if len(uses) == 1 and numbers is not None:
        return (UseRecord(uses[0].path, uses[0].op, numbers.norm, 1.0 if numbers.norm else None),)
    records = []
    for use, part in zip(uses, parts or [None] * len(uses), strict=True):
        if part is None or whole is None or numbers is None:
            records.append(UseRecord(use.path, use.op))
        else:
            mean = done.peers.mean(part) if done.peers is not None and done.peers.holds_replicas else part
            mean = whole_part(part, whole) if is_sharded(whole) else mean
            norm = norm_of(mean)
            records.append(UseRecord(use.path, use.op, norm, angle(mean, whole_of(whole), norm * numbers.norm)))
    return tuple(records)


def _note_views(model: nn.Module) -> list[str]:
    """Parameters that have bytes of another: two gradients of one storage."""
    views = describe_views(model)
    notes = [f"{name} = {what}: one storage, each with a gradient of its own" for name, what in views.items()]
    more = [f"{len(notes) - MAX_CHANGED:,} more parameters have bytes of others"] if len(notes) > MAX_CHANGED else []
    return notes[:MAX_CHANGED] + more


def _notes(done: Outcome, records: Sequence[GradRecord]) -> list[str]:
    notes = [*note_made(done.made), *done.hooks]
    notes += [
        f"the forward pass changes {name} itself{', which is not as it was' if name in done.lost else ''}"
        for name in done.changed[:MAX_CHANGED]
    ]
    if done.incomplete:
        notes.append(f"parts of gradients beyond {format_bytes(MAX_PART_BYTES)} were not kept: their norm is not known")
    why = FLAT.get(done.output_node)
    if why is not None:
        last = f"{done.output_path}." if done.output_path else ""
        before = [each for each in records if not (last and each.name.startswith(last)) and each.norm is not None]
        if before and all(each.norm is not None and each.norm < TINY for each in before):
            notes.append(
                f"{why}: a loss that is its sum or mean is flat, and these gradients are rounding; try another loss"
            )
    return notes
