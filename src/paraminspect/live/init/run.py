"""A plan carried out tensor by tensor: drawn, measured and handed on by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from paraminspect.formats.shapes import contiguous_stride, storage_order
from paraminspect.live.build.stored import flipped
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.elements import PIECE, block_of, block_range, count_blocks
from paraminspect.live.init.pool import Pool, count_workers
from paraminspect.live.init.work import DRAWN_BYTES, Work, values_of
from paraminspect.outcomes import InitStep
from paraminspect.rules.steps import PlannedStep
from paraminspect.text import counted
from paraminspect.tuples import NamedTuple
from paraminspect.values.moments import Moments

LARGEST_AT_ONCE = 2
"""As many tensors of the largest size may be drawn at one time."""


class Sink(Protocol):
    """Takes the bytes of tensors; `writers.sink` has the one for checkpoints."""

    def put(self, index: int, begin: int, data: memoryview) -> None:
        """Bytes of tensor `index` from byte `begin` of it on."""

    def takes_any_order(self, index: int) -> bool:
        """Whether the bytes of that tensor may come in any order and from several threads; else in ascending order."""


class _Job(NamedTuple):
    """What one thread does in one go.

    Attributes:
        place: Of the work.
        blocks: Those it draws, of a tensor that is drawn by element; None of one that is made as a whole.
    """

    place: int
    blocks: range | None = None


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
    _moments: dict[int, dict[int, Moments]] = field(default_factory=dict)
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
        jobs = [
            job
            for place, each in enumerate(work)
            for job in self._jobs(place, each, indices.get(place) if indices is not None else None)
        ]
        costs = [self._cost(job, work[job.place]) for job in jobs]
        room = LARGEST_AT_ONCE * max((size for size, _ in costs), default=0)
        pool = Pool([cost for _, cost in costs], workers=self.workers or count_workers(), room=room)
        self._done = [0] * len(jobs)
        self._moments = {place: {} for place, each in enumerate(work) if each.is_reported}
        total = DRAWN_BYTES * sum(each.numel for each in work)
        with one_thread(), torch.no_grad():
            pool.run(
                lambda number: self._do(
                    _Going(pool, number, jobs[number]),
                    work[jobs[number].place],
                    indices.get(jobs[number].place) if indices is not None else None,
                ),
                lambda: self.progress(sum(self._done), total),
            )
        return [done for place, each in enumerate(work) if each.is_reported for done in self._steps(place, each)]

    def _jobs(self, place: int, work: Work, index: int | None) -> list[_Job]:
        """One for each block of a tensor whose elements can be drawn alone, else one."""
        step = work.step
        if work.original is not None or step is None or not self.drawing.draws_by_element(step):
            return [_Job(place)]
        if self.look is not None or (self.as_stored and work.stride not in (None, contiguous_stride(work.shape))):
            return [_Job(place)]
        blocks = count_blocks(work.numel)
        if index is not None and self.sink is not None and not (self.in_order or self.sink.takes_any_order(index)):
            return [_Job(place, range(blocks))]
        return [_Job(place, range(block, block + 1)) for block in range(blocks)]

    def _cost(self, job: _Job, work: Work) -> tuple[int, int]:
        """(bytes of what is drawn, bytes that this takes in memory)."""
        if job.blocks is None:
            return work.nbytes, work.cost
        block = len(block_range(0, work.numel))
        held = block if self.in_order else min(PIECE, block)
        nbytes = work.nbytes // max(work.numel, 1) * held
        return nbytes, nbytes

    def _do(self, going: _Going, work: Work, index: int | None) -> None:
        step = work.step
        if index is None and step is not None and step.target.problem:
            return  # kept, not written, and torch may not have such a tensor
        if index is not None and work.is_kept and not work.is_reported and work.out_dtype(self.dtype) == work.dtype:
            self._keep(going, work, index)
            return
        if going.job.blocks is not None:
            assert step is not None
            for block in going.job.blocks:
                pieces = self.drawing.pieces(step, block)
                # a stream waits for its turn, and drawing must not
                made = iter([piece.clone() for piece in pieces]) if self.in_order else pieces
                self._hand_on(going, work, index, block_range(block, work.numel).start, made)
            return
        tensor = values_of(work, self.drawing)
        laid = tensor.permute(storage_order(work.stride)) if self.as_stored and work.stride else tensor
        self._hand_on(going, work, index, 0, pieces_of(laid))
        dtype = getattr(torch, work.out_dtype(self.dtype))
        if step is not None and step.parts:
            self._parts[going.job.place] = [measure(tensor[part.rows], dtype) for part in step.parts]
        if self.look is not None and step is not None and step.acts:
            self.look(step, tensor.to(dtype))

    def _keep(self, going: _Going, work: Work, index: int) -> None:
        """Write a tensor as it is, without having it in memory as a whole."""
        assert work.pieces is not None
        assert self.sink is not None
        begin = 0
        with going.turn(wanted=self.in_order):
            for piece in work.pieces():
                going.pool.check()
                self.sink.put(index, begin, memoryview(piece))
                begin += len(piece)
                self._done[going.number] += DRAWN_BYTES * len(piece) // getattr(torch, work.dtype).itemsize

    def _hand_on(self, going: _Going, work: Work, index: int | None, begin: int, pieces: Iterable[Tensor]) -> None:
        """Measure and write pieces that follow each other, in the place of a record's bytes if there is one.

        Args:
            begin: Of the first one's elements.
        """
        dtype = getattr(torch, work.out_dtype(self.dtype))
        found = self._moments.get(going.job.place)
        record = work.record if self.as_stored else None
        with going.turn(wanted=self.in_order):
            for drawn in pieces:
                going.pool.check()
                piece = drawn.to(dtype)
                if found is not None:
                    add_piece(found.setdefault(block_of(begin), Moments()), piece)
                if self.sink is not None and index is not None:
                    data = flipped(record, piece).cpu().view(torch.uint8).numpy().data
                    self.sink.put(index, begin * piece.element_size(), data)
                begin += piece.numel()
                self._done[going.number] += DRAWN_BYTES * piece.numel()

    def _steps(self, place: int, work: Work) -> Iterator[tuple[PlannedStep, InitStep]]:
        assert work.step is not None
        whole = [] if work.step.rule is None else [joined(self._moments[place])]
        for act, found in zip(work.step.acts, [*whole, *self._parts.get(place, [])], strict=True):
            yield act, with_statistics(act.record(), found)


class _Going(NamedTuple):
    """A job that is being done."""

    pool: Pool
    number: int
    job: _Job

    @contextmanager
    def turn(self, *, wanted: bool) -> Iterator[None]:
        """Wait until those before it are written."""
        if wanted:
            self.pool.wait_for_turn(self.number)
        yield
        if wanted:
            self.pool.end_turn()


def measure(tensor: Tensor, dtype: torch.dtype | None = None) -> Moments:
    """Moments of all elements of a dense tensor, on any device.

    Args:
        dtype: In which they are; None for the tensor's own.
    """
    found: dict[int, Moments] = {}
    begin = 0
    for piece in pieces_of(tensor):
        add_piece(found.setdefault(block_of(begin), Moments()), piece if dtype is None else piece.to(dtype))
        begin += len(piece)
    return joined(found)


def joined(blocks: Mapping[int, Moments]) -> Moments:
    """Moments of a tensor from those of its blocks, whoever looked at them, in their order."""
    moments = Moments()
    for number in sorted(blocks):
        moments.merge(blocks[number])
    return moments


def pieces_of(tensor: Tensor) -> Iterator[Tensor]:
    """The elements in row-major order, some at a time, as contiguous 1-D tensors; views where the tensor is contiguous."""
    flat = tensor.detach().reshape(-1)
    for begin in range(0, flat.numel(), PIECE):
        yield flat[begin : begin + PIECE].contiguous()


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
