"""`paraminspect convert`: a source to another file, or what that would be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from paraminspect.cli.chosen import Choice, describe_hidden, describe_no_match
from paraminspect.cli.opened import note_unloaded, open_one
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.conversion.convert import Prepared, carry_out, goes_into_a_pipe, prepare
from paraminspect.conversion.kinds import STDOUT
from paraminspect.conversion.metadata import parse_metadata
from paraminspect.conversion.plan import ConversionPlan, Wanted
from paraminspect.errors import FarError, ParamInspectError, SelectionError
from paraminspect.files.paths import shown
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model
from paraminspect.names.listing import Listing
from paraminspect.render.columns import WRITTEN
from paraminspect.render.rows import Rows
from paraminspect.text import counted, format_bytes


class ConvertOptions(NamedTuple):
    """What is written and how: -o, --dtype, --rename, --metadata, --dry-run and what belongs to them."""

    file: str
    dtype: str = ""
    renames: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    carry: bool = True
    shard_size: str = ""
    force: bool = False
    verify: bool = False
    dry_run: bool = False
    columns: tuple[str, ...] = ()


def convert_source(source: str, choice: Choice, asked: Asked, how: ConvertOptions, output: Output) -> int:
    """Convert one source; returns the exit status.

    Raises:
        ParamInspectError: Anything that keeps it from being done; nothing is written then.
    """
    _check(how, output)
    metadata = parse_metadata(how.metadata)
    opened = open_one(source, asked, output)
    if opened is None:
        output.finish()
        return output.status
    note_unloaded(opened, asked, output)
    wanted = Wanted(choice.module, choice.select, choice.exclude, choice.everything, how.renames, how.dtype)
    checkpoint = opened.checkpoint
    if unsaved := opened.unsaved:
        kept = [record for record in checkpoint.tensors if record.name not in unsaved]
        checkpoint = replace(checkpoint, tensors=kept)
    try:
        prepared = prepare(checkpoint, how.file, wanted, metadata=metadata, carry=how.carry, shard_size=how.shard_size)
    except SelectionError as error:
        _explain(error, choice, opened)
        error.source = error.source or source
        raise
    except ParamInspectError as error:
        if not error.message.startswith("-o "):
            error.source = error.source or source
        raise
    _say(prepared, opened, output)
    if how.dry_run:
        output.write_rows(output.pick(_rows(prepared, source), how.columns))
    else:
        _write(prepared, opened, how, output)
    output.finish()
    return output.status


def _check(how: ConvertOptions, output: Output) -> None:
    if not how.file:
        raise ParamInspectError("where to? there is no -o", hint="-o FILE.safetensors, FILE.pt, FILE.npz or FOLDER/")
    if how.file == STDOUT and output.is_terminal and not how.dry_run:
        raise ParamInspectError(
            "a checkpoint is binary, and standard output is a terminal", hint="-o FILE.safetensors, or a pipe"
        )
    if how.verify and goes_into_a_pipe(how.file):
        raise ParamInspectError("--verify reads back what was written, and a pipe cannot be", hint="-o FILE")


def _explain(error: SelectionError, choice: Choice, opened: Model) -> None:
    """Say why nothing is left, as `list` does."""
    if not (choice.select or choice.exclude) or "nothing to write" not in error.message:
        return
    records = opened.checkpoint.tensors
    listing = Listing([], {}, frozenset(), 0, {}, len(records))
    error.message = describe_no_match(choice, listing, records)


def _say(prepared: Prepared, opened: Model, output: Output) -> None:
    for note in (*opened.checkpoint.notes, *prepared.notes):
        output.note(note)
    if hidden := describe_hidden(prepared.plan.hidden, "written", "writes"):
        output.note(hidden)


def _write(prepared: Prepared, opened: Model, how: ConvertOptions, output: Output) -> None:
    def progress(what: str, total: int) -> Callable[[int], None]:
        return Progress(output, what).counting(total)

    try:
        written = carry_out(
            prepared,
            how.file,
            opened.numbers,
            force=how.force,
            check=how.verify,
            is_stored=opened.live is None,
            progress=progress,
        )
    except FarError as error:
        error.source = error.source or opened.checkpoint.source
        raise
    finally:
        output.progress("")
    for note in written.notes[len(prepared.notes) :]:
        output.note(note)
    if how.file == STDOUT:
        return
    what = counted(written.tensors, "tensor")
    if prepared.outlined.layout.is_folder:
        what += f" in {counted(written.files, 'file')}"
    verified = ", read back and compared" if how.verify else ""
    output.note(f"wrote {how.file}: {what}, {format_bytes(written.nbytes)}{verified}")


def _rows(prepared: Prepared, source: str) -> Rows:
    items = prepared.outlined.items
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
        for item in items
    ]
    return Rows("tensors", WRITTEN, values, head={"source": shown(source)}, closing=_closing(prepared.plan))


def _closing(plan: ConversionPlan) -> str:
    return f"{counted(len(plan.items), 'tensor')}, {format_bytes(plan.nbytes)}"
