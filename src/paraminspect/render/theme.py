"""What is said by colour, besides by words: the style of each kind of text, in the words of `rich.style`.

None of it is for ordinary text, which has the terminal's own colour. All can be read on light and dark backgrounds alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from paraminspect.tuples import NamedTuple

Ink = Literal[
    "heading", "dim", "note", "hint", "info", "warning", "error", "danger",
    "zero", "shape", "tie", "bad", "odd", "good", "quiet", "bytes", "mega", "giga", "tera", "bar", "spark",
]  # fmt: skip

RED, AMBER, GREEN, CYAN, BLUE, MAGENTA, GREY = (
    "#e91336", "#b35f00", "#008844", "#008190", "#3668ff", "#d000d0", "#767676",
)  # fmt: skip


class Look(NamedTuple):
    """One style.

    Attributes:
        fixed: On a terminal of 256 colours or more: a contrast of 4.5 and more on white and on black, which is what few
            colours have.
        own: Of the terminal's own sixteen, which are as readable as its owner made them.
    """

    fixed: str
    own: str


THEME: Final[Mapping[Ink, Look]] = {
    "heading": Look("bold", "bold"),
    "dim": Look(GREY, "dim"),
    "note": Look(f"bold {CYAN}", "bold cyan"),
    "hint": Look(f"bold {AMBER}", "bold yellow"),
    "info": Look(f"bold {CYAN}", "bold cyan"),
    "warning": Look(f"bold {AMBER}", "bold yellow"),
    "error": Look(f"bold {RED}", "bold red"),
    "danger": Look("bold #ffffff on #c00000", "bold white on red"),
    "zero": Look(GREY, "dim"),
    "shape": Look(GREY, "dim"),
    "tie": Look(CYAN, "cyan"),
    "bad": Look(f"bold {RED}", "bold red"),
    "odd": Look(AMBER, "yellow"),
    "good": Look(GREEN, "green"),
    "quiet": Look(GREY, "dim"),
    "bytes": Look(GREY, "dim"),
    "mega": Look("none", "none"),
    "giga": Look("bold", "bold"),
    "tera": Look(f"bold {MAGENTA}", "bold magenta"),
    "bar": Look(BLUE, "blue"),
    "spark": Look(BLUE, "blue"),
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
