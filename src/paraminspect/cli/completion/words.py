"""A command line as a shell splits it, as far as completion needs it: words, and how the last one is quoted."""

from __future__ import annotations

import re
from typing import Final

from paraminspect.tuples import NamedTuple

_BLANK: Final = " \t\n"
_SEPARATORS: Final = "|;&"
_ESCAPED_IN_DOUBLE: Final = '\\"$`\n'
_PLAIN: Final = re.compile(r"[\w./,:=@%+-]+")
"""What no shell gives a meaning inside a word; letters of any script among it."""

_REDIRECTION: Final = re.compile(r"\d*[<>]")


class Word(NamedTuple):
    """One word.

    Attributes:
        text: Without its quotes: what the program gets.
        raw: As it was typed.
        quote: The quote that is still open at its end; "" if none is.
        fixed: Length of the beginning of `text` that the shell takes for a word of its own and does not replace.
    """

    text: str
    raw: str
    quote: str = ""
    fixed: int = 0


def split_words(line: str, breaks: str = "") -> list[Word]:
    """The words of the last command of a line, the last one empty if the line ends with a blank.

    Args:
        line: Up to the cursor.
        breaks: Characters at which the shell's editor breaks a word in two, as bash does at `:` and `=`.
    """
    words: list[Word] = []
    text, raw, quote, fixed, started = "", "", "", 0, False
    position = 0
    while position < len(line):
        character = line[position]
        position += 1
        if not quote and character in _BLANK:
            if started:
                words.append(Word(text, raw))
            text, raw, fixed, started = "", "", 0, False
            continue
        if not quote and character in _SEPARATORS and not (character == "&" and raw.endswith(">")):
            words.clear()
            text, raw, fixed, started = "", "", 0, False
            continue
        raw += character
        started = True
        if character == "\\" and quote != "'":
            escaped = line[position : position + 1]
            raw += escaped
            position += 1
            if quote and escaped and escaped not in _ESCAPED_IN_DOUBLE:
                text += character
            text += escaped if escaped != "\n" else ""
        elif character == quote:
            quote, fixed = "", len(text)
        elif not quote and character in "'\"":
            quote, fixed = character, len(text)
        else:
            text += character
            if not quote and character in breaks:
                fixed = len(text)
    words.append(Word(text, raw, quote, fixed))
    return [word for word in words[:-1] if not _REDIRECTION.match(word.raw)] + words[-1:]


def quote(text: str, opened: str = "") -> str | None:
    """A text as bash takes it for itself, to be put behind what was typed; None if it cannot be written there.

    Args:
        text: Printable characters.
        opened: The quote inside which it comes to stand.
    """
    if opened == "'":
        return None if "'" in text else text
    if opened:
        # bash expands ! inside double quotes, and no backslash keeps it from staying behind
        return None if "!" in text else re.sub(r'([\\"$`])', r"\\\1", text)
    return "".join(each if _PLAIN.fullmatch(each) else f"\\{each}" for each in text)
