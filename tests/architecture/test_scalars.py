"""Unquoted scalars after the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.scalars import AMBIGUOUS, MAX_NUMBER_LENGTH, parse_scalar

NUMBER = r"(?P<based>0o[0-7]+|0x[0-9a-fA-F]+)|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
"""Of the core schema of YAML 1.2; an integer may have a sign too."""


@given(st.text("0123456789.eE+-xoaf²", max_size=8) | st.from_regex(NUMBER, fullmatch=True))
@example("0x")
@example("10000000000000001")
@example("+-5")
@example("5.e+")
@example("1e5e5")
@example("1²")
def test_numbers_are_those_of_the_core_schema(text: str) -> None:
    found = re.fullmatch(NUMBER, text)
    assume(len(text) <= MAX_NUMBER_LENGTH and text not in AMBIGUOUS)
    value = parse_scalar(text, Mark(1, 1)).value
    expected: object = text or None
    if found is not None and found["based"]:
        expected = int(text[2:], 8 if text[1] == "o" else 16)
    elif found is not None:
        expected = int(text) if text.lstrip("+-").isdigit() else float(text)
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("+3", 3),
        (".5", 0.5),
        ("5.", 5.0),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2001-01-01", "2001-01-01"),
        ("~", None),
        ("", None),
        ("null", None),
        ("nULL", "nULL"),
        ("True", True),
        ("false", False),
        ("y", "y"),
        ("n", "n"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("e5", "e5"),
        (".", "."),
        ("=", "="),
    ],
)
def test_core_schema_of_a_plain_scalar(text: str, value: object) -> None:
    found = parse_scalar(text, Mark(1, 1)).value
    assert (type(found), found) == (type(value), value)
