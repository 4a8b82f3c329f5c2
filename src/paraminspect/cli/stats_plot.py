"""`paraminspect stats --plot`: the rows as one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.render.ridges import Ridge, draw_ridges
from paraminspect.render.svg import render_html, render_svg
from paraminspect.values.stats import TensorStats

_RENDERERS: Final = {".svg": render_svg, ".html": render_html}


def check_plot(path: str) -> None:
    """Refuse a picture of another kind before anything is read.

    Raises:
        ParamInspectError: Its name does not end in .svg or .html.
    """
    if _ending(path) not in _RENDERERS:
        raise ParamInspectError(f"--plot {path!r}", hint="a picture is written as .svg or .html")


def write_plot(path: str, rows: Sequence[tuple[str, TensorStats]], title: str) -> None:
    """Draw a row for each tensor, the first layer at the top, and write the picture whole or not at all.

    Raises:
        ParamInspectError: Too many rows, or the file cannot be written.
    """
    from paraminspect.writers.whole_files import write_whole

    picture = draw_ridges([_ridge(name, stats) for name, stats in in_order_of_depth(rows)], title)
    write_whole(path, (piece.encode("utf-8", "backslashreplace") for piece in _RENDERERS[_ending(path)](picture)))


def in_order_of_depth(rows: Sequence[tuple[str, TensorStats]]) -> list[tuple[str, TensorStats]]:
    """As modules follow each other: those that integers name in the order of these, others as they appear first."""
    seen: dict[tuple[object, ...], int] = {}

    def key(name: str) -> tuple[int, ...]:
        path: tuple[object, ...] = ()
        places = []
        for part in name.split("."):
            path = (*path, part)
            first = seen.setdefault((*path[:-1], None) if part.isdecimal() else path, len(seen))
            places += [first, int(part[:18]) if part.isdecimal() else 0]
        return tuple(places)

    keys = {name: key(name) for name, _ in rows}
    return sorted(rows, key=lambda row: keys[row[0]])


def _ridge(name: str, stats: TensorStats) -> Ridge:
    odd = [f"{count:,} {word}" for count, word in ((stats.nan, "NaN"), (stats.inf, "inf")) if count]
    return Ridge(name, stats.histogram, stats.min, stats.max, stats.mean, stats.std, ", ".join(odd))


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()
