r"""Small pieces of text: escaped, cut, padded, listed, counted, with units.

Text that others wrote is made safe to print: one line, no escape sequences, nothing invisible. `\t`, `\n`, `\r` and `\\` as in C; any other control, format, bidi or zero-width character, lone surrogate or unassigned
code point as `\x1b`, `\u202e` or `\U000e0001`. The backslash itself is doubled, so the original can be had back.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from paraminspect.errors import ParamInspectError

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Printable by their category, yet drawn as nothing: Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt, less what `str.isprintable` already refuses.
_INVISIBLE = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DECIMAL_UNITS = ("", "K", "M", "B", "T", "Q")
FLOP_UNITS = ("FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs", "EFLOPs")

_MARKS = frozenset({"Mn", "Me"})
"""Categories of characters that are drawn over the one before."""

_SIZE = r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([KMGTP]?)(i?)B?"


def is_plain(text: str) -> bool:
    """Whether every character prints as itself (a backslash does)."""
    return text.isprintable() and (text.isascii() or re.search(_INVISIBLE, text) is None)


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
    import unicodedata  # rich, which knows widths too, is not for a pipe

    width = 0
    for character in text:
        if unicodedata.category(character) not in _MARKS:
            width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def shorten_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut the middle out of `text` so that it fits `width` columns; the end, which tells most, keeps two thirds."""
    if display_width(text) <= width:
        return text
    room = max(width - len(ellipsis), 0)
    tail = _fitting(text[::-1], room - room // 3)[::-1]
    return _fitting(text, room // 3) + ellipsis + tail


def shorten_name(name: str, width: int, ellipsis: str = "…", keep: Container[int] = ()) -> str:
    """Cut parts out of a dotted name so that it fits: `h.10.attn.c_attn.weight` is "…10.…weight" in 11 columns.

    The last part stays, and of the others those in `keep`, numbers, which tell layers apart, and then what stands
    nearest to the end. A last part that is too long by itself loses its middle.

    Args:
        keep: Indices of parts that are kept before others.
    """
    if display_width(name) <= width:
        return name
    parts = name.split(".")
    last = len(parts) - 1
    order = sorted(range(last), key=lambda place: (place not in keep, not parts[place].isdecimal(), -place))
    kept = {last}
    shown = _joined(parts, kept, ellipsis)
    if display_width(shown) > width:
        return shorten_middle(name, width, ellipsis)
    for place in order:
        longer = _joined(parts, kept | {place}, ellipsis)
        if display_width(longer) <= width:
            kept.add(place)
            shown = longer
    return shown


def _joined(parts: Sequence[str], kept: Container[int], ellipsis: str) -> str:
    """Parts with dots between; a run of those that are not kept is one ellipsis, and the dot behind it goes too."""
    pieces: list[str] = []
    for place, part in enumerate(parts):
        if place in kept:
            pieces.append(part if place == len(parts) - 1 else f"{part}.")
        elif not pieces or pieces[-1] != ellipsis:
            pieces.append(ellipsis)
    return "".join(pieces)


def shorten_names(names: Sequence[str], width: int, ellipsis: str = "…") -> list[str]:
    """`shorten_name` of each, and no two that differ become one text: rather they stay whole."""
    cut = [shorten_name(name, width, ellipsis) for name in names]
    for alike in _clashes(names, cut):
        rows = [names[index].split(".") for index in alike]
        differ = {place for place, parts in enumerate(zip(*rows, strict=False)) if len(set(parts)) > 1}
        for index in alike:
            cut[index] = shorten_name(names[index], width, ellipsis, differ)
    for alike in _clashes(names, cut):
        for index in alike:
            cut[index] = names[index]
    return cut


def _clashes(names: Sequence[str], cut: Sequence[str]) -> Iterator[list[int]]:
    """Indices of different names that look alike."""
    places: dict[str, list[int]] = {}
    for index, shown in enumerate(cut):
        places.setdefault(shown, []).append(index)
    for alike in places.values():
        if len(alike) > 1 and len({names[index] for index in alike}) > 1:
            yield alike


def shorten_end(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut the end of `text` off so that it fits `width` columns: of a sentence."""
    if display_width(text) <= width:
        return text
    return _fitting(text, max(width - len(ellipsis), 0)) + ellipsis


def shorten(text: str, length: int = 60) -> str:
    """The text itself, or its beginning and "…" where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quote(name: str, length: int = 80) -> str:
    """A name that others chose, for one line of a message: in quotes, escaped and cut."""
    return repr(shorten(name, length))


def list_some(texts: Sequence[str], most: int, total: int | None = None) -> str:
    """The first few and how many more there are: `list_some("abcde", 2)` is "a, b and 3 more".

    Args:
        texts: All of them, or the first.
        most: So many are told.
        total: How many there are; None where `texts` has them all.
    """
    more = (len(texts) if total is None else total) - most
    return ", ".join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def join_words(words: Sequence[str], last: str = "and") -> str:
    """All of them: `join_words("abc")` is "a, b and c"."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shape_text(shape: Iterable[int]) -> str:
    """A shape as torch and JSON write it, without spaces: "[3,4]", "[]" for a scalar."""
    return f"[{','.join(map(str, shape))}]"


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


def format_bytes(nbytes: int) -> str:
    """Size with three significant digits and a binary unit: `format_bytes(497_759_232)` is "475 MiB"."""
    return _scaled(nbytes, 1024, BINARY_UNITS)


def format_count(count: int) -> str:
    """Count with three significant digits and a decimal unit: `format_count(124_439_808)` is "124 M"."""
    return _scaled(count, 1000, DECIMAL_UNITS)


def format_flops(flops: int) -> str:
    """Floating-point operations with three significant digits: `format_flops(7_256_293_376)` is "7.26 GFLOPs"."""
    return _scaled(flops, 1000, FLOP_UNITS)


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: `parse_size("5GB")` is 5,000,000,000, `parse_size("1GiB")` 1,073,741,824.

    Args:
        text: A number, with a fraction if need be, and a unit: B, KB, MB, GB, TB, PB in thousands, KiB, MiB, GiB, TiB,
            PiB in steps of 1024, in any case. Without a unit it is bytes.

    Raises:
        ParamInspectError: No such text, or less than one byte.
    """
    match = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    prefix = match[2].upper() if match else ""
    if match is None or (match[3] and not prefix):
        raise ParamInspectError(f"{quote(text, 40)} is no size", hint="write it as 5GB, 500MB or 2GiB")
    base = 1024 if match[3] else 1000
    whole, _, fraction = match[1].partition(".")
    nbytes: int = int(whole + fraction) * base ** " KMGTP".index(prefix or " ") // 10 ** len(fraction)
    if nbytes < 1:
        raise ParamInspectError(f"{quote(text, 40)} is less than one byte", hint="write it as 5GB, 500MB or 2GiB")
    return nbytes


def counted(number: int, noun: str) -> str:
    """A number and what it is of: `counted(1, "tensor")` is "1 tensor", `counted(2000, "file")` "2,000 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
    if character in _SHORT:
        return _SHORT[character]
    return escape_code(character)


def escape_code(character: str) -> str:
    r"""A character by its number, whatever it is: `\u4e2d`."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _scaled(number: int, base: int, names: tuple[str, ...]) -> str:
    if number < base:
        return f"{number} {names[0]}".rstrip()
    value = float(number)
    for name in names[1:]:
        value /= base
        digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
        if round(value, digits) < base or name == names[-1]:
            return f"{value:.{digits}f} {name}"
    raise AssertionError("names is never empty")
