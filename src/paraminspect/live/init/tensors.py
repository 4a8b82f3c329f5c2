"""What a run has to do with each tensor of a source: which values it has now, and which it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from paraminspect.live.init.draw import ONE_AT_A_TIME
from paraminspect.live.records import iter_tensors
from paraminspect.live.source import LiveModel
from paraminspect.live.stored import StoredTensors
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.rules.plan import FLOATING, InitPlan, PlannedStep
from paraminspect.ties import find_canonical

DRAWN_BYTES = 4
"""Of one element while it is drawn."""


@dataclass(frozen=True, slots=True)
class Work:
    """One tensor, under its canonical name.

    Attributes:
        name: Dotted.
        dtype: torch's name, of the source.
        shape: (d0, ..., dn).
        base: Gives the values that it has without rules; may be called from any thread.
        step: What rules do to it; None for a tensor that no rule can mean.
        aliases: Its further names.
        trainable: requires_grad of a parameter.
        record: Where it is stored, for a checkpoint.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    base: Callable[[], Tensor]
    step: PlannedStep | None = None
    aliases: tuple[str, ...] = ()
    trainable: bool = False
    record: TensorRecord | None = None

    @property
    def is_changed(self) -> bool:
        """Whether a rule gives it other values."""
        return self.step is not None and self.step.initializer is not None

    @property
    def is_reported(self) -> bool:
        """Whether a rule matches it."""
        return self.step is not None and self.step.rule is not None

    @property
    def numel(self) -> int:
        """Number of elements."""
        numel = 1
        for size in self.shape:
            numel *= size
        return numel

    def out_dtype(self, wanted: str) -> str:
        """The dtype it is written in: the wanted one, if there is one and the tensor is a floating-point one."""
        return wanted if wanted and self.dtype in FLOATING else self.dtype


def model_work(live: LiveModel, plan: InitPlan) -> list[Work]:
    """The tensors of a model's state dict, each once: parameters and persistent buffers."""
    steps = {step.target.name: step for step in plan.steps}
    found: dict[int, Work] = {}
    for each in iter_tensors(live.model):
        leaf = each.name.rpartition(".")[2]
        if each.kind == "tensor" or leaf in each.module._non_persistent_buffers_set:
            continue
        key = id(each.tensor)
        if key in found:
            first = found[key]
            found[key] = _with_alias(first, each.name)
            continue
        found[key] = Work(
            each.name,
            str(each.tensor.dtype).removeprefix("torch."),
            tuple(each.tensor.shape),
            _base_of_model(live, each.name),
            steps.get(each.name),
            trainable=each.kind == "parameter" and each.tensor.requires_grad,
        )
    return list(found.values())


def checkpoint_work(checkpoint: Checkpoint, plan: InitPlan) -> list[Work]:
    """All tensors of a checkpoint, each once, in the order of the file; views of another shape stand for themselves."""
    steps = {step.target.name: step for step in plan.steps}
    records = checkpoint.tensors
    stored = StoredTensors(checkpoint)
    found: dict[int, Work] = {}
    for index, (record, first) in enumerate(zip(records, find_canonical(records), strict=True)):
        if first is not None and first in found and is_same_view(record, records[first]):
            found[first] = _with_alias(found[first], record.name)
            continue
        base = _base_of_record(stored, record)
        found[index] = Work(record.name, record.dtype, record.shape or (), base, steps.get(record.name), record=record)
    return list(found.values())


def is_same_view(one: TensorRecord, other: TensorRecord) -> bool:
    """Whether two records of the same bytes see them alike."""
    return (one.shape, one.dtype, one.stride) == (other.shape, other.dtype, other.stride)


def costs(work: Sequence[Work]) -> list[int]:
    """Bytes of memory that each takes while it is drawn."""
    return [DRAWN_BYTES * each.numel for each in work]


def _with_alias(work: Work, alias: str) -> Work:
    from dataclasses import replace

    return replace(work, aliases=(*work.aliases, alias))


def _base_of_model(live: LiveModel, name: str) -> Callable[[], Tensor]:
    def base() -> Tensor:
        with ONE_AT_A_TIME:  # a layer is drawn from the process's generator
            return live.tensor(name)

    return base


def _base_of_record(stored: StoredTensors, record: TensorRecord) -> Callable[[], Tensor]:
    return lambda: stored.read(record)
