r"""Text that others wrote, made safe to print: one line, no escape sequences, nothing invisible.

`\t`, `\n`, `\r` and `\\` as in C; any other control, format, bidi or zero-width character, lone surrogate or unassigned
code point as `\x1b`, `\u202e` or `\U000e0001`. The backslash itself is doubled, so the original can be had back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Printable by their category, yet drawn as nothing: Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt, less what `str.isprintable` already refuses.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def is_plain(text: str) -> bool:
    """Whether every character prints as itself (a backslash does)."""
    return text.isprintable() and (text.isascii() or _INVISIBLE.search(text) is None)


def escape_text(text: str) -> str:
    r"""Escape a value so that it stays on one line, shows whatever it holds and can be read back: ESC as `\x1b`."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text if is_plain(text) else "".join(map(_escape_character, text))


def escape_message(text: str) -> str:
    """Escape what must not reach a terminal, but leave backslashes: for messages, which may quote with `repr`."""
    return text if is_plain(text) else "".join(map(_escape_character, text))


def escape_all(texts: Sequence[str]) -> Sequence[str]:
    """`escape_text` of each; `texts` itself where nothing needs it, which is decided over all of them at once."""
    joined = "".join(texts)
    if "\\" not in joined and is_plain(joined):
        return texts
    return [escape_text(text) for text in texts]


def display_width(text: str) -> int:
    """Columns that escaped text takes on a terminal: 2 for a wide character, 0 for a combining one."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def shorten_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut the middle out of `text` so that it fits `width` columns; the end, which tells most, keeps two thirds."""
    if display_width(text) <= width:
        return text
    room = max(width - len(ellipsis), 0)
    tail = _fitting(text[::-1], room - room // 3)[::-1]
    return _fitting(text, room // 3) + ellipsis + tail


def shorten_end(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut the end of `text` off so that it fits `width` columns: of a sentence."""
    if display_width(text) <= width:
        return text
    return _fitting(text, max(width - len(ellipsis), 0)) + ellipsis


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill up with spaces to `width` columns; on the left if the text stands `right`."""
    fill = " " * (width - display_width(text))
    return fill + text if right else text + fill


def wrap(text: str, width: int | None) -> str:
    """Break a sentence at its spaces into lines of `width` columns; None leaves it whole."""
    if width is None or len(text) <= width:
        return text
    import textwrap

    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def _fitting(text: str, width: int) -> str:
    """As much of the beginning as fits."""
    if text.isascii():
        return text[:width]
    end = used = 0
    for character in text:
        used += display_width(character)
        if used > width:
            break
        end += 1
    return text[:end]


def _escape_character(character: str) -> str:
    if is_plain(character):
        return character
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
