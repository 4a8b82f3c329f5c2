"""Initialisation: what rules do to the tensors of a source, and the file that is written meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from paraminspect.conversion.companions import read_companions
from paraminspect.conversion.kinds import SHARD_SIZE, STDOUT, choose_format, ends_like, is_stream, own_format
from paraminspect.conversion.plan import note_decoded
from paraminspect.errors import ParamInspectError
from paraminspect.formats.companions import find_companions
from paraminspect.formats.table import formats_of_files, resolve
from paraminspect.library.init_together import (
    check_folder_asked,
    describe_shares,
    gather_lists,
    open_together,
    watched,
)
from paraminspect.library.init_wanted import Wanted
from paraminspect.models.open import Opened
from paraminspect.outcomes import InitStep
from paraminspect.records import Checkpoint
from paraminspect.rules.steps import InitPlan, PlannedStep
from paraminspect.text import counted, escape_text, format_bytes, parse_size, shape_text
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Layout, OutTensor
from paraminspect.writers.planners import Packing
from paraminspect.writers.sink import Sink
from paraminspect.writers.whole_files import open_stream, open_target

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.live.build.live_model import LiveModel
    from paraminspect.live.init.run import Run
    from paraminspect.live.init.work import Work
    from paraminspect.ranks.meeting import Meeting

Steps = list[tuple[PlannedStep, InitStep]]
Progress = Callable[[int, int], None]


class _Output(NamedTuple):
    """Where every byte goes.

    Attributes:
        layout: Of the files.
        work: What has to be drawn or read, in the order in which the sink wants it.
        indices: What the layout calls each, by its place in `work`.
        in_order: Whether the sink wants one after the other.
        as_stored: Whether it wants the elements of each as they lie in the source, transposed ones too.
    """

    layout: Layout
    work: list[Work]
    indices: dict[int, int]
    in_order: bool
    as_stored: bool = False

    def run(self, run: Run, sink: Sink) -> Steps:
        """Fill it."""
        run.sink, run.in_order, run.as_stored = sink, self.in_order, self.as_stored
        return run.run(self.work, self.indices)


class Initialised(NamedTuple):
    """What was done.

    Attributes:
        steps: To the tensors that a rule matches, in the order of the plan.
        texts: These tensors as text, if they were to be shown.
        notes: What is to be said about the file.
    """

    steps: Steps
    texts: list[str]
    notes: list[str]


def initialise(
    model: Opened,
    seed: int,
    wanted: Wanted,
    progress: Progress,
    *,
    shows: bool = False,
    columns: int | None = None,
    meeting: Meeting | None = None,
) -> Initialised:
    """Draw and measure what rules match, and write a checkpoint while that is done.

    A checkpoint that is written in its own format is copied byte for byte but for the tensors that rules change;
    anything else is written anew, ties as one tensor.

    Args:
        model: Opened for its values, with a plan.
        seed: Of all that is drawn.
        progress: Is told of bytes that are done, and of how many.
        shows: Whether tensors are wanted as text.
        columns: Of the terminal that shows them; None off a terminal.
        meeting: Where several processes meet that write it together; then only one of them learns what was done.

    Raises:
        ParamInspectError: It cannot be drawn, or not be written in that form, or not there.
    """
    from paraminspect.live.init.work import checkpoint_work, model_work

    plan = model.plan
    assert plan is not None
    if model.is_live:
        work = model_work(model.state, plan, lambda name: _live(model).tensor(name))
    else:
        work = checkpoint_work(model.checkpoint, plan)
    texts: dict[int, str] = {}
    look = _printer(texts, columns) if shows else None
    start = partial(_start, model, work, seed, look=look, dtype=wanted.dtype, progress=progress)
    notes: list[str] = []
    if wanted.to:
        from paraminspect.library.init_distcp import DistributedFolder, check_asked

        check_asked(wanted.file, shard_size=wanted.shard_size)
        folder = DistributedFolder(work, start().drawing, wanted.dtype, meeting, progress)
        done, notes = folder.write(wanted.file, plan, force=wanted.force)
    elif wanted.file:
        planned = _plan(model.checkpoint, work, wanted.file, wanted.dtype, wanted.shard_size)
        if meeting is None:
            done, said = _write(planned, start, wanted)
        else:
            done, said = _write_together(planned, start(), wanted, plan, meeting)
        notes += [*said, *_describe(model.checkpoint, work, planned, wanted)]
    else:
        done = start().run([each for each in work if each.is_reported])
    places = {id(act): place for place, act in enumerate(plan.acts)}
    done.sort(key=lambda each: places[id(each[0])])
    return Initialised(done, [texts[id(step)] for step in plan.steps if id(step) in texts], notes)


def _live(model: Opened) -> LiveModel:
    assert model.live is not None
    return model.live


def _start(model: Opened, work: Sequence[Work], seed: int, **options: Any) -> Run:
    """Have all that drawing takes: torch and, if values are wanted that no rule gives, the model.

    Args:
        options: Of the run.
    """
    from paraminspect.live.begin import import_torch

    import_torch()
    from paraminspect.live.init.draw import Drawing
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.live.init.run import Run

    if model.is_live and any(each.needs_base for each in work):
        _live(model)
    assert model.rules is not None
    return Run(Drawing(seed, model.rules.own or OwnFunctions()), **options)


def _printer(texts: dict[int, str], columns: int | None) -> Callable[[PlannedStep, Tensor], None]:
    """Keeps the text of each tensor under the id of its step."""

    def look(step: PlannedStep, tensor: Tensor) -> None:
        from paraminspect.live.build.arrays import dtype_name, print_tensor  # imports torch

        head = f"{escape_text(step.target.name)}  {dtype_name(tensor)}  {shape_text(tensor.shape)}"
        texts[id(step)] = f"\n{head}\n{print_tensor(tensor, columns)}\n"

    return look


def _write(planned: _Output, start: Callable[[], Run], wanted: Wanted) -> tuple[Steps, list[str]]:
    """What was done, and what is to be said of the output."""
    if wanted.file == STDOUT:
        kept = os.dup(1)  # user code may print meanwhile, and is sent elsewhere
        try:
            with open_stream(planned.layout, kept) as sink:
                return planned.run(start(), sink), []
        finally:
            os.close(kept)
    with open_target(planned.layout, wanted.file, force=wanted.force) as sink:
        with sink.reserving():
            run = start()
        done = planned.run(run, sink)
    return done, sink.remarks


def _write_together(
    planned: _Output, run: Run, wanted: Wanted, plan: InitPlan, meeting: Meeting
) -> tuple[Steps, list[str]]:
    """Write what is this process's; on rank 0, what all have done."""
    check_folder_asked(planned.layout, wanted.file, meeting)
    run.progress = watched(meeting, run.progress)
    acts = plan.acts
    places = {id(act): place for place, act in enumerate(acts)}
    with open_together(planned.layout, wanted.file, meeting, force=wanted.force) as share:
        run.sink = share.sink
        mine = [place for place, index in planned.indices.items() if index in share.indices]
        indices = {new: planned.indices[place] for new, place in enumerate(mine)}
        done = run.run([planned.work[place] for place in mine], indices)
        found = gather_lists(meeting, [(places[id(act)], step) for act, step in done])
    said = [*share.sink.remarks, describe_shares(planned.layout, meeting.launched.world)]
    return [(acts[place], step) for place, step in found], said


