"""`--to dcp`: a folder of torch.distributed.checkpoint, written by one process or by all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from paraminspect.engines.shared_out import share_out
from paraminspect.errors import ParamInspectError
from paraminspect.library.init_together import gather_lists, open_folder_together
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.run import measure, with_statistics
from paraminspect.live.init.work import Work, values_of
from paraminspect.live.ranks.distcp import Saved, write_files, write_metadata
from paraminspect.outcomes import InitStep
from paraminspect.text import counted, format_bytes
from paraminspect.writers.layout import Layout
from paraminspect.writers.sink import Sink
from paraminspect.writers.whole_files import open_target

if TYPE_CHECKING:
    from paraminspect.ranks.meeting import Meeting
    from paraminspect.rules.steps import InitPlan, PlannedStep

_FOLDER = Layout((), (), is_folder=True)
"""Whose files torch names and writes."""


class DistributedFolder:
    """Draws tensors and writes them as a checkpoint of torch.distributed.

    Args:
        work: All tensors of the model.
        dtype: Of floating-point tensors; "" for their own.
        meeting: Where the processes meet that write it together; None of one that is alone.
        progress: Is told of bytes that are drawn here, and of how many.
    """

    def __init__(
        self,
        work: Sequence[Work],
        drawing: Drawing,
        dtype: str,
        meeting: Meeting | None,
        progress: Callable[[int, int], None],
    ) -> None:
        self._work = {name: each for each in work for name in (each.name, *each.aliases)}
        self._saved = [_saved(name, each, dtype) for name, each in self._work.items()]
        self._drawing = drawing
        self._dtype = dtype
        self._meeting = meeting
        self._progress = progress
        self._steps: list[tuple[PlannedStep, InitStep]] = []
        self._done = 0
        self._total = 0

    def write(self, path: str, plan: InitPlan, *, force: bool) -> tuple[list[tuple[PlannedStep, InitStep]], list[str]]:
        """Write it; on rank 0, what was done and what is to be said.

        Raises:
            ParamInspectError: It cannot be drawn or written.
        """
        rank, world = (0, 1) if self._meeting is None else self._meeting.launched[:2]
        lots = share_out([each.nbytes for each in self._saved], world)
        mine = [self._saved[place] for place in (lots[rank] if rank < len(lots) else ())]
        self._total = sum(each.nbytes for each in mine)
        acts = plan.acts
        places = {id(act): place for place, act in enumerate(acts)}
        with self._folder(path, force=force) as folder, one_thread(), torch.no_grad():
            results = write_files(folder, rank, mine, self._draw)
            steps = [(places[id(act)], step) for act, step in self._steps]
            if self._meeting is not None:
                results, steps = gather_lists(self._meeting, results), gather_lists(self._meeting, steps)
            if not rank:
                write_metadata(folder, self._saved, results)
        files, nbytes = (
            len({each.storage_data.relative_path for each in results}),
            sum(each.nbytes for each in self._saved),
        )
        said = f"wrote {path}: {counted(len(self._saved), 'tensor')} in {counted(files + 1, 'file')}, {format_bytes(nbytes)}"
        by = [] if self._meeting is None else [f"written by {len(lots)} of {counted(world, 'rank')}"]
        return [(acts[place], step) for place, step in steps], [*by, said]

    def _draw(self, name: str) -> Tensor:
        """One tensor as it is written; of one with several names, the first is measured."""
        work = self._work[name]
        values = values_of(work, self._drawing).to(getattr(torch, work.out_dtype(self._dtype)))
        if work.step is not None and name == work.name:
            for act in work.step.acts:
                self._steps.append((act, with_statistics(act.record(), measure(values[act.rows]))))
        if self._meeting is not None:
            self._meeting.look()
        self._done += values.nbytes
        self._progress(self._done, self._total)
        return values.contiguous()

    @contextmanager
    def _folder(self, path: str, *, force: bool) -> Iterator[str]:
        open_first = partial(open_target, _FOLDER, path, force=force)
        if self._meeting is None:
            with open_first() as sink:
                yield sink.folder
            return
        digest = sha256(repr(self._saved).encode(errors="surrogatepass")).hexdigest()
        with open_folder_together(digest, path, self._meeting, open_first) as made:
            yield made.folder if isinstance(made, Sink) else made


def _saved(name: str, work: Work, dtype: str) -> Saved:
    wanted = work.out_dtype(dtype)
    if not isinstance(getattr(torch, wanted, None), torch.dtype) or (
        work.step is not None and work.step.target.problem
    ):
        raise ParamInspectError(f"{name} is of {wanted}, which torch.distributed.checkpoint cannot hold")
    return Saved(name, wanted, work.shape)


def check_asked(file: str, **others: Any) -> None:
    """Raise unless a folder is named, and nothing is asked of it that it has no room for.

    Raises:
        ParamInspectError: Another target, or --shard-size.
    """
    if others.get("shard_size"):
        raise ParamInspectError("--shard-size has no meaning with --to dcp", hint="leave it out")
    if not file.endswith("/"):
        raise ParamInspectError(f"--to dcp writes a folder; {file} is none", hint=f"-o {file.rstrip('/') or 'out'}/")
