"""Calls that are safe, but not with any arguments."""

from __future__ import annotations

import pytest

from paraminspect.formats.pickles.doubts import doubt_call
from paraminspect.formats.pickles.inert import Opaque
from paraminspect.formats.pickles.safe import ALLOCATORS, MANY_BYTES

FIRST, *_ = sorted(ALLOCATORS)


@pytest.mark.parametrize(
    ("identity", "args", "reason"),
    [
        (FIRST, (MANY_BYTES,), ""),
        (FIRST, (MANY_BYTES + 1,), "allocates as much memory as it says"),
        (FIRST, (True,), ""),
        (FIRST, (), ""),
        (FIRST, Opaque(None, ()), ""),
        ("builtins.type", ("x",), ""),
        ("builtins.type", ("x", (), {}), "makes a class of its own, whose methods may be anything"),
        ("builtins.type", Opaque(None, ()), "makes a class of its own, whose methods may be anything"),
        ("builtins.iter", ([],), ""),
        ("builtins.iter", (len, 1), "calls whatever it is given"),
        ("fractions.Fraction", ("1/3",), ""),
        ("fractions.Fraction", ("1E9",), "allocates as much memory as its exponent says"),
        ("fractions.Fraction", (1, 3), ""),
        ("collections.OrderedDict", (MANY_BYTES + 1, "1e9", 3), ""),
    ],
)
def test_what_is_not_safe_with_these_arguments(identity: str, args: object, reason: str) -> None:
    assert doubt_call(identity, args) == reason
