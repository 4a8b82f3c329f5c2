"""Whether boxes are a whole tensor, each element once: holes and overlaps, in time that grows with their number alone.

How often each element is covered is told by the corners of the boxes: each adds 1 at its first corner, and at the others
1 or -1 by the number of dimensions in which they are its end. The boxes cover each element once if and only if these
sums are those of the whole. So boxes need not be compared with each other, and need not lie in a grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Final, Literal

from paraminspect.errors import LimitExceededError
from paraminspect.limits import OPCODES, effort
from paraminspect.records import TensorRecord
from paraminspect.text import list_some, quote
from paraminspect.tuples import NamedTuple

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""Of the first element, and sizes, one for each dimension."""

MAX_DIVIDED: Final = 8
"""Dimensions of one tensor that are divided; meshes of devices have four or five."""


NOT_WHOLE: Final = "not whole: "
"""Begin of the note on tensors with holes or overlaps; `check` has a finding for each of them instead."""

MAX_NAMED: Final = 3
"""Tensors that the note names."""


class Flaw(NamedTuple):
    """Why the pieces of a tensor are not the tensor.

    Attributes:
        code: As of a finding.
        message: A clause: "its pieces hold 5 of 12 elements".
    """

    code: Literal["hole", "overlap"]
    message: str


def find_flaw(shape: Sequence[int], boxes: Iterable[Box]) -> Flaw | None:
    """Why boxes are not the whole tensor, each element once; None where they are.

    Args:
        shape: Of the whole.
        boxes: All within it.

    Raises:
        LimitExceededError: More dimensions are divided than any program divides.
    """
    there = [box for box in boxes if 0 not in box[1]]
    whole, found = prod(shape), sum(prod(sizes) for _, sizes in there)
    if found < whole:
        return Flaw("hole", f"its pieces hold {found:,} of {whole:,} elements")
    divided = [axis for axis, size in enumerate(shape) if any(sizes[axis] != size for _, sizes in there)]
    if len(divided) > MAX_DIVIDED:
        raise LimitExceededError("divided dimensions of a tensor", limit=MAX_DIVIDED, actual=len(divided))
    if found == whole and _corners_cancel(shape, there, divided):
        return None
    return Flaw("overlap", "its pieces overlap")


def _corners_cancel(shape: Sequence[int], boxes: Sequence[Box], divided: Sequence[int]) -> bool:
    """Whether the corners of the boxes, less those of the whole, come to nothing."""
    if not divided:
        return len(boxes) == 1 or not prod(shape)
    effort().spend(OPCODES, len(boxes) << len(divided))
    sums: dict[tuple[int, ...], int] = {}
    everything = [((0,) * len(shape), tuple(shape), -1), *((begin, sizes, 1) for begin, sizes in boxes)]
    for begin, sizes, sign in everything:
        sides = [((begin[axis], 1), (begin[axis] + sizes[axis], -1)) for axis in divided]
        for corner in product(*sides):
            place = tuple(at for at, _ in corner)
            sums[place] = sums.get(place, 0) + sign * prod(each for _, each in corner)
    return not any(sums.values())


def flaw_of(record: TensorRecord) -> Flaw | None:
    """Why the pieces of a tensor are not the tensor; None where they are, or it has none."""
    pieces = () if record.encoding is None else record.encoding.pieces
    if not isinstance(pieces, tuple):
        told: Flaw | None = getattr(pieces, "flaw", None)
        return told
    return find_flaw(record.shape or (), [(piece.offsets, piece.sizes) for piece in pieces]) if pieces else None


def note_flaws(tensors: Iterable[TensorRecord]) -> Iterator[str]:
    """A remark on tensors whose pieces are not the tensor."""
    found = [f"{quote(record.name)} ({flaw.message})" for record in tensors if (flaw := flaw_of(record)) is not None]
    if found:
        yield NOT_WHOLE + list_some(found, MAX_NAMED)
