"""Names and sources are told as the patterns tell them of which the JSON Schema is made."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paraminspect.architecture.fields import (
    IDENTIFIER,
    MAX_TAKE,
    MODULE_NAME,
    SOURCE,
    is_identifier,
    is_module_name,
    parse_source,
)
from paraminspect.architecture.nodes import Mark, Scalar
from paraminspect.errors import SpecError

WORDS = st.text("ab_Z019-. é²\n", max_size=6) | st.from_regex(SOURCE, fullmatch=True) | st.text(max_size=4)


@given(WORDS)
@example("")
@example("-")
@example("a\n")
@example("\u00aa")
def test_names(text: str) -> None:
    assert is_identifier(text) == (re.fullmatch(IDENTIFIER, text) is not None)
    assert is_module_name(text) == (re.fullmatch(MODULE_NAME, text) is not None)


@given(WORDS)
@example("-1")
@example("-1.0.mu")
@example("a.")
@example("--1")
@example("-²")
@example("a" + ".0" * MAX_TAKE)
@example("a" + ".0" * (MAX_TAKE + 1))
def test_sources(text: str) -> None:
    node = Scalar(text, text, Mark(1, 1))
    found = re.fullmatch(SOURCE, text)
    if found is None:
        with pytest.raises(SpecError, match="expected a name"):
            parse_source(node, "from")
        return
    source = parse_source(node, "from")
    assert (source.name.text, [str(step) for step in source.pick]) == (
        found[1],
        [str(int(step)) if step.isdecimal() else step for step in found[2].split(".")[1:]],
    )
