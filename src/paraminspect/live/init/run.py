"""A plan carried out tensor by tensor: drawn, measured and handed on by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from paraminspect.formats.shapes import storage_order
from paraminspect.live.build.stored import flipped
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.pool import Pool, count_workers
from paraminspect.live.init.work import DRAWN_BYTES, Work, values_of
from paraminspect.outcomes import InitStep
from paraminspect.records import TensorRecord
from paraminspect.rules.steps import PlannedStep
from paraminspect.text import counted
from paraminspect.values.moments import Moments

CHUNK = 1 << 20
"""Elements that are looked at together."""

LARGEST_AT_ONCE = 2
"""As many tensors of the largest size may be drawn at one time."""


class Sink(Protocol):
    """Takes the bytes of tensors; `writers.sink` has the one for checkpoints."""

    def put(self, index: int, begin: int, data: memoryview) -> None:
        """Bytes of tensor `index` from byte `begin` of it on; of one tensor in ascending order."""


@dataclass(slots=True)
class Run:
    """How a plan is carried out.

    Attributes:
        drawing: Draws the tensors.
        sink: Takes their bytes; None where only statistics are wanted.
        in_order: Whether the sink wants one tensor after the other; then it gets all of them.
        as_stored: Whether the sink wants elements in the order of the tensor's strides, not row-major.
        dtype: Of floating-point tensors that are written; "" for their own.
        workers: Threads; None for one a processor.
        look: Called with (step, tensor in the dtype it is written in) for each that a rule matches.
        progress: Called with (bytes done, bytes in all), a few times a second.
    """

    drawing: Drawing
    sink: Sink | None = None
    in_order: bool = False
    as_stored: bool = False
    dtype: str = ""
    workers: int | None = None
    look: Callable[[PlannedStep, Tensor], None] | None = None
    progress: Callable[[int, int], None] = lambda done, total: None
    _moments: dict[int, Moments] = field(default_factory=dict)
    _parts: dict[int, list[Moments]] = field(default_factory=dict)
    _done: list[int] = field(default_factory=list)

    def run(self, work: Sequence[Work], indices: Mapping[int, int] | None = None) -> list[tuple[PlannedStep, InitStep]]:
        """Carry it out.

        Args:
            work: In the order in which it is started, which is that of the sink.
            indices: What the sink calls each, by its place; of those that are left out it gets nothing. None where
                there is no sink.

        Returns:
            Of those that a rule matches, what was planned and what was done, with statistics; parts by themselves.

        Raises:
            ParamInspectError: A tensor that cannot be drawn or read.
            OSError: The sink's.
        """
        room = LARGEST_AT_ONCE * max((each.nbytes for each in work), default=0)
        pool = Pool([each.cost for each in work], workers=self.workers or count_workers(), room=room)
        self._done = [0] * len(work)
        total = DRAWN_BYTES * sum(each.numel for each in work)
        with one_thread(), torch.no_grad():
            pool.run(
                lambda job: self._do(pool, job, work[job], indices.get(job) if indices is not None else None),
                lambda: self.progress(sum(self._done), total),
            )
        return [done for job, each in enumerate(work) if each.is_reported for done in self._steps(job, each)]

    def _do(self, pool: Pool, job: int, work: Work, index: int | None) -> None:
        step = work.step
        if work.is_reported:
            self._moments[job] = Moments()
        if index is None and step is not None and step.target.problem:
            return  # kept, not written, and torch may not have such a tensor
        if index is not None and work.is_kept and not work.is_reported and work.out_dtype(self.dtype) == work.dtype:
            self._keep(pool, job, work, index)
            return
        tensor = values_of(work, self.drawing)
        dtype = getattr(torch, work.out_dtype(self.dtype))
        if self.in_order:
            pool.wait_for_turn(job)
        begin = 0
        laid = tensor.permute(storage_order(work.stride)) if self.as_stored and work.stride else tensor
        for piece in pieces_of(laid):
            pool.check()
            begin += self._hand_on(job, index, begin, piece.to(dtype), work.record if self.as_stored else None)
        if self.in_order:
            pool.end_turn()
        if step is not None and step.parts:
            self._parts[job] = [measure(tensor[part.rows], dtype) for part in step.parts]
        if self.look is not None and step is not None and step.acts:
            self.look(step, tensor.to(dtype))

    def _keep(self, pool: Pool, job: int, work: Work, index: int) -> None:
        """Write a tensor as it is, without having it in memory as a whole."""
        assert work.pieces is not None
        assert self.sink is not None
        if self.in_order:
            pool.wait_for_turn(job)
        begin = 0
        for piece in work.pieces():
            pool.check()
            self.sink.put(index, begin, memoryview(piece))
            begin += len(piece)
            self._done[job] += DRAWN_BYTES * len(piece) // getattr(torch, work.dtype).itemsize
        if self.in_order:
            pool.end_turn()

    def _hand_on(self, job: int, index: int | None, begin: int, piece: Tensor, record: TensorRecord | None) -> int:
        """Measure and write one piece, in the place of a record's bytes if there is one; returns its size in bytes."""
        if job in self._moments:
            add_piece(self._moments[job], piece)
        if self.sink is not None and index is not None:
            self.sink.put(index, begin, flipped(record, piece).cpu().view(torch.uint8).numpy().data)
        self._done[job] += DRAWN_BYTES * piece.numel()
        return piece.numel() * piece.element_size()

    def _steps(self, job: int, work: Work) -> Iterator[tuple[PlannedStep, InitStep]]:
        assert work.step is not None
        whole = [] if work.step.rule is None else [self._moments[job]]
        for act, found in zip(work.step.acts, [*whole, *self._parts.get(job, [])], strict=True):
            yield act, with_statistics(act.record(), found)


def measure(tensor: Tensor, dtype: torch.dtype | None = None) -> Moments:
    """Moments of all elements of a dense tensor, on any device.

    Args:
        dtype: In which they are; None for the tensor's own.
    """
    moments = Moments()
    for piece in pieces_of(tensor):
        add_piece(moments, piece if dtype is None else piece.to(dtype))
    return moments


def pieces_of(tensor: Tensor) -> Iterator[Tensor]:
    """The elements in row-major order, some at a time, as contiguous 1-D tensors; views where the tensor is contiguous."""
    flat = tensor.detach().reshape(-1)
    for begin in range(0, flat.numel(), CHUNK):
        yield flat[begin : begin + CHUNK].contiguous()


def add_piece(moments: Moments, piece: Tensor) -> None:
    """Take in one piece; types that numpy lacks are widened to float32, which holds them exactly."""
    if piece.dtype == torch.bfloat16 or str(piece.dtype).startswith("torch.float8"):
        piece = piece.float()
    elif piece.dtype == torch.complex32:
        piece = piece.to(torch.complex64)
    moments.add(piece.cpu().numpy())


def with_statistics(step: InitStep, found: Moments) -> InitStep:
    """A step with what was measured; a note if the type of the tensor cannot hold its values."""
    lost = found.count - found.finite
    notes = [step.note, f"{counted(lost, 'value')} infinite or no number" if lost else ""]
    note = "; ".join(filter(None, notes))
    return step._replace(mean=found.mean, std=found.std, min=found.min, max=found.max, note=note)
