"""`--to dcp`: a folder of torch.distributed.checkpoint, written by one process or by all ranks."""

from __future__ import annotations

import math
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
from paraminspect.live.init.elements import PIECE, block_of, block_range, blocks_of_part, rows_of_blocks
from paraminspect.live.init.pool import Pool, count_workers
from paraminspect.live.init.run import LARGEST_AT_ONCE, add_piece, joined, measure, with_statistics
from paraminspect.live.init.work import Work, values_of
from paraminspect.live.ranks.distcp import Chunk, Saved, share_files, write_file, write_metadata
from paraminspect.outcomes import InitStep
from paraminspect.text import counted, format_bytes
from paraminspect.values.moments import Moments
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
        self._drawing = drawing
        self._dtype = dtype
        self._meeting = meeting
        self._progress = progress
        self._saved = [self._as_saved(name, each) for name, each in self._work.items()]
        self._places: dict[int, int] = {}  # of acts in the plan, by their identity
        self._found: list[tuple[int, int, Moments]] = []  # of an act and a block of what it is for
        self._done: dict[Chunk, int] = {}

    def write(self, path: str, plan: InitPlan, *, force: bool) -> tuple[list[tuple[PlannedStep, InitStep]], list[str]]:
        """Write it; on rank 0, what was done and what is to be said.

        Raises:
            ParamInspectError: It cannot be drawn or written.
        """
        rank, world = (0, 1) if self._meeting is None else self._meeting.launched[:2]
        chunks = [chunk for each in self._saved for chunk in each.chunks]
        lots = share_out([each.nbytes for each in chunks], world)
        mine = [chunks[place] for place in (lots[rank] if rank < len(lots) else ())]
        acts = plan.acts
        self._places = {id(act): place for place, act in enumerate(acts)}
        with self._folder(path, force=force) as folder:
            results, found = self._write_files(folder, rank, mine), self._found
            if self._meeting is not None:
                results, found = gather_lists(self._meeting, results), gather_lists(self._meeting, found)
            if not rank:
                write_metadata(folder, self._saved, results)
        files, nbytes = (
            len({each.storage_data.relative_path for each in results}),
            sum(each.nbytes for each in self._saved),
        )
        said = f"wrote {path}: {counted(len(self._saved), 'tensor')} in {counted(files + 1, 'file')}, {format_bytes(nbytes)}"
        by = [] if self._meeting is None else [f"written by {len(lots)} of {counted(world, 'rank')}"]
        blocks: dict[int, dict[int, Moments]] = {}
        for place, block, moments in found:
            blocks.setdefault(place, {})[block] = moments
        steps = [(acts[place], with_statistics(acts[place].record(), joined(each))) for place, each in blocks.items()]
        return steps, [*by, said]

    def _write_files(self, folder: str, rank: int, chunks: Sequence[Chunk]) -> list[Any]:
        files = list(share_files(chunks))
        costs = [sum(each.nbytes for each in file) + max(map(self._cost, file)) for file in files]
        pool = Pool(costs, workers=count_workers(), room=LARGEST_AT_ONCE * max(costs, default=0))
        results: list[list[Any]] = [[] for _ in files]
        total = sum(each.nbytes for each in chunks)

        def write(number: int) -> None:
            with torch.no_grad():
                draw = partial(self._draw, pool)
                results[number] = write_file(folder, f"__{rank}_{number}_", files[number], draw)

        def look() -> None:
            if self._meeting is not None:
                self._meeting.look()
            self._progress(sum(list(self._done.values())), total)

        with one_thread():
            pool.run(write, look)
        return [each for of_file in results for each in of_file]

    def _cost(self, chunk: Chunk) -> int:
        """Bytes that drawing takes besides those that are written."""
        work = self._work[chunk.saved.name]
        return work.cost if len(chunk.saved.cuts) == 1 else work.nbytes // work.numel * PIECE

    def _draw(self, pool: Pool, chunk: Chunk) -> Tensor:
        """As it is written; of a tensor with several names, the first is measured."""
        work = self._work[chunk.saved.name]
        acts = work.step.acts if work.step is not None and chunk.saved.name == work.name else ()
        dtype = getattr(torch, chunk.saved.dtype)
        pool.check()
        if len(chunk.saved.cuts) > 1:
            return self._draw_rows(pool, chunk, [self._places[id(act)] for act in acts])
        values = values_of(work, self._drawing).to(dtype)
        self._found.extend((self._places[id(act)], 0, measure(values[act.rows])) for act in acts)
        self._done[chunk] = values.nbytes
        return values.contiguous()

    def _draw_rows(self, pool: Pool, chunk: Chunk, places: Sequence[int]) -> Tensor:
        """Some rows of a tensor that is drawn by element: those of its blocks, without the rest."""
        step, cuts = self._work[chunk.saved.name].step, chunk.saved.cuts
        assert step is not None
        values = torch.empty(chunk.shape, dtype=getattr(torch, chunk.saved.dtype))
        flat = values.view(-1)
        begin = chunk.row * (values.numel() // len(values))
        end = begin + values.numel()
        measured = {block: Moments() for block in blocks_of_part(chunk.saved.shape, cuts.index(chunk.row))}
        for block in range(min(measured), block_of(end - 1) + 1):
            at = block_range(block, math.prod(chunk.saved.shape)).start
            for drawn in self._drawing.pieces(step, block):
                pool.check()
                piece = drawn.to(values.dtype)
                if block in measured:
                    add_piece(measured[block], piece)
                part = slice(max(begin - at, 0), max(end - at, 0))
                low = max(at - begin, 0)
                flat[low : low + len(piece[part])] = piece[part]
                at += len(piece)
                self._done[chunk] = max(at - begin, 0) * values.itemsize
                if at >= end:
                    break
        self._found.extend((place, block, moments) for place in places for block, moments in measured.items())
        return values

    def _as_saved(self, name: str, work: Work) -> Saved:
        wanted = work.out_dtype(self._dtype)
        step = work.step
        if not isinstance(getattr(torch, wanted, None), torch.dtype) or (step is not None and step.target.problem):
            raise ParamInspectError(f"{name} is of {wanted}, which torch.distributed.checkpoint cannot hold")
        if work.original is None and step is not None and self._drawing.draws_by_element(step):
            return Saved(name, wanted, work.shape, tuple(rows_of_blocks(work.shape)))
        return Saved(name, wanted, work.shape)

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


def check_asked(file: str, **others: Any) -> None:
    """Raise unless a folder is named, and nothing is asked of it that it has no room for.

    Raises:
        ParamInspectError: Another target, or --shard-size.
    """
    if others.get("shard_size"):
        raise ParamInspectError("--shard-size has no meaning with --to dcp", hint="leave it out")
    if not file.endswith("/"):
        raise ParamInspectError(f"--to dcp writes a folder; {file} is none", hint=f"-o {file.rstrip('/') or 'out'}/")
