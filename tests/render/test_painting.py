"""Cells in the colours of what they say."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from paraminspect.cli.app import COMMANDS, find_declared
from paraminspect.outcomes import GradState
from paraminspect.render.painting import inks_of, paint
from paraminspect.render.rows import Column
from paraminspect.render.style import Style
from paraminspect.render.theme import OF_WORDS, THEME
from paraminspect.summaries import Severity
from tests.making.inks import INKS


@pytest.mark.parametrize(
    ("column", "values", "inks"),
    [
        (Column("n", "int"), [0, 1, None], ["zero", None, None]),
        (Column("x", "float"), [0.0, -1.5, float("nan"), float("-inf"), None], ["zero", None, "bad", "bad", None]),
        (Column("nan", "int", ink="bad"), [0, 3, None], ["zero", "bad", None]),
        (Column("b", "bytes"), [3, 1 << 20, 1 << 30, 1 << 40, None], ["bytes", "mega", "giga", "tera", None]),
        (Column("shape", "shape"), [(1, 2), None], ["shape", None]),
        (Column("state", ink="word"), ["ok", "nan", "zero", "frozen", None], [None, "bad", "odd", "quiet", None]),
        (Column("tied_to", "name", ink="tie"), ["a", None], ["tie", None]),
        (Column("dtype"), ["float32"], None),
        (Column("name", "name"), ["a"], None),
    ],
)
def test_what_is_told_by_colour(column: Column, values: list[Any], inks: list[str | None] | None) -> None:
    assert inks_of(column, values) == inks


def test_only_text_is_painted_not_what_fills_it_up() -> None:
    style = Style(inks=INKS)
    assert paint(["a   ", "   b", "    ", "c   "], ["bad", "tie", "zero", None], style) == [
        "<bad>a</bad>   ", "   <tie>b</tie>", "    ", "c   ",
    ]  # fmt: skip


def test_every_word_that_has_a_meaning_has_a_colour() -> None:
    words = {*get_args(Severity), *get_args(GradState)} - {"ok"}
    for command in COMMANDS:
        for table in find_declared(command).tables:
            words |= {word for column in table.columns if column.ink == "word" for word in column.words}
    assert words <= set(OF_WORDS)
    assert set(OF_WORDS.values()) <= set(THEME)
