"""Shapes a file declares: checked before they are believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError

MAX_DIMENSIONS: Final = 64
"""Of one tensor (torch itself: 64; numpy: 64; GGUF: 4)."""

MAX_NUMEL: Final = 2**63 - 1
"""Elements, and bytes, of one tensor: what torch can address."""

MAX_NAME_BYTES: Final = 1 << 20
"""Of one name or dictionary key."""

MAX_TENSORS: Final = 500_000
"""In one file; the largest real checkpoints hold some 200,000."""


def check_sizes(value: object, what: str = "shape") -> tuple[int, ...]:
    """A shape or stride: non-negative integers, not too many.

    Raises:
        MalformedError: No tuple or list, or something else in it.
        LimitExceededError: Too many dimensions.
    """
    if not isinstance(value, tuple | list):
        raise MalformedError(f"a tensor's {what} is no list of sizes")
    if len(value) > MAX_DIMENSIONS:
        raise LimitExceededError("dimensions of a tensor", limit=MAX_DIMENSIONS, actual=len(value))
    for size in value:
        if type(size) is not int:
            raise MalformedError(f"a tensor's {what} holds something that is no integer")
        if size < 0:
            raise MalformedError(f"a tensor's {what} holds the negative number {max(size, -MAX_NUMEL)}")
    return tuple(value)


def count_elements(shape: Iterable[int]) -> int:
    """Product of the sizes, 1 for a scalar.

    Raises:
        LimitExceededError: More elements than torch can address; dimensions of size 0 do not hide that.
    """
    numel = bound = 1
    for size in shape:
        numel *= size
        bound *= size or 1
        if bound > MAX_NUMEL:
            raise LimitExceededError("elements of a tensor", limit=MAX_NUMEL, actual=None)
    return numel


def contiguous_stride(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major stride in elements: `contiguous_stride((2, 3))` is (3, 1)."""
    stride: list[int] = []
    step = 1
    for size in reversed(shape):
        stride.append(step)
        step *= size or 1
    return tuple(reversed(stride))


def storage_order(stride: tuple[int, ...]) -> list[int]:
    """The dimensions from the one with the longest steps to that with the shortest: as elements follow each other."""
    return sorted(range(len(stride)), key=lambda dimension: -stride[dimension])


def is_dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the elements lie side by side, in whatever order of the dimensions.

    The stride of a dimension of one element does not matter, nor any where there are no elements.
    """
    if 0 in shape:
        return True
    due = 1
    for step, size in sorted((step, size) for step, size in zip(stride, shape, strict=True) if size != 1):
        if step != due:
            return False
        due *= size
    return True
