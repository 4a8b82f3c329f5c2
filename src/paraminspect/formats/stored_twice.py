"""Tensors that are declared to be one and stored twice: where the bytes are the same, the second is another name of the first.

A loader ties the two, and so does everything here: they count once. Where the bytes differ, no loader ties them. Tensors of up
to MAX_COMPARED bytes are compared whole; of larger ones, and of all that are far, samples, since a listing reads headers only.
`shared` compares all of what stays apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import open_blob
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.text import format_bytes

MAX_COMPARED: Final = 64 << 20
"""Bytes of one of two tensors that are compared whole."""

SAMPLES: Final = 256
SAMPLES_FAR: Final = 4
"""Each is a request."""

SAMPLE: Final = 4096
CHUNK: Final = 1 << 20

SECOND_TIME: Final = "and stored a second time with the same bytes"
"""In the remark on each of them."""


def merge_copies(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with one tensor for each that is declared and stored a second time, and a remark on it."""
    places = {record.name: index for index, record in enumerate(checkpoint.tensors)}
    tensors: dict[int, TensorRecord] = dict(enumerate(checkpoint.tensors))
    declared = list(checkpoint.declared)
    notes = []
    saved = 0
    for number, each in enumerate(declared):
        first, second = places.get(each.name), places.get(each.alias)
        if first is None or second is None or not each.tied or tensors[second].declared:
            continue
        one, other = tensors[first], tensors[second]
        compared = _compare(one, other)
        if compared is None:
            continue
        del tensors[second]  # and behind the first one, which is canonical
        tensors[second] = one._replace(name=other.name, kind=other.kind, part=other.part, declared=True)
        declared[number] = each._replace(copied=True)
        saved += other.nbytes or 0
        notes.append(
            f"{each.alias} is declared tied to {each.name} ({each.origin}) {SECOND_TIME} "
            f"({format_bytes(other.nbytes or 0)}{compared})"
        )
    if not notes:
        return checkpoint
    return checkpoint._replace(
        tensors=list(tensors.values()),
        declared=tuple(declared),
        notes=(*checkpoint.notes, *notes),
        stored=None if checkpoint.stored is None else checkpoint.stored - saved,
    )


def _compare(one: TensorRecord, other: TensorRecord) -> str | None:
    """How two tensors that lie apart were found to be equal, to be said; None where they differ or cannot be compared."""
    place, other_place = one.byte_range, other.byte_range
    if one.form != other.form or place is None or other_place is None or place == other_place:
        return None
    (path, begin, end), (other_path, other_begin, other_end) = place, other_place
    if path is None or other_path is None or end - begin != other_end - other_begin:
        return None
    try:
        first, second = open_blob(path), open_blob(other_path)
        is_far = first.is_far or second.is_far
        size = end - begin
        whole = size <= (SAMPLE * SAMPLES_FAR if is_far else MAX_COMPARED)
        for at, length in _all_of(size) if whole else _samples(size, SAMPLES_FAR if is_far else SAMPLES):
            if first.read(begin + at, length) != second.read(other_begin + at, length):
                return None
    except (OSError, ParamInspectError):
        return None
    return "" if whole else f", compared at {SAMPLES_FAR if is_far else SAMPLES} places"


def _all_of(size: int) -> Iterator[tuple[int, int]]:
    return ((at, min(CHUNK, size - at)) for at in range(0, size, CHUNK))


def _samples(size: int, count: int) -> Iterator[tuple[int, int]]:
    """Places spread over all of a tensor, its ends among them: rows that were added last are at the end."""
    step = (size - SAMPLE) // (count - 1)
    return ((min(number * step, size - SAMPLE), SAMPLE) for number in reversed(range(count)))
