"""The library function: a source to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from paraminspect.conversion.bytes import Contents, Open, write_all
from paraminspect.conversion.companions import has_config, read_companions
from paraminspect.conversion.kinds import STDOUT, choose_format, is_stream, own_format
from paraminspect.conversion.metadata import carry_metadata, merge_metadata
from paraminspect.conversion.outline import Outlined, lay_out
from paraminspect.conversion.plan import ConversionPlan, Item, Wanted, plan_conversion
from paraminspect.conversion.verify import verify
from paraminspect.engines.pool import Pool
from paraminspect.errors import SelectionError
from paraminspect.files.paths import shown
from paraminspect.formats.quantised.schemes import TOLD_BY_CONFIG
from paraminspect.records import Checkpoint
from paraminspect.render.columns import WRITTEN
from paraminspect.render.rows import Rows
from paraminspect.text import counted, format_bytes, quote
from paraminspect.tuples import NamedTuple
from paraminspect.writers.whole_files import open_stream, open_target

LARGEST: Final = {"float8_e4m3fn": "448, its largest number"}
"""What numbers become that are too large; of the other types an infinity."""

Progress = Callable[[str, int], Callable[[int], None]]
"""Called with what is done and the bytes in all; gives what is to be called with the bytes of each step."""


class Written(NamedTuple):
    """What was written.

    Attributes:
        tensors: How many, aliases not counted.
        nbytes: Of all files together.
        notes: Remarks for the user, one line each.
    """

    tensors: int
    files: int
    nbytes: int
    notes: tuple[str, ...] = ()
    is_folder: bool = False

    def describe(self) -> str:
        """Such as "148 tensors in 3 files, 475 MiB"."""
        files = f" in {counted(self.files, 'file')}" if self.is_folder else ""
        return f"{counted(self.tensors, 'tensor')}{files}, {format_bytes(self.nbytes)}"


class Prepared(NamedTuple):
    """A conversion that can be carried out."""

    plan: ConversionPlan
    outlined: Outlined
    notes: tuple[str, ...]

    def rows(self, source: str) -> Rows:
        """What would be written: one row a tensor."""
        values = [
            (
                item.out.name,
                item.out.shape,
                item.out.dtype,
                item.out.nbytes,
                item.out.aliases,
                item.record.name if item.record.name != item.out.name else None,
                item.record.dtype if item.record.dtype != item.out.dtype else None,
            )
            for item in self.outlined.items
        ]
        closing = f"{counted(len(self.plan.items), 'tensor')}, {format_bytes(self.plan.nbytes)}"
        return Rows("tensors", WRITTEN, values, head={"source": shown(source)}, closing=closing)


def prepare(
    checkpoint: Checkpoint,
    file: str,
    wanted: Wanted,
    *,
    metadata: Mapping[str, str] | None = None,
    carry: bool = True,
    shard_size: str = "",
) -> Prepared:
    """Decide everything before the first byte is written.

    Args:
        file: Where to, as `convert` has it.
        metadata: Of a safetensors file, beside what is carried.
        carry: Whether the source's metadata are.
        shard_size: Most bytes of a file, for a folder.

    Raises:
        ParamInspectError: It cannot be done; see `convert`.
    """
    plan = plan_conversion(checkpoint, wanted)
    if not plan.items:
        raise SelectionError("there is nothing to write", hint=_why_nothing(plan, wanted))
    names = {name for item in plan.items for name in (item.out.name, *item.out.aliases)}
    decoded = any(item.record.logical is not None for item in plan.items)
    merged, notes = merge_metadata(carry_metadata(checkpoint, decoded=decoded) if carry else {}, metadata or {}, names)
    own = None if checkpoint.member else own_format(checkpoint)  # nothing packs a tar
    row = choose_format(file, checkpoint, own, sharded=bool(shard_size))
    outlined = lay_out(plan.items, row, file, merged, shard_size)
    if outlined.layout.is_folder:
        whole = not (wanted.module or wanted.select or wanted.exclude or wanted.renames)
        companions, remarks = read_companions(checkpoint, whole=whole, decoded=decoded)
        layout = outlined.layout._replace(files=(*outlined.layout.files, *companions))
        outlined, notes = outlined._replace(layout=layout), [*notes, *remarks]
    elif (
        not decoded
        and any(each.logical and each.logical.scheme in TOLD_BY_CONFIG for each in checkpoint.tensors)
        and has_config(checkpoint)
    ):
        notes = [
            *notes,
            "config.json, which tells how its quantised weights are packed, stays behind: -o FOLDER/ takes it",
        ]
    return Prepared(plan, outlined, (*plan.notes, *notes, *outlined.notes))


def carry_out(
    prepared: Prepared,
    file: str,
    read: Open,
    *,
    force: bool = False,
    check: bool = False,
    is_stored: bool = True,
    progress: Progress = lambda what, total: lambda nbytes: None,
    pool: Pool | None = None,
) -> Written:
    """Write it.

    Args:
        read: What reads the numbers of a record.
        force: Whether a file that is there is replaced.
        check: Whether what was written is read back before it takes its name.
        is_stored: Whether the records are of files, not of a live model.
        pool: Who computes elements of another type; None for this thread.
        progress: Told what is being done and of how many bytes, gives what is told of bytes that are done.

    Raises:
        ParamInspectError: A tensor cannot be read, the output not be written, or it does not read back the same.
    """
    layout, items, _ = prepared.outlined
    remarks: list[str] = []
    total = sum(slot.nbytes for slot in layout.slots)
    contents = Contents(read, is_stored=is_stored)
    advance = progress("written, read back", 2 * total) if check else progress("written", total)

    def look(path: str) -> None:
        verify(path, items, contents, advance)

    if file == STDOUT:
        kept = os.dup(1)  # user code may print meanwhile, and is sent elsewhere
        try:
            with open_stream(layout, kept) as sink:
                write_all(items, layout, contents, sink, advance, pool=pool)
        finally:
            os.close(kept)
    else:
        with open_target(layout, file, force=force, look=look if check else None) as sink:
            remarks = sink.remarks
            write_all(items, layout, contents, sink, advance, pool=pool)
    return Written(
        len(items),
        len(layout.files),
        layout.nbytes,
        (*prepared.notes, *describe_lost(items, contents.lost), *remarks),
        layout.is_folder,
    )


def goes_into_a_pipe(file: str) -> bool:
    """Whether what is written there cannot be read back."""
    return file == STDOUT or is_stream(file)


def _why_nothing(plan: ConversionPlan, wanted: Wanted) -> str:
    if plan.hidden:
        return f"--all takes in the {sum(plan.hidden.values()):,} tensors that are no part of a model"
    return "'paraminspect list --aliases' shows the names" if wanted.select or wanted.exclude else "it holds no tensors"


def describe_lost(items: Sequence[Item], lost: Mapping[str, tuple[int, int]]) -> list[str]:
    """Remarks, one for each type and kind of loss.

    Args:
        lost: By name: how many numbers were too large for their type, and how many too small.
    """
    dtypes = {item.out.name: item.out.dtype for item in items}
    notes = []
    for dtype in dict.fromkeys(dtypes[name] for name in lost):
        ours = {name: counts for name, counts in lost.items() if dtypes[name] == dtype}
        for place, size, instead in ((0, "large", LARGEST.get(dtype, "infinite")), (1, "small", "0")):
            names = [name for name, counts in ours.items() if counts[place]]
            if names:
                count = counted(sum(ours[name][place] for name in names), "number")
                where = (
                    f"of {quote(names[0])}"
                    if len(names) == 1
                    else f"of {len(names):,} tensors, first {quote(names[0])},"
                )
                was = "was" if count == "1 number" else "were"
                notes.append(f"{count} {where} {was} too {size} for {dtype} and became {instead}")
    return notes
