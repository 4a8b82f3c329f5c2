"""Numbers as people read and write them."""

from __future__ import annotations

import re

from paraminspect.errors import ParamInspectError

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DECIMAL_UNITS = ("", "K", "M", "B", "T", "Q")

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([KMGTP]?)(i?)B?", re.IGNORECASE)


def format_bytes(nbytes: int) -> str:
    """Size with three significant digits and a binary unit: `format_bytes(497_759_232)` is "475 MiB"."""
    return _scaled(nbytes, 1024, BINARY_UNITS)


def format_count(count: int) -> str:
    """Count with three significant digits and a decimal unit: `format_count(124_439_808)` is "124 M"."""
    return _scaled(count, 1000, DECIMAL_UNITS)


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: `parse_size("5GB")` is 5,000,000,000, `parse_size("1GiB")` 1,073,741,824.

    Args:
        text: A number, with a fraction if need be, and a unit: B, KB, MB, GB, TB, PB in thousands, KiB, MiB, GiB, TiB,
            PiB in steps of 1024, in any case. Without a unit it is bytes.

    Raises:
        ParamInspectError: No such text, or less than one byte.
    """
    match = _SIZE.fullmatch(text.strip())
    prefix = match[2].upper() if match else ""
    if match is None or (match[3] and not prefix):
        raise ParamInspectError(f"{text[:40]!r} is no size", hint="write it as 5GB, 500MB or 2GiB")
    base = 1024 if match[3] else 1000
    whole, _, fraction = match[1].partition(".")
    nbytes: int = int(whole + fraction) * base ** " KMGTP".index(prefix or " ") // 10 ** len(fraction)
    if nbytes < 1:
        raise ParamInspectError(f"{text[:40]!r} is less than one byte", hint="write it as 5GB, 500MB or 2GiB")
    return nbytes


def counted(number: int, noun: str) -> str:
    """A number and what it is of: `counted(1, "tensor")` is "1 tensor", `counted(2000, "file")` "2,000 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