def _describe(checkpoint: Checkpoint, work: Sequence[Work], planned: _Output, wanted: Wanted) -> list[str]:
    """What is to be said of a file that is written."""
    if wanted.file == STDOUT:
        return []
    notes: list[str] = []
    what = counted(len(work), "tensor")
    if planned.layout.is_folder:
        what += f" in {counted(len(planned.layout.files), 'file')}"
        notes += find_companions(checkpoint).remarks
    if not planned.as_stored:
        notes += note_decoded([each.record for each in work if each.record is not None], wanted.dtype)
    return [*notes, f"wrote {wanted.file}: {what}, {format_bytes(planned.layout.nbytes)}"]


def _plan(checkpoint: Checkpoint, work: Sequence[Work], file: str, dtype: str, shard_size: str) -> _Output:
    own = own_format(checkpoint)
    if checkpoint.member and (dtype or not ends_like(file, checkpoint)):
        own = None  # its file is a tar, which is copied under a name of its kind, and not packed anew
    row = choose_format(file, checkpoint, own, sharded=bool(shard_size))
    is_stored = bool(checkpoint.files) and all(each.record is not None for each in work)
    is_own = own is not None and row.kind == own.kind
    if is_stored and is_own and not dtype and not shard_size and file != STDOUT:
        return _plan_patch(checkpoint, work, resolve(row.editor))
    if row.adapter or not row.writer:
        raise ParamInspectError(
            f"{file}: a {row.endings[0]} file can only be written from one", hint="name a .safetensors or .pt file"
        )
    tensors = [OutTensor(each.name, each.out_dtype(dtype), each.shape, each.aliases, trainable=False) for each in work]
    metadata = dict(checkpoint.metadata) if all(each.carried == "" for each in formats_of_files(checkpoint)) else {}
    stem = os.path.splitext(os.path.basename(file))[0]
    layout = resolve(row.writer)(tensors, Packing(stem, metadata, parse_size(shard_size or SHARD_SIZE)))
    if layout.is_folder:
        layout = layout._replace(files=(*layout.files, *read_companions(checkpoint, whole=True)[0]))
    order = sorted(layout.order, key=lambda index: not layout.slots[index].nbytes)  # those without bytes come last
    in_order = file == STDOUT or is_stream(file)
    return _Output(layout, [work[index] for index in order], dict(enumerate(order)), in_order)


def _plan_patch(checkpoint: Checkpoint, work: Sequence[Work], edit: Callable[..., Layout]) -> _Output:
    """The source's own files with other values in some places."""
    changed = [each for each in work if each.is_changed]
    layout = edit(checkpoint, [each.record for each in changed if each.record is not None])
    order = layout.order
    reported = [each for each in work if each.is_reported and not each.is_changed]
    return _Output(
        layout, [changed[index] for index in order] + reported, dict(enumerate(order)), in_order=False, as_stored=True
    )
