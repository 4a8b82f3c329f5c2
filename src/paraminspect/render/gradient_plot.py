"""Gradient norms as a picture: the chart of the terminal, with room."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.errors import LimitExceededError
from paraminspect.outcomes import GradRecord, GradState
from paraminspect.render.gradient_chart import state_text
from paraminspect.render.log_scale import LogScale, scale_of
from paraminspect.render.name_tree import name_lines
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.svg import CHAR_WIDTH, GRID, SOFT, Line, Picture, Rect, Shape, Text
from paraminspect.text import display_width, escape_text, shorten_end, shorten_middle

MAX_ROWS = 20_000
"""Of one picture, 16 pixels each."""

ROW, BAR, MARGIN = 16, 11, 16
BARS = 420
"""Width of the longest bar."""

MAX_LABEL = 60
"""Characters of a name; longer ones lose their middle."""

NUMBER = 10
"""Characters of the column of norms."""

AFTER = 72
"""Right of the longest bar: the number of uses, half of the last number of the axis."""

MAX_REASON = 58

COLOURS: dict[GradState, str] = {
    "ok": "#2f6fb0", "zero": "#8a6100", "none": "#b3261e", "nan": "#b3261e", "inf": "#b3261e", "frozen": "#59636e",
}  # fmt: skip


def plot_gradients(records: Sequence[GradRecord], title: str, closing: str) -> Picture:
    """One bar a parameter; a state that has none is written out.

    Args:
        records: In the order of the model.
        title: Above it all: what was run.
        closing: Below the title: loss, total norm, counts.

    Raises:
        LimitExceededError: More than MAX_ROWS lines.
    """
    lines = name_lines([record.name or EMPTY_NAME for record in records], "blank")  # the writers escape
    if len(lines) > MAX_ROWS:
        raise LimitExceededError("lines of a picture", limit=MAX_ROWS, actual=len(lines))
    labels = [shorten_middle(line.label, MAX_LABEL) for line in lines]
    label_width = max([display_width(escape_text(label)) for label in labels], default=0) * CHAR_WIDTH
    left = MARGIN + label_width + NUMBER * CHAR_WIDTH + 8
    top = 3.5 * ROW + MARGIN
    scale = scale_of([record.norm for record in records if record.norm is not None])
    bottom = top + len(lines) * ROW
    width = max(left + BARS + AFTER, (max(len(title), len(closing)) + 1) * CHAR_WIDTH + 2 * MARGIN)
    shapes: list[Shape] = [
        Text(MARGIN, MARGIN + 8, title, bold=True),
        Text(MARGIN, MARGIN + 8 + ROW, closing, SOFT),
        *_axis(scale, left, top, bottom),
    ]
    for place, (line, label) in enumerate(zip(lines, labels, strict=True)):
        record = None if line.which is None else records[line.which]
        shapes += _row(label, record, scale, left, top + place * ROW)
    return Picture(width, bottom + MARGIN, f"{title}: {closing}", shapes)


def _row(label: str, record: GradRecord | None, scale: LogScale, left: float, top: float) -> list[Shape]:
    base = top + ROW - 4
    if record is None:
        return [Text(MARGIN, base, label, SOFT)]
    shapes: list[Shape] = [Text(MARGIN, base, label)]
    if record.norm is not None:
        shapes.append(Text(left - 8, base, f"{record.norm:.2e}", anchor="end"))
    words = state_text(record)
    if words:
        return [*shapes, Text(left + 4, base, shorten_end(words, MAX_REASON), COLOURS[record.state])]
    length = max(scale.fraction(record.norm or 0.0) * BARS, 1)
    uses = f", {len(record.uses)} uses" if len(record.uses) > 1 else ""
    title = f"{record.name}: norm {record.norm:.4g}, max |g| {record.max_abs:.4g}{uses}"
    shapes.append(Rect(left, top + (ROW - BAR) / 2, length, BAR, COLOURS["ok"], title))
    return [*shapes, Text(left + length + 6, base, uses.lstrip(", "), SOFT)] if uses else shapes


def _axis(scale: LogScale, left: float, top: float, bottom: float) -> list[Shape]:
    shapes: list[Shape] = [Text(left - 36, top - 6, "norm", SOFT, "end")]
    for exponent in scale.ticks(9):
        x = left + scale.place(exponent) * BARS
        shapes += [Line(x, top, x, bottom, GRID), Text(x, top - 6, f"1e{exponent:+03d}", SOFT, "middle")]
    return shapes
