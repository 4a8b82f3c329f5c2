"""Numbers as people read them."""

from __future__ import annotations

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DECIMAL_UNITS = ("", "K", "M", "B", "T", "Q")


def format_bytes(nbytes: int) -> str:
    """Size with three significant digits and a binary unit: `format_bytes(497_759_232)` is "475 MiB"."""
    return _scaled(nbytes, 1024, BINARY_UNITS)


def format_count(count: int) -> str:
    """Count with three significant digits and a decimal unit: `format_count(124_439_808)` is "124 M"."""
    return _scaled(count, 1000, DECIMAL_UNITS)


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
