"""Which tensors of a checkpoint are written, under which names and in which types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.quantised.found import TELL
from paraminspect.names.changes import parse_map, rename_records
from paraminspect.names.listing import select_records, without_parts
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.rules.steps import FLOATING
from paraminspect.text import counted, quote
from paraminspect.tied.shared_bytes import find_canonical
from paraminspect.tuples import NamedTuple
from paraminspect.values.stored_bytes import DEQUANTISED, is_same_tensor, plain_dtype
from paraminspect.writers.layout import OutTensor

DTYPES: Final = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
"""What floating-point tensors can be converted to."""

MAX_EXPANSION: Final = 64
"""How often the tensors that are written may hold the bytes of their storages: an expanded one repeats them."""

FREE_EXPANSION: Final = 1 << 30
"""Bytes up to which that does not matter."""

STDIN: Final = "-"


class Wanted(NamedTuple):
    """What of a checkpoint is to be written: --module, --select, --exclude, --all, --rename and --dtype."""

    module: str = ""
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    everything: bool = False
    renames: tuple[str, ...] = ()
    dtype: str = ""


class Item(NamedTuple):
    """One tensor that is written.

    Attributes:
        out: What it is then.
        record: What it is in the source, under its name there, relative to the module that is meant.
        is_kept: Whether its elements keep all their bits.
    """

    out: OutTensor
    record: TensorRecord
    is_kept: bool


class ConversionPlan(NamedTuple):
    """What is written.

    Attributes:
        items: Each tensor once, in the order of the source.
        hidden: How many tensors are left out that are no part of the model, by what they are.
        notes: Remarks for the user, one line each.
    """

    items: tuple[Item, ...]
    hidden: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Size of all tensors."""
        return sum(item.out.nbytes for item in self.items)


def plan_conversion(checkpoint: Checkpoint, wanted: Wanted = Wanted()) -> ConversionPlan:  # noqa: B008 - cannot change
    """Decide over every tensor of a checkpoint.

    Args:
        checkpoint: As `open_source` read it, or of a live model.
        wanted: What is meant. Selectors see names as `list` shows them, renaming comes after them.

    Raises:
        SelectionError: There is no such module, a selector or renaming cannot be parsed or merges two names.
        ParamInspectError: A tensor that cannot be written: it is not dense, or its type has no numbers.
        LimitExceededError: Expanded tensors of many times the size of the source.
    """
    records, hidden = select_records(
        checkpoint.tensors, wanted.module.rstrip("."), wanted.select, wanted.exclude, wanted.everything
    )
    records = as_written(records, wanted.dtype)
    names = rename_records(records, wanted.renames, option="--rename")
    _check_all(records, is_stored=bool(checkpoint.files) or checkpoint.source == STDIN)
    items: dict[int, Item] = {}
    views = 0
    for index, (record, first) in enumerate(zip(records, find_canonical(records), strict=True)):
        if first is not None and is_same_tensor(record, records[first]) and first in items:
            known = items[first]
            if names[index] not in (known.out.name, *known.out.aliases):
                out = known.out._replace(aliases=(*known.out.aliases, names[index]))
                items[first] = known._replace(out=out)
            continue
        views += first is not None
        items[index] = _item(record, names[index], wanted.dtype)
    chosen = tuple(items.values())
    _check_expansion(chosen)
    notes = [*_idle_renames(records, wanted.renames), *_remarks(chosen, views, wanted)]
    return ConversionPlan(chosen, hidden, tuple(notes))


def as_written(records: Sequence[TensorRecord], dtype: str) -> list[TensorRecord]:
    """Quantised weights as they are stored; or as the tensors that they stand for.

    The latter where a type is asked for, and where they are objects of a kind that only a pickle holds.
    """

    def is_decoded(record: TensorRecord) -> bool:
        return record.logical is not None and bool(dtype or record.logical.is_one)

    kept = without_parts(records, filter(is_decoded, records))
    return [record.as_meant if is_decoded(record) else record.as_stored for record in kept]


