"""A histogram in one line of text: ▁▁▂▅█▅▂▁."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.:-=+*#"
"""The same for a terminal without them."""

WIDTH = 8
"""Characters: neighbouring bins are added up."""


def sparkline(counts: Sequence[int], width: int = WIDTH) -> str:
    """One character for each share of the bins, as high as what is in them relative to the fullest.

    Args:
        counts: A multiple of `width`; "" is given for none.
        width: In characters.
    """
    step = max(len(counts) // width, 1)
    sums = [sum(counts[begin : begin + step]) for begin in range(0, len(counts), step)]
    most = max(sums, default=0) or 1
    return "".join(LEVELS[-(-count * (len(LEVELS) - 1) // most)] for count in sums)


def in_ascii(text: str) -> str:
    """A sparkline in characters that every terminal has."""
    return text.translate(dict(zip(map(ord, LEVELS), ASCII_LEVELS, strict=True)))
