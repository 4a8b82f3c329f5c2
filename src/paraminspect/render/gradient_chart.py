"""Gradient norms as bars on a logarithmic scale, the tree of modules at their left, for a terminal.

                    norm   10^-3     10^-1     10^1
0.weight        1.32e+00  ██████████████████
fc
├─ up.weight    2.10e-02  ██████████
└─ down.weight            none: fc.down is never called
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paraminspect.outcomes import GradRecord
from paraminspect.render.name_tree import name_lines
from paraminspect.render.rows import EMPTY_NAME
from paraminspect.render.scales import LogScale, log_scale
from paraminspect.render.style import Style
from paraminspect.render.theme import OF_WORDS
from paraminspect.text import display_width, escape_text, pad, shorten_end, shorten_middle, wrap

MIN_BAR = 8
"""Columns that bars keep on a narrow terminal."""

MAX_BAR = 60
MAX_LABEL_SHARE = 0.5
"""Of the width, for names; longer ones lose their middle."""

TICK = 10
"""Columns between ticks, at least."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NORM_WIDTH = 8


def render_chart(records: Sequence[GradRecord], style: Style, *, closing: str = "") -> Iterator[str]:
    """One line a parameter, with its norm as a bar, or its state where it has none.

    Args:
        records: In the order of the model.
        closing: Last line, after an empty one.
    """
    if records:
        yield from _chart(records, style)
    if closing:
        yield ("\n" if records else "") + wrap(closing, style.width) + "\n"


def state_text(record: GradRecord) -> str:
    """What stands in the place of a bar: "none: fc is never called"; "" for a gradient that is plain."""
    if record.state == "ok":
        return ""
    return f"{record.state}: {record.reason}" if record.reason else record.state


def _chart(records: Sequence[GradRecord], style: Style) -> Iterator[str]:
    lines = name_lines(
        [escape_text(record.name) or EMPTY_NAME for record in records], guides="lines" if style.unicode else "ascii"
    )
    labels = [line.label for line in lines]
    uses = ["" if len(record.uses) < 2 else f"{len(record.uses)} uses" for record in records]
    use_width = max(map(len, uses), default=0)
    norms = ["" if record.norm is None else f"{record.norm:.2e}" for record in records]
    norm_width = max(_NORM_WIDTH, *map(len, norms))
    width = style.width or 100
    beside = 2 + norm_width + 2 + (use_width + 2 if use_width else 0)
    most = min(int(width * MAX_LABEL_SHARE), width - beside - MIN_BAR)
    label_width = max(min(max(map(display_width, labels)), most), len("parameter"))
    room = max(min(width - label_width - beside, MAX_BAR), MIN_BAR)
    scale = log_scale([record.norm for record in records if record.norm is not None])
    head = (
        "parameter".ljust(label_width)
        + "  "
        + "norm".rjust(norm_width)
        + "  "
        + (" " * (use_width + 2) if use_width else "")
    )
    yield style.ink("heading", head + _axis(scale, room)) + "\n"
    for label, which in lines:
        name = pad(shorten_middle(label, label_width, style.ellipsis), label_width)
        if not which:
            yield name.rstrip() + "\n"
            continue
        index = which[0]
        record = records[index]
        cells = [name, norms[index].rjust(norm_width), *([uses[index].ljust(use_width)] if use_width else [])]
        yield ("  ".join([*cells, _bar(record, scale, room, style)])).rstrip() + "\n"


def _bar(record: GradRecord, scale: LogScale, room: int, style: Style) -> str:
    words = escape_text(state_text(record))
    if words:
        short = shorten_end(words, room, style.ellipsis)
        state, colon, rest = short.partition(":")
        return style.ink(OF_WORDS[record.state], state) + colon + rest
    length = scale.fraction(record.norm or 0.0) * room
    if not style.unicode:
        return style.ink("bar", "#" * max(round(length), 1))
    whole, part = divmod(round(length * 8), 8)
    return style.ink("bar", "█" * whole + _EIGHTHS[part].strip() or _EIGHTHS[1])


def _axis(scale: LogScale, room: int) -> str:
    """Powers of ten where they stand on the scale, each beginning at its place."""
    text = ""
    for fraction, label in scale.ticks(max(2, room // TICK + 1)):
        place = min(round(fraction * room), max(room - len(label), 0))
        if text and place < len(text) + 1:
            continue
        text = text.ljust(place) + label
    return text