def _item(record: TensorRecord, name: str, dtype: str) -> Item:
    trainable = False  # as in a state dict
    shape = record.shape or ()
    plain = plain_dtype(record)
    written = dtype if dtype and plain in FLOATING else plain
    return Item(OutTensor(name, written, shape, trainable=trainable), record, is_kept=written == record.dtype)


def _check_all(records: Sequence[TensorRecord], *, is_stored: bool) -> None:
    """Raise if there is a tensor that no file can hold.

    Raises:
        ParamInspectError: It names the first, and how to go on without.
    """
    found = [(record, reason) for record in records if (reason := _problem(record, is_stored))]
    if not found:
        return
    record, reason = found[0]
    which = f"{quote(record.name)} cannot be written: {reason}"
    hint = f"--exclude '{record.name[:80]}' leaves it out"
    if len(found) > 1:
        which = f"{counted(len(found), 'tensor')} cannot be written; the first is {quote(record.name)}: {reason}"
        hint = "--exclude PATTERN leaves them out"
    if record.logical is not None and record.logical.hint.startswith(TELL):
        hint = TELL
    raise ParamInspectError(which, hint=hint)


def _problem(record: TensorRecord, is_stored: bool) -> str:
    """Why a tensor cannot be written; "" if it can."""
    if record.logical is not None and record.logical.problem:
        way = "" if record.logical.is_one else " (without --dtype it is copied as it is stored)"
        return f"{record.logical.problem}{way}"
    if record.shape is None or (record.layout not in ("strided", "gguf", "chunked", "packed") and not record.sparse):
        return "it is ragged" if record.shape is None else f"it is {record.layout}, not dense"
    if record.layout not in ("gguf", "packed") and record.dtype not in BITS:
        return f"torch has no dtype {record.dtype}"
    if is_stored and record.numel and record.storage is None and record.layout != "chunked" and not record.sparse:
        return "the file has no bytes for it"
    if record.layout == "gguf":
        from paraminspect.values.blocks import DECODERS

        return "" if record.dtype in DECODERS else f"blocks of {record.dtype} cannot be decoded yet"
    return ""


def _check_expansion(items: Sequence[Item]) -> None:
    storages = {id(storage): storage.nbytes for item in items if (storage := item.record.storage) is not None}
    written = sum(item.out.nbytes for item in items if item.record.stride is not None and 0 in item.record.stride)
    limit = max(FREE_EXPANSION, MAX_EXPANSION * sum(storages.values()))
    if written > limit:
        raise LimitExceededError(
            "bytes of expanded tensors, which repeat what the file has once",
            limit=limit,
            actual=written,
            hint="--exclude leaves a tensor out",
        )


def _idle_renames(records: Sequence[TensorRecord], renames: Sequence[str]) -> list[str]:
    """Renamings that mean no name, which is most often a mistake."""
    patterns = {text: parse_map(text)[0] for text in renames}
    return [
        f"--rename {text!r} matches no name"
        for text, pattern in patterns.items()
        if not any(pattern.match(record.name) for record in records)
    ]


def note_decoded(records: Iterable[TensorRecord], dtype: str) -> list[str]:
    """What is to be said of blocks and scaled integers that are written as the numbers they stand for."""
    decoded = [
        each
        for each in records
        if each.logical is not None or (each.layout != "packed" and plain_dtype(each) != each.dtype)
    ]
    kinds = [each.dtype if each.logical is None else each.logical.label for each in decoded]
    if not kinds:
        return []
    named = ", ".join(sorted(set(kinds)))
    types = {each.dtype if each.logical is not None else DEQUANTISED for each in decoded}
    written = dtype or ", ".join(sorted(types))
    return [f"{counted(len(kinds), 'quantised tensor')} ({named}) written as {written} numbers"]


def _remarks(items: Sequence[Item], views: int, wanted: Wanted) -> list[str]:
    notes = note_decoded([item.record for item in items], wanted.dtype)
    if views:
        notes.append(f"{counted(views, 'tensor')} that see bytes of others in another shape are written apart")
    unnamed = [item for item in items if not item.out.name]
    if unnamed:
        notes.append("a tensor without a name is written as ''; --rename '*=NAME' gives it one")
    return notes
