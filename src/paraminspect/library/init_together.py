"""A folder of shards that several processes draw and write: each whole files, the same bytes as one process writes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from paraminspect.errors import ParamInspectError
from paraminspect.ranks.arrivals import arrive
from paraminspect.text import counted
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Copy, Layout
from paraminspect.writers.shares import find_nonce, leave_nonce, open_share, remove_nonce
from paraminspect.writers.sink import Sink
from paraminspect.writers.whole_files import open_target

if TYPE_CHECKING:
    from paraminspect.ranks.meeting import Meeting


class Share(NamedTuple):
    """What this process writes.

    Attributes:
        sink: Takes it.
        indices: Of the tensors.
    """

    sink: Sink
    indices: frozenset[int]


def check_folder_asked(layout: Layout, path: str, meeting: Meeting) -> None:
    """Raise unless it is a folder, whose files can be shared out."""
    if not layout.is_folder:
        raise ParamInspectError(
            f"{path} is one file, and {meeting.launched.world} processes write whole files each",
            hint="-o FOLDER/ writes shards, --shard-size says how large; or run it without torchrun",
        )


@contextmanager
def open_folder_together(
    digest: str, path: str, meeting: Meeting, open_first: Callable[[], AbstractContextManager[Sink]]
) -> Iterator[Sink | str]:
    """A folder that all processes write into, and that has its name once all have left.

    Args:
        digest: Of what is to be written, the same everywhere.
        path: What the user typed.
        open_first: Opens it, on rank 0.

    Yields:
        On rank 0 the sink of the folder, on others where it lies meanwhile.

    Raises:
        ParamInspectError: The processes are of different versions, or plan different files; another one has failed.
        TargetError: It cannot be written, or not from all hosts.
    """
    from paraminspect import __version__

    arrive(meeting, __version__, digest, "would write other files")
    if not meeting.launched.is_first:
        folder, nonce = meeting.agree(None)
        find_nonce(folder, nonce, path)
        meeting.agree(None)
        yield folder
        meeting.agree(None)
        return
    with open_first() as sink:
        if not sink.folder:
            raise ParamInspectError(f"{path} is where the model comes from", hint="name another folder")
        nonce = uuid.uuid4().hex
        leave_nonce(sink.folder, nonce)
        meeting.agree(None, lambda _: (sink.folder, nonce))
        meeting.agree(None)
        yield sink
        meeting.agree(None)
        remove_nonce(sink.folder)


@contextmanager
def open_together(layout: Layout, path: str, meeting: Meeting, *, force: bool) -> Iterator[Share]:
    """Write the files of a layout with the others.

    Args:
        path: What the user typed.
        force: Whether a folder that is there is replaced.

    Yields:
        What is to be put here.

    Raises:
        ParamInspectError: As of `open_folder_together`.
    """
    files = _share_files(layout, meeting.launched.world)[meeting.launched.rank]
    indices = frozenset(index for index, slot in enumerate(layout.slots) if slot.file in files)
    open_first = partial(open_target, layout, path, force=force)
    with open_folder_together(_digest(layout), path, meeting, open_first) as made:
        if isinstance(made, Sink):
            made.leave_to_others(set(range(len(layout.slots))) - indices)
            yield Share(made, indices)
        else:
            with open_share(layout, path, made, files) as sink:
                yield Share(sink, indices)


def gather_lists(meeting: Meeting, mine: Sequence[Any]) -> list[Any]:
    """On rank 0 what all have, rank after rank; nothing on the others."""
    found: list[Any] = []

    def keep(values: Sequence[Any]) -> None:
        for each in values:
            found.extend(each)

    meeting.agree(list(mine), keep)
    return found


def watched(meeting: Meeting, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The same, and stop where another process has failed."""

    def look(done: int, total: int) -> None:
        meeting.look()
        progress(done, total)

    return look


def _share_files(layout: Layout, world: int) -> list[frozenset[int]]:
    """By rank, the files with tensors in them; the same everywhere, about as many bytes each."""
    from paraminspect.engines.shared_out import share_out

    held = sorted({slot.file for slot in layout.slots})
    lots = share_out([layout.files[file].nbytes for file in held], world)
    return [frozenset(held[place] for place in lot) for lot in lots] + [frozenset()] * (world - len(lots))


def _digest(layout: Layout) -> str:
    digest = sha256()
    for file in layout.files:
        digest.update(f"{file.name}\0{file.nbytes}\0".encode(errors="surrogatepass"))
        for piece in file.pieces:
            content = piece.content
            digest.update(repr(content).encode() if isinstance(content, Copy) else content)
    return digest.hexdigest()


def describe_shares(layout: Layout, world: int) -> str:
    """What is said of how many took part."""
    shares = _share_files(layout, world)
    wrote = sum(1 for files in shares if files)
    idle = "; a smaller --shard-size makes more files, for the others" if wrote < world else ""
    return f"written by {wrote} of {counted(world, 'rank')}{idle}"
