"""What a source says of itself, as lines of text: aligned `key  value`, then the tree of its modules, two levels deep.

What others wrote is escaped, and on a terminal cut: long values, and lists that take more than a few lines. What was cut
is said, with the format that has it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from paraminspect.formats.table import formats_of_files
from paraminspect.names.listing import Module, name_hidden
from paraminspect.render.checkpoint_tree import render_tree
from paraminspect.render.style import Style
from paraminspect.summaries import Info, Training
from paraminspect.text import counted, display_width, escape_text, format_bytes, list_some, pad, shorten_end

GAP: Final = "  "
MAX_LINES: Final = 4
"""Lines of arguments on a terminal."""

MAX_ENTRIES: Final = 12
"""Entries of metadata on a terminal."""

MAX_MEMBERS: Final = 400
"""Arguments and entries of metadata that are written where no terminal cuts them."""

MAX_VALUE: Final = 1_000
"""Characters of one value there."""

MAX_ROWS: Final = 24
"""Lines of the tree on a terminal."""

LEVELS: Final = 2
"""Of the tree, below modules that hold all there is."""

MAX_OUTER: Final = 16
"""Of these."""

NARROWEST: Final = 24
"""Columns that values take at least, however narrow the terminal."""

_ALL: Final = "-f json shows all"
_ORDER: Final = ("architecture", "model_type")


def render_info(info: Info, tree: Module, label: str, style: Style, target: str = "") -> Iterator[str]:
    """The lines about one source.

    Args:
        tree: Its modules.
        label: What the first line of the tree calls it.
        target: URL that its name is a link to; "" without.
    """
    yield f"{style.link(target, style.ink('heading', escape_text(info.source)))}\n"
    lines = list(_lines(info))
    width = max(display_width(key) for key, _ in lines)
    room = None if style.width is None else max(style.width - width - len(GAP), NARROWEST)
    for key, value in lines:
        values = _fit(value, room, style)
        if key == "safety" and info.severity is not None:
            values = [style.ink(info.severity, each) for each in values]
        yield f"{style.ink('dim', pad(key, width))}{GAP}{values[0]}\n"
        yield from (f"{' ' * width}{GAP}{each}\n" for each in values[1:])
    if tree.children:
        yield "\n"
        most = None if style.width is None else MAX_ROWS
        yield from render_tree(tree, label, style, depth=LEVELS + _count_outer(tree), most=most)


def _count_outer(tree: Module) -> int:
    """Modules that hold nothing but each other, which the tree has in one line."""
    for count in range(MAX_OUTER):
        if len(tree.children) != 1 or not isinstance(tree.children[0], Module):
            return count
        tree = tree.children[0]
    return MAX_OUTER


class _Flow(tuple[str, ...]):
    """Short texts with commas between, over a few lines."""

    __slots__ = ()


class _Entries(tuple[tuple[str, str], ...]):
    """Names and values, a line each."""

    __slots__ = ()


_Value = str | _Flow | _Entries


def _lines(info: Info) -> Iterator[tuple[str, _Value]]:
    yield "format", f"{info.format}, version {escape_text(info.version)}" if info.version else info.format
    if info.nbytes is not None:
        yield "size", f"{format_bytes(info.nbytes)} in {counted(max(len(info.files), 1), 'file')}"
    yield "parameters", _parameters(info)
    if info.dtypes:
        yield "dtypes", _Flow(info.dtypes)
    if any(info.others.values()):
        yield "besides", name_hidden(info.others)
    yield from _model(info.model)
    if info.training is not None:
        yield from _training(info.training)
    inner = {key for row in formats_of_files(info) for key in row.inner}
    metadata = {key: text for key, text in info.metadata.items() if key not in inner or text == "big"}
    if metadata:
        yield "metadata", _Entries((escape_text(key), escape_text(text)) for key, text in metadata.items())
    if info.safety:
        yield "safety", escape_text(info.safety)


def _parameters(info: Info) -> str:
    if not info.tensors:
        return "none"
    text = f"{info.parameters:,} in {counted(info.tensors, 'tensor')}"
    if info.tied:
        text += f" ({info.tied:,} tied)"
    return f"{text}, {counted(info.stored, 'stored element')}, {', '.join(info.encodings)}" if info.encodings else text


def _model(model: Mapping[str, object]) -> Iterator[tuple[str, _Value]]:
    """Facts that are one value in a line together, those that are several in one of their own."""
    short = {key: value for key, value in model.items() if not isinstance(value, Mapping | list)}
    if short:
        yield "model", _Flow(_facts(short))
    for key, value in model.items():
        if isinstance(value, Mapping):
            yield key.replace("_", " "), _Flow(_members(value))
        elif isinstance(value, list):
            yield key.replace("_", " "), _Flow(map(_text, value))


def _facts(model: Mapping[str, object]) -> Iterator[str]:
    for key in _ORDER:
        if key in model:
            yield escape_text(str(model[key]))
    for key, value in model.items():
        if key not in _ORDER:
            yield f"{key.replace('_', ' ')} {_number(value) if type(value) is int else _text(value)}"


def _training(training: Training) -> Iterator[tuple[str, _Value]]:
    stands = [training.framework] if training.framework else []
    stands += [f"epoch {_number(training.epoch)}"] if training.epoch is not None else []
    stands += [f"step {_number(training.step)}"] if training.step is not None else []
    rates = training.learning_rates
    if rates:
        words = list_some([_number(rate) for rate in rates], 4)
        stands.append(f"learning rate{'s' * (len(rates) > 1)} {words}")
    if stands:
        yield "training", _Flow(map(escape_text, stands))
    if training.state:
        yield "state", _Flow(_members(training.state))
    for key, given in training.arguments.items():
        if isinstance(given, Mapping) and given:
            yield escape_text(key), _Flow(_members(given))


def _members(members: Mapping[str, Any]) -> Iterator[str]:
    """`name=value`, of those that have one."""
    return (f"{escape_text(key)}={_text(value)}" for key, value in members.items() if value is not None)


def _text(value: object) -> str:
    """A value as a config would have it, on one line."""
    if isinstance(value, str):
        return escape_text(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{escape_text(str(key))}={_text(each)}" for key, each in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return escape_text(str(value))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _fit(value: _Value, room: int | None, style: Style) -> list[str]:
    """Lines of at most `room` columns; None is no terminal."""
    if isinstance(value, _Flow):
        return _fill(value, room, style)
    if isinstance(value, _Entries):
        return _list(value, room, style)
    return _fill(value.split(" "), room, style, between="") if room is not None else [value]


def _list(entries: _Entries, room: int | None, style: Style) -> list[str]:
    most = MAX_MEMBERS if room is None else MAX_ENTRIES
    shown = entries[:most]
    width = max(display_width(key) for key, _ in shown)
    if room is not None:
        width = min(width, room // 2)
    lines = []
    cut = len(entries) > most
    for key, text in shown:
        name = pad(shorten_end(key, width, style.ellipsis), width)
        left = MAX_VALUE if room is None else room - width - len(GAP)
        value = shorten_end(text, left, style.ellipsis)
        cut = cut or value != text
        lines.append(f"{name}{GAP}{value}".rstrip())
    if cut:
        more = f"{len(entries) - most:,} more; " if len(entries) > most else ""
        lines.append(f"({more}{_ALL})")
    return lines


def _fill(items: Sequence[str], room: int | None, style: Style, between: str = ",") -> list[str]:
    """Put texts side by side, as many as fit in a line, and in a few lines."""
    if room is None:
        shown = [shorten_end(item, MAX_VALUE, style.ellipsis) for item in items[:MAX_MEMBERS]]
        more = len(items) - len(shown)
        return [f"{between} ".join([*shown, f"{style.ellipsis} {more:,} more ({_ALL})"] if more else shown)]
    lines = [""]
    cut = False
    for number, item in enumerate(items):
        last = number + 1 == len(items)
        text = shorten_end(item, room - len(between), style.ellipsis) + ("" if last else between)
        cut = cut or not text.startswith(item)
        joined = f"{lines[-1]} {text}" if lines[-1] else text
        if display_width(joined) <= room:
            lines[-1] = joined
        elif between and len(lines) == MAX_LINES:
            lines.append(f"({len(items) - number:,} more; {_ALL})")
            return lines
        else:
            lines.append(text)
    if cut and between:
        lines.append(f"({_ALL})")
    return lines
