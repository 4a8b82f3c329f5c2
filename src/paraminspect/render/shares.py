"""What part of the whole something is: as a percentage, and as a bar beside it."""

from __future__ import annotations

from typing import Final

from paraminspect.render.style import Style

CELLS: Final = 8
"""Columns of a bar of the whole."""

LEAST: Final = 0.0005
"""A share that is not 0.0 % when it is rounded."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_PERCENT_WIDTH: Final = 5


def percentage(numel: int, whole: int) -> str:
    """With one digit; "" if there is nothing."""
    if not whole:
        return ""
    percent = 100 * numel / whole
    return "100%" if percent > 99.95 else f"{percent:.1f}%"


def bar(numel: int, whole: int, style: Style) -> str:
    """As long as the share is large, `CELLS` columns for the whole; what is not 0.1 % has none, all else has."""
    if not whole or numel / whole < LEAST:
        return ""
    if not style.unicode:
        return "#" * max(round(CELLS * numel / whole), 1)
    full, part = divmod(max(round(8 * CELLS * numel / whole), 1), 8)
    return "█" * full + _EIGHTHS[part].strip()


def share_bar(numel: int, whole: int, style: Style) -> str:
    """The percentage, right-aligned, and its bar."""
    return f"{percentage(numel, whole).rjust(_PERCENT_WIDTH)} {bar(numel, whole, style)}".rstrip()
