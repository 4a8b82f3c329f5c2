"""What a run has to do with each tensor of a source: which values it has now, and which it gets.

That is known before torch is there, which whoever draws or reads values waits for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from paraminspect.formats.dtypes import BITS
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.rules.steps import FLOATING, InitPlan, PlannedStep
from paraminspect.tied.shared_bytes import find_canonical

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.live.init.draw import Drawing

PIECE_BYTES = 4 << 20
"""Of a tensor that stays as it is, in memory at a time."""

DRAWN_BYTES = 4
"""Of one element while it is drawn, at least."""


@dataclass(frozen=True, slots=True)
class Work:
    """One tensor, under its canonical name.

    Attributes:
        name: Dotted.
        dtype: torch's name, of the source; of blocks and scaled integers that of the numbers they stand for.
        shape: (d0, ..., dn).
        base: Gives the values that it has without rules; may be called from any thread.
        step: What rules do to it; None for a tensor that no rule can mean.
        trainable: requires_grad of a parameter.
        record: Where it is stored, for a checkpoint.
        stride: In elements; None where it is contiguous or has none.
        pieces: Gives the bytes of a stored tensor; None where they are made of `base`.
        original: The tensor whose bytes it is another view of, where a rule changes that one.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    base: Callable[[], Tensor]
    step: PlannedStep | None = None
    aliases: tuple[str, ...] = ()
    trainable: bool = False
    record: TensorRecord | None = None
    stride: tuple[int, ...] | None = None
    original: Work | None = None
    pieces: Callable[[], Iterator[bytes]] | None = None

    @property
    def is_changed(self) -> bool:
        """Whether a rule gives it other values."""
        return self.step is not None and bool(self.step.draws)

    @property
    def needs_base(self) -> bool:
        """Whether the values that it has are wanted."""
        if self.original is not None:
            return self.original.needs_base
        return self.step is None or not self.is_changed or self.step.needs_values

    @property
    def is_reported(self) -> bool:
        return self.step is not None and bool(self.step.acts)

    @property
    def is_kept(self) -> bool:
        """Whether it is written with the bytes that it has."""
        return self.pieces is not None and not self.is_changed and self.original is None

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size while it is in memory, in the type in which it is drawn if that is the wider one."""
        drawn = DRAWN_BYTES * (1 + self.dtype.startswith("complex"))
        return self.numel * max(drawn, BITS.get(self.dtype, 0) // 8)

    @property
    def cost(self) -> int:
        """Bytes that it takes at most while it is drawn."""
        if self.original is not None:
            return self.original.cost + self.nbytes
        draws = self.step.draws if self.step is not None else ()
        read = self.record is not None and self.step is not None and bool(draws) and self.step.needs_values
        copies = max((draw.initializer.copies for draw in draws if draw.initializer is not None), default=1)
        return self.nbytes * (copies + read + any(draw.part is not None for draw in draws))

    def out_dtype(self, wanted: str) -> str:
        """The dtype it is written in: the wanted one, if there is one and the tensor is a floating-point one."""
        return wanted if wanted and self.dtype in FLOATING else self.dtype


def model_work(records: Sequence[TensorRecord], plan: InitPlan, read: Callable[[str], Tensor]) -> list[Work]:
    """The tensors of a model's state dict, each once: parameters and persistent buffers.

    Args:
        records: Of them, under every name.
        read: Gives the values of one by its name; called by one thread at a time.
    """
    work = []
    for record in records:
        shape, trainable = record.shape or (), bool(record.trainable)
        base = partial(_read_alone, read, record.name)
        work.append(Work(record.name, record.dtype, shape, base, trainable=trainable, stride=record.stride))
    return _join(work, records, [record.identity and record.identity[0] for record in records], plan)


def checkpoint_work(checkpoint: Checkpoint, plan: InitPlan) -> list[Work]:
    """All tensors of a checkpoint, each once, in the order of the file; views of another shape stand for themselves."""
    from paraminspect.live.build.stored import StoredTensors
    from paraminspect.values.pieces import read_pieces
    from paraminspect.values.stored_bytes import plain_dtype

    stored = StoredTensors()
    records = [record.as_stored for record in checkpoint.tensors]
    work = []
    for record in records:
        dtype, shape = plain_dtype(record), record.shape or ()
        base = partial(stored.read, record)
        has_own = dtype == record.dtype and dtype != "complex32"  # which numpy has not: it comes as complex64
        found = partial(read_pieces, record, stored.files, PIECE_BYTES) if has_own else None
        work.append(Work(record.name, dtype, shape, base, record=record, stride=record.stride, pieces=found))
    return _join(work, records, range(len(work)), plan)


def _join(
    work: Sequence[Work], records: Sequence[TensorRecord], identities: Sequence[object], plan: InitPlan
) -> list[Work]:
    """One work for each tensor, with its step; of those that are other views of changed bytes, with the original.

    Args:
        identities: Equal for two names of one object.
    """
    steps = {step.target.name: step for step in plan.steps}
    places: dict[object, int] = {}  # of the first work of each identity
    forms: dict[object, int] = {}  # of the first work that sees the same bytes in the same way
    found: dict[int, Work] = {}
    views: dict[int, int] = {}
    for index, (each, first) in enumerate(zip(work, find_canonical(records), strict=True)):
        origin = places.setdefault(identities[index], index) if first is None else first
        place = forms.setdefault((origin, records[index].form), index)
        if place != index:
            known = found[place]
            step = known.step or steps.get(each.name)
            found[place] = replace(known, aliases=(*known.aliases, each.name), step=step)
            continue
        if origin != index:
            views[index] = origin
        found[index] = replace(each, step=steps.get(each.name))
    for index, origin in views.items():
        if found[origin].is_changed:
            found[index] = replace(found[index], original=found[origin])
    return list(found.values())


def _read_alone(read: Callable[[str], Tensor], name: str) -> Tensor:
    from paraminspect.live.init.draw import ONE_AT_A_TIME

    with ONE_AT_A_TIME:  # a layer is drawn from the process's generator
        return read(name)


def values_of(work: Work, drawing: Drawing) -> Tensor:
    """What a tensor is to hold; of one that sees the bytes of another, what that one is to hold, seen as it does."""
    if work.original is not None:
        return _see_as(work, work.original, values_of(work.original, drawing))
    if work.step is not None and work.is_changed:
        return drawing.draw(work.step, work.base)
    return work.base().detach()


def _see_as(view: Work, original: Work, values: Tensor) -> Tensor:
    """Values of a tensor through another view of the same bytes."""
    import torch

    from paraminspect.live.build.stored import flipped

    dtype, seen = getattr(torch, original.dtype), getattr(torch, view.dtype)
    stride = original.stride or contiguous_stride(original.shape)
    values = flipped(original.record, values)
    storage = torch.empty_strided(original.shape, stride, dtype=dtype).copy_(values).untyped_storage()
    strides = view.stride or contiguous_stride(view.shape)
    return flipped(view.record, torch.empty(0, dtype=seen).set_(storage, 0, view.shape, strides))
