"""Cells of a table in the colours of what they say. The text of a cell is never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Final

from paraminspect.render.rows import Column
from paraminspect.render.style import Style
from paraminspect.render.theme import OF_WORDS, Ink, ink_of_size


def inks_of(column: Column, values: Sequence[Any]) -> Sequence[Ink | None] | None:
    """The ink of each cell of a column; None where none has one."""
    ink = column.ink
    if ink == "word":
        return [OF_WORDS.get(value) for value in values]
    if ink is not None:
        return [None if value is None else ink if value else "zero" for value in values]
    find = _OF_KIND.get(column.kind)
    return None if find is None else [None if value is None else find(value) for value in values]


def paint(cells: Sequence[str], inks: Sequence[Ink | None], style: Style) -> list[str]:
    """Each cell in its ink; the spaces that it was filled up with stay plain."""
    codes = {ink: style.codes(ink) for ink in set(inks) if ink is not None}
    codes = {ink: both for ink, both in codes.items() if both[0]}
    painted = list(cells)
    for index, ink in enumerate(inks):
        if ink in codes and (text := cells[index].strip()):
            before, behind = codes[ink]
            painted[index] = cells[index].replace(text, f"{before}{text}{behind}", 1)
    return painted


def _of_number(value: float) -> Ink | None:
    return "zero" if value == 0 else None if isfinite(value) else "bad"


_OF_KIND: Final[dict[str, Callable[[Any], Ink | None]]] = {
    "shape": lambda _: "shape",
    "bytes": ink_of_size,
    "int": _of_number,
    "float": _of_number,
    "histogram": lambda _: "spark",
}
