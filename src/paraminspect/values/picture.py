"""Histograms of many tensors as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.render.ridges import Ridge, draw_ridges
from paraminspect.render.svg import Picture
from paraminspect.values.stats import TensorStats


def draw_statistics(rows: Sequence[tuple[str, TensorStats]], title: str) -> Picture:
    """A row for each tensor, the first layer at the top.

    Raises:
        LimitExceededError: Too many rows.
    """
    return draw_ridges([_ridge(name, stats) for name, stats in in_order_of_depth(rows)], title)


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
