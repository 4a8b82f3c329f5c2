"""What an unquoted scalar stands for, after the core schema of YAML 1.2.

PyYAML follows 1.1: it reads `1e-3` as text, `017` as 15, `12:30` as 750 and `no` as false. Bare `yes`, `no`, `on` and `off`
are errors here, for the two differ on them.
"""

from __future__ import annotations

from typing import Final

from paraminspect.architecture.nodes import Mark, Scalar

MAX_NUMBER_LENGTH: Final = 64
"""Characters of one number."""

CONSTANTS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
"""Plain scalars of the core schema that are neither text nor numbers in digits."""

AMBIGUOUS = frozenset(form for word in ("yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper()))
"""Text in YAML 1.2, booleans in YAML 1.1."""

_NUMERIC: Final = frozenset(".0123456789")
"""How all numbers begin, behind their sign."""

_PREFIXED: Final[dict[str, tuple[int, frozenset[str]]]] = {
    "0o": (8, frozenset("01234567")),
    "0x": (16, frozenset("0123456789abcdefABCDEF")),
}
"""How numbers of another base begin -> that base, and its digits."""


def parse_scalar(text: str, mark: Mark) -> Scalar:
    """The scalar that stands, unquoted, for `text`.

    Raises:
        SpecError: A bare yes/no/on/off, or a number of too many digits.
    """
    if text in CONSTANTS:
        return Scalar(CONSTANTS[text], text, mark)
    if text in AMBIGUOUS:
        raise mark.error(
            f"bare {text} is text in YAML 1.2 and a boolean in YAML 1.1",
            hint=f"write true or false, or quote it: '{text}'",
        )
    value: str | int | float = text
    digits = text[1:] if text[0] in "+-" else text
    if digits.isascii() and digits.isdigit():
        value = int(_bounded(text, mark))
    elif digits[:1] in _NUMERIC:
        base, known = _PREFIXED.get(text[:2], (10, frozenset()))
        if known and text[2:] and known.issuperset(text[2:]):
            value = int(_bounded(text, mark)[2:], base)
        elif _is_decimal(digits):
            value = float(_bounded(text, mark))
    return Scalar(value, text, mark)


def _is_decimal(digits: str) -> bool:
    """Whether a text without its sign is a number with a point, an exponent, or both."""
    mantissa, e, exponent = digits.replace("E", "e").partition("e")
    if e and exponent[:1] in ("+", "-"):
        exponent = exponent[1:]
    whole = mantissa.replace(".", "", 1)
    return digits.isascii() and whole.isdigit() and (not e or exponent.isdigit())


def _bounded(text: str, mark: Mark) -> str:
    if len(text) > MAX_NUMBER_LENGTH:
        raise mark.error(f"a number of {len(text):,} characters; the limit is {MAX_NUMBER_LENGTH:,}")
    return text
