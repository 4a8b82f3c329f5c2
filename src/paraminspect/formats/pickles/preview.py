"""Inert values of a pickle as short text, on one line: what a reader needs to see what a call is about."""

from __future__ import annotations

from typing import Final

from paraminspect.formats.pickles.inert import Dtype, Global, LongBytes, OddKey, Opaque, StorageRef, TensorValue

SHOWN_TEXT: Final = 60
"""Characters of one text in a preview."""

SHOWN_PREVIEW: Final = 120
"""Characters of a whole preview."""

SHOWN_ITEMS: Final = 6
"""Items of a container in a preview."""

MAX_DEPTH: Final = 4
"""Levels of a preview."""


def printable(text: str, limit: int = SHOWN_TEXT) -> str:
    """An untrusted name on one line, cut in the middle, where nothing tells."""
    if len(text) > limit:
        text = f"{text[: limit // 3]}…{text[-(limit - limit // 3) :]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def preview_arguments(args: object) -> str:
    """What a call is given, in its brackets."""
    if isinstance(args, tuple):
        return f"({', '.join(preview(item) for item in args[:SHOWN_ITEMS])}{', …' * (len(args) > SHOWN_ITEMS)})"
    return f"(*{preview(args)})"


def preview(value: object, depth: int = 0) -> str:
    """A value as short text.

    Args:
        value: Inert.
    """
    match value:
        case str() | bytes():
            shown = repr(value[:SHOWN_TEXT]) + "…" * (len(value) > SHOWN_TEXT)
        case int() if value.bit_length() > 64:
            shown = f"an integer of {value.bit_length():,} bits"
        case None | bool() | int() | float():
            shown = repr(value)
        case tuple() | list() | dict() if depth < MAX_DEPTH:
            shown = _preview_items(value, depth)
        case Global():
            shown = printable(value.dotted)
        case LongBytes():
            shown = f"<{value.length:,} bytes of {'text' if value.text else 'data'}>"
        case TensorValue() | StorageRef():
            shown = "<tensor>" if isinstance(value, TensorValue) else "<storage>"
        case Dtype() | OddKey():
            shown = f"torch.{value.name}" if isinstance(value, Dtype) else printable(value.text)
        case Opaque() if depth < MAX_DEPTH:
            inside = value.args if isinstance(value.args, tuple) else (value.args,)
            items = ", ".join(preview(item, depth + 1) for item in inside[:SHOWN_ITEMS])
            shown = f"{preview(value.func, depth + 1)}({items})"
        case _:
            shown = "…"
    return shown


def _preview_items(value: tuple[object, ...] | list[object] | dict[object, object], depth: int) -> str:
    more = ", …" if len(value) > SHOWN_ITEMS else ""
    if isinstance(value, dict):
        pairs = list(zip(value, range(SHOWN_ITEMS), strict=False))
        shown = ", ".join(f"{preview(key, depth + 1)}: {preview(value[key], depth + 1)}" for key, _ in pairs)
        return f"{{{shown}{more}}}"
    shown = ", ".join(preview(item, depth + 1) for item in value[:SHOWN_ITEMS])
    if isinstance(value, tuple):
        return f"({shown}{more}{',' * (len(value) == 1)})"
    return f"[{shown}{more}]"
