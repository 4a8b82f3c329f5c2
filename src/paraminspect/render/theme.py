"""What is said by colour, besides by words: the style of each kind of text, in the words of `rich.style`.

Only the colours that a terminal itself defines are used, none of them for ordinary text, so that they can be read on
light and dark backgrounds alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Ink = Literal[
    "heading", "dim", "note", "hint", "info", "warning", "error", "danger",
    "zero", "shape", "tie", "bad", "odd", "good", "quiet", "bytes", "mega", "giga", "tera", "bar", "spark",
]  # fmt: skip

THEME: Final[Mapping[Ink, str]] = {
    "heading": "bold",
    "dim": "dim",
    "note": "bold cyan",
    "hint": "bold yellow",
    "info": "bold cyan",
    "warning": "bold yellow",
    "error": "bold red",
    "danger": "bold white on red",
    "zero": "dim",
    "shape": "dim",
    "tie": "cyan",
    "bad": "bold red",
    "odd": "yellow",
    "good": "green",
    "quiet": "dim",
    "bytes": "dim",
    "mega": "none",
    "giga": "bold",
    "tera": "bold magenta",
    "bar": "blue",
    "spark": "blue",
}

OF_WORDS: Final[Mapping[str, Ink]] = {
    "info": "info",
    "warning": "warning",
    "error": "error",
    "danger": "danger",
    "none": "bad",
    "nan": "bad",
    "inf": "bad",
    "zero": "odd",
    "frozen": "quiet",
    "added": "good",
    "removed": "bad",
    "shape": "bad",
    "dtype": "odd",
    "values": "odd",
    "tie": "tie",
}
"""Of a column whose values are a few words: states, severities, kinds of a change."""


def ink_of_size(nbytes: int) -> Ink:
    """By magnitude: below a mebibyte, below a gibibyte, below a tebibyte, above."""
    return "bytes" if nbytes < 1 << 20 else "mega" if nbytes < 1 << 30 else "giga" if nbytes < 1 << 40 else "tera"
