"""Histograms of many tensors as one picture."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from paraminspect.render.chart import Chart, Row
from paraminspect.render.marks import Area
from paraminspect.text import counted
from paraminspect.tuples import NamedTuple
from paraminspect.values.stats import TensorStats

COLUMNS: Final = ("min", "mean", "max", "std")


class Described(NamedTuple):
    """A tensor or module of a source, its statistics, and what makes it like others of its kind: shape and dtype."""

    name: str
    form: Hashable
    stats: TensorStats


def chart_of_statistics(sources: Sequence[tuple[str, Sequence[Described]]], title: str, noun: str) -> Chart:
    """A row for each tensor, below its source where there are several.

    Args:
        sources: What was read, with its name.
        title: Above it all.
        noun: What a row is: "tensor" or "module".
    """
    several = len(sources) > 1
    count = sum(len(rows) for _, rows in sources)
    closing = f"histograms of {counted(count, noun)}, each as high as its fullest bin"
    sections = [(name if several else "", [_row(each) for each in rows]) for name, rows in sources]
    return Chart(title, closing, COLUMNS, sections)


def _row(row: Described) -> Row:
    stats = row.stats
    odd = ", ".join([f"{count:,} {word}" for count, word in ((stats.nan, "NaN"), (stats.inf, "inf")) if count])
    mark, words = None, "no finite value" if stats.count else "no value"
    if stats.histogram is not None and stats.min is not None and stats.max is not None:
        mark, words = Area(stats.min, stats.max, stats.histogram), ""
    numbers = (stats.min, stats.mean, stats.max, stats.std)
    return Row(row.name, (row.form, odd, words), mark, numbers, words, odd, "bad" if odd else "plain")
