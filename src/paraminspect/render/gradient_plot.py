"""Gradient norms as a picture: the chart of the terminal, with room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from paraminspect.outcomes import GradRecord, GradState
from paraminspect.render.chart import Chart, Colour, Row
from paraminspect.render.gradient_chart import state_text
from paraminspect.render.marks import Bar

COLUMNS: Final = ("norm", "max |g|", "uses")
COLOURS: Final[dict[GradState, Colour]] = {
    "ok": "plain", "zero": "odd", "none": "bad", "nan": "bad", "inf": "bad", "frozen": "quiet",
}  # fmt: skip


def chart_of_gradients(records: Sequence[GradRecord], title: str, closing: str) -> Chart:
    """One bar a parameter; a state that has none is written out.

    Args:
        title: Above it all: what was run.
        closing: Below the title: loss, total norm, counts.
    """
    return Chart(title, closing, COLUMNS, [("", [_row(record) for record in records])])


def _row(record: GradRecord) -> Row:
    uses = len(record.uses)
    mark = None if record.norm is None or record.state != "ok" else Bar(record.norm)
    numbers = (record.norm, record.max_abs, uses if uses > 1 else None)
    form = (record.shape, record.state, uses)
    return Row(record.name, form, mark, numbers, state_text(record), colour=COLOURS[record.state])
