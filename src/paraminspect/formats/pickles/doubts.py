"""Calls that are safe, but not with any arguments."""

from __future__ import annotations

from typing import Final

from paraminspect.formats.pickles.safe import ALLOCATORS, MANY_BYTES

DOUBTED: Final = ALLOCATORS | {"builtins.type", "builtins.iter", "fractions.Fraction"}
"""Of the safe names, those whose calls may not be."""


def doubt_call(identity: str, args: object) -> str:
    """Why a call of something safe is not; "" if it is.

    Args:
        identity: Dotted name of what is called.
        args: Inert.
    """
    if identity not in DOUBTED:
        return ""
    if identity in ALLOCATORS and _asked(args) > MANY_BYTES:
        return "allocates as much memory as it says"
    if identity == "builtins.type" and _count(args) != 1:
        return "makes a class of its own, whose methods may be anything"
    if identity == "builtins.iter" and _count(args) != 1:
        return "calls whatever it is given"
    if identity == "fractions.Fraction" and _has_exponent(args):
        return "allocates as much memory as its exponent says"
    return ""


def _count(args: object) -> int:
    return len(args) if isinstance(args, tuple) else -1


def _asked(args: object) -> int:
    first = args[0] if isinstance(args, tuple) and args else None
    return first if type(first) is int else 0


def _has_exponent(args: object) -> bool:
    return isinstance(args, tuple) and any(isinstance(item, str) and "e" in item.lower() for item in args)
