"""What the headers say that makes no sense: names, types, ties, optimizer state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.formats.table import format_of, resolve
from paraminspect.names.attributes import find_lost
from paraminspect.names.listing import is_shown
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.summaries import Finding
from paraminspect.text import counted, format_bytes

MAX_TOLD: Final = 20
"""Tensors that one kind of finding names."""

STATE_LIKE_PARAMETER: Final = frozenset(
    {
        "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg", "acc_delta",
        "prev", "step_size", "ax", "mu_product_like",
    }
)  # fmt: skip
"""Keys of optimizer state that has the shape of its parameter, of every optimizer in `torch.optim`."""


def check_tensors(checkpoint: Checkpoint) -> Iterator[Finding]:
    records = checkpoint.tensors
    yield from _check_names(records)
    yield from _check_dtypes(records)
    row = format_of(checkpoint)
    if row is None or not row.has_constants:
        yield from _check_attributes(records)
    yield from _check_optimizer(records)
    yield from _check_unused(checkpoint)
    if row is not None and row.checks:
        yield from resolve(row.checks)(checkpoint)


def _check_names(records: Sequence[TensorRecord]) -> Iterator[Finding]:
    names = [record.name for record in records]
    if len(set(names)) == len(names):
        return
    counts = _count_different(records, {name for name, count in Counter(names).items() if count > 1})
    twice = [name for name, count in counts.items() if count > 1]
    for name in twice[:MAX_TOLD]:
        yield find(
            "duplicate-name", name, f"{counts[name]:,} tensors have this name: their paths differ, their names do not",
            severity="warning",
        )  # fmt: skip
    if len(twice) > MAX_TOLD:
        yield find("duplicate-name", "", f"{len(twice) - MAX_TOLD:,} more names stand twice", severity="warning")


def _count_different(records: Sequence[TensorRecord], names: set[str]) -> Counter[str]:
    """How many tensors go by each of some names; one that is reached by two paths, as an item and an attribute, is one."""
    seen: dict[tuple[object, ...], None] = {}  # in the order of the file
    for at, each in enumerate(records):
        if each.name in names:
            place = at if each.storage is None else (id(each.storage), each.offset, each.shape, each.stride)
            seen[each.name, place] = None
    return Counter(str(name) for name, _ in seen)


def _check_dtypes(records: Sequence[TensorRecord]) -> Iterator[Finding]:
    floats = {dtype for dtype in {each.dtype for each in records} if dtype.startswith(("float", "bfloat"))}
    if len(floats) < 2:
        return
    kinds = Counter(each.dtype for each in records if each.dtype in floats and is_shown(each))
    if len(kinds) > 1:
        parts = ", ".join(f"{count:,} of {dtype}" for dtype, count in kinds.most_common())
        yield find("mixed-dtypes", "", f"parameters of several types: {parts}")


def _check_attributes(records: Sequence[TensorRecord]) -> Iterator[Finding]:
    found = [records[index] for index in find_lost(records)]
    for record in found[:MAX_TOLD]:
        message = "a plain tensor attribute, neither parameter nor buffer: it will not train, move or be saved"
        yield find("plain-attribute", record.name, message)
    if len(found) > MAX_TOLD:
        yield find("plain-attribute", "", f"{counted(len(found) - MAX_TOLD, 'more tensor attribute')}")


def _check_unused(checkpoint: Checkpoint) -> Iterator[Finding]:
    if checkpoint.stored is None:
        return
    from paraminspect.tied.unused import find_unused

    if (unused := find_unused(checkpoint)) is not None:
        hint = "paraminspect convert leaves them out; in torch, save a .clone() of a view" if unused.views else None
        yield find("unused-bytes", "", unused.describe(), hint=hint)


def _check_optimizer(records: Sequence[TensorRecord]) -> Iterator[Finding]:
    """Moments whose shape no parameter has, or that more moments have than parameters."""
    moments: dict[str, list[TensorRecord]] = {}
    for record in records:
        if record.role == "optimizer" and record.shape:
            key = record.name.rpartition(".")[2]
            if key in STATE_LIKE_PARAMETER:
                moments.setdefault(key, []).append(record)
    model = Counter(each.shape for each in records if each.role == "model") if moments else None
    if not model:
        return
    for key, found in moments.items():
        left = Counter(model)
        unfit = []
        for record in found:
            left[record.shape] -= 1
            if left[record.shape] < 0:
                unfit.append(record)
        if unfit:
            shape = list(unfit[0].shape or ())
            message = f"{len(unfit):,} of {len(found):,} {key} fit no parameter; the first has shape {shape}"
            yield find("optimizer-mismatch", unfit[0].name, message)


def check_end(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Bytes behind the last tensor of a GGUF file, beyond padding."""
    ends = [place[2] for record in checkpoint.tensors if (place := record.byte_range) is not None]
    alignment = checkpoint.metadata.get("general.alignment", "32")
    step = int(alignment) if alignment.isdecimal() and 0 < int(alignment[:9]) < 1 << 20 else 32
    end = -(-max(ends, default=checkpoint.nbytes) // step) * step
    if checkpoint.nbytes > end + 2 * step:  # some writers pad twice
        yield find("extra-bytes", "", f"{checkpoint.nbytes - end:,} bytes behind the last tensor", offset=end)


def check_pieces(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Tensors whose pieces leave holes or overlap."""
    from paraminspect.formats.tiling import flaw_of  # a format of pieces has a check of its own

    found = [(record.name, flaw) for record in checkpoint.tensors if (flaw := flaw_of(record)) is not None]
    for name, flaw in found[:MAX_TOLD]:
        yield find(flaw.code, name, flaw.message, hint="save it again, or copy the whole folder")
    if len(found) > MAX_TOLD:
        yield find("hole", "", f"{counted(len(found) - MAX_TOLD, 'more tensor')} whose pieces are not the whole")


def check_external(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Tensors that share some of their bytes in a file of external data, and bytes of it that none has."""
    from paraminspect.files.door import look
    from paraminspect.files.paths import base_name
    from paraminspect.formats.onnx.external import count_unused, find_ranges  # other formats do without

    told = 0
    for path, spans in find_ranges(checkpoint.files[1:], checkpoint.tensors).items():
        end, before, begun = 0, "", -1
        for begin, until, name in spans:
            if begin < end and (begin, until) != (begun, end) and (told := told + 1) <= MAX_TOLD:
                message = f"shares {min(end, until) - begin:,} bytes of external data with {before!r}"
                yield find("overlap", name, message, severity="warning", path=path, offset=begin)
            if until > end:
                begun, end, before = begin, until, name
        if unused := count_unused(spans, look(path).size):
            base = base_name(path)
            yield find("unused-storage", "", f"{format_bytes(unused)} of {base!r} that no tensor uses", path=path)
