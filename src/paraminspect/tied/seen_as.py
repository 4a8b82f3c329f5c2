"""In which way one tensor sees the bytes of another: transposed, a slice, in another shape."""

from __future__ import annotations

from paraminspect.records import TensorRecord
from paraminspect.text import shape_text


def describe_view(first: TensorRecord, other: TensorRecord) -> str:
    """What to write behind the name of `first` for a tensor that has bytes of it.

    Returns:
        "" for the same numbers in the same shape, " (transposed)", "[0:2]" for a slice as Python writes it,
        " (as [12])" for all of it in another shape, else " (in part)".
    """
    if first.shape is None or other.shape is None or first.stride is None or other.stride is None:
        return ""
    if first.form == other.form and first.offset == other.offset:
        return ""
    if first.dtype != other.dtype:
        return f" (as {other.dtype})"
    if first.offset == other.offset and first.numel == other.numel:
        dims = sorted(zip(first.shape, first.stride, strict=True))
        if dims == sorted(zip(other.shape, other.stride, strict=True)):
            swapped = sum(one != two for one, two in zip(first.stride, other.stride, strict=True))
            return " (transposed)" if swapped == 2 else " (permuted)" if swapped else ""
        return f" (as {shape_text(other.shape)})"
    return _slice(first, other) or " (in part)"


def _slice(first: TensorRecord, other: TensorRecord) -> str | None:
    """The slice that one tensor is of another, trailing dimensions that are whole left out."""
    if first.stride != other.stride or not other.numel or first.shape is None or other.shape is None:
        return None
    left = (other.offset - first.offset) * other.numel // (other.nbytes or 1)
    starts = [0] * len(first.shape)
    for dim, step in sorted(enumerate(first.stride or ()), key=lambda each: -each[1]):
        starts[dim], left = divmod(left, step) if step else (0, left)
    spans = [(start, start + size, whole) for start, size, whole in zip(starts, other.shape, first.shape, strict=True)]
    if left or any(not 0 <= start < end <= whole for start, end, whole in spans):
        return None
    while spans and spans[-1][:2] == (0, spans[-1][2]):
        spans.pop()
    return f"[{', '.join(':' if (start, end) == (0, whole) else f'{start}:{end}' for start, end, whole in spans)}]"
