"""`--slice '0,:4'`: the part of a tensor that is meant, written as between the brackets of `tensor[0, :4]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from paraminspect.errors import SelectionError
from paraminspect.text import shape_text

Array = np.ndarray[Any, Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_HINT = "write it as between the brackets of tensor[0, :4]"


def parse_slice(text: str) -> tuple[Any, ...]:
    """Integers, `begin:end:step` and `...`, with commas between them.

    Raises:
        SelectionError: Anything else, or a step below 1.

    Example:
        >>> parse_slice("0, :4")
        (0, slice(None, 4, None))
    """
    parts = [part.strip() for part in text.strip().removeprefix("[").removesuffix("]").split(",")]
    index = tuple(_parse_part(part, text) for part in parts)
    if index.count(Ellipsis) > 1:
        raise SelectionError(f"{text!r} has more than one '...'", hint=_HINT)
    return index


def take_slice(array: Array, index: tuple[Any, ...]) -> Array:
    """The part of an array, a view of it.

    Raises:
        SelectionError: It has fewer dimensions, or an index is past the end.
    """
    check_slice(array.shape, index)
    return np.asarray(array[index])


def check_slice(shape: Sequence[int], index: tuple[Any, ...]) -> None:
    """Raise what `take_slice` raises."""
    given = len([part for part in index if part is not Ellipsis])
    text = shape_text(shape)
    if given > len(shape):
        raise SelectionError(f"{given} indices for a tensor of shape {text}")
    for axis, (part, size) in enumerate(zip(fill_slice(index, len(shape)), shape, strict=True)):
        if isinstance(part, int) and not -size <= part < size:
            raise SelectionError(
                f"index {part} of dimension {axis}, which has {size:,} (shape {text})",
                hint=f"indices go from 0 to {size - 1:,}" if size else None,
            )


def fill_slice(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """An integer or slice for each dimension."""
    before = index[: index.index(Ellipsis)] if Ellipsis in index else index
    after = index[len(before) + 1 :]
    return (*before, *[slice(None)] * (ndim - len(before) - len(after)), *after)


def _parse_part(part: str, text: str) -> Any:
    if part == "...":
        return Ellipsis
    if _INTEGER.fullmatch(part):
        return int(part)
    pieces = [piece.strip() for piece in part.split(":")]
    if not 2 <= len(pieces) <= 3 or not all(not piece or _INTEGER.fullmatch(piece) for piece in pieces):
        raise SelectionError(f"{part!r} in {text!r} is no index", hint=_HINT)
    numbers = [int(piece) if piece else None for piece in pieces]
    if len(numbers) == 3 and numbers[2] is not None and numbers[2] < 1:
        raise SelectionError(f"a step of {numbers[2]} in {text!r}; expected 1 or more, as torch does")
    return slice(*numbers)
