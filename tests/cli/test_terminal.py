"""What a stream can show, held against what rich says of it."""

from __future__ import annotations

import io
import sys
import unicodedata
from typing import Any

import pytest
from rich.cells import cell_len
from rich.style import Style as RichStyle

from paraminspect.cli.terminal import Colour, open_console, style_of
from paraminspect.render.style import Style
from paraminspect.render.theme import THEME
from paraminspect.text import display_width, escape_text
from tests.making.running import Stream

FULL = {"TERM": "xterm-256color"}


def look(colour: Colour = "auto", *, terminal: bool = True, encoding: str = "utf-8", **environ: str) -> Style:
    return style_of(Stream(terminal, encoding), {**FULL, **environ}, colour)


@pytest.mark.parametrize(
    ("given", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"colour": "never"}, False),
        ({"NO_COLOR": "1", "colour": "always"}, True),
        ({"terminal": False}, False),
        ({"terminal": False, "FORCE_COLOR": "1"}, True),
        ({"terminal": False, "FORCE_COLOR": "0"}, False),
        ({"terminal": False, "FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"terminal": False, "colour": "always", "TERM": "dumb"}, True),
    ],
)
def test_when_there_are_colours(given: dict[str, Any], coloured: bool) -> None:
    style = look(**given)
    assert bool(style.inks) == coloured
    if coloured:
        assert set(style.inks) == set(THEME)
        assert style.ink("error", "x").startswith("\x1b[1;3")
        assert style.ink("error", "") == ""
    assert style.link("file:///m", "m") == (
        "\x1b]8;;file:///m\x1b\\m\x1b]8;;\x1b\\" if coloured and given.get("terminal", True) else "m"
    )


@pytest.mark.parametrize(
    ("environ", "due"),
    [
        ({"TERM": "xterm"}, "1;31"), ({"TERM": "linux"}, "1;31"), ({"TERM": "xterm-256color"}, "1;38;5;161"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "1;38;2;233;19;54"),
    ],
)  # fmt: skip
def test_colours_are_fixed_where_there_are_many_and_the_terminal_s_own_where_there_are_few(
    environ: dict[str, str], due: str
) -> None:
    RichStyle.parse.cache_clear()  # a style keeps the codes that it was first written with
    assert look(**environ).ink("error", "x") == f"\x1b[{due}mx\x1b[0m"


def test_only_a_terminal_has_a_width_and_bars() -> None:
    style = look(COLUMNS="57")
    assert (style.width, style.drawn) == (57, True)
    assert look(terminal=False, COLUMNS="57") == Style()
    wide = style_of(Stream(terminal=True), {**FULL, "COLUMNS": "57"}, wide=True)
    assert (wide.width, wide.drawn) == (None, True)
    assert not look(encoding="latin-1").unicode
    closed = io.StringIO()
    closed.close()
    assert style_of(closed, FULL) == style_of(None, FULL) == Style()


@pytest.mark.parametrize("columns", ["0", "-5", "x", "", "9" * 5000, "²"])
def test_a_width_that_is_none(columns: str) -> None:
    width = look(COLUMNS=columns).width
    assert width is not None
    assert width > 0


def test_a_console_without_codes_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import rich.console

    monkeypatch.setattr(rich.console, "detect_legacy_windows", lambda: True)
    assert not look().inks


def test_text_of_others_is_no_markup() -> None:
    stream = Stream(terminal=True)
    open_console(stream, FULL).print("[red]x[/red] :smile:")
    assert "[red]x[/red] :smile:" in stream.text()


def test_text_is_as_wide_as_rich_says() -> None:
    """Names in a pipe are aligned without rich; both agree but on what terminals themselves disagree about."""
    different = {
        unicodedata.category(character)
        for code in range(0x20, sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000
        and escape_text(character := chr(code)) == character
        and display_width(character) != cell_len(character)
        and not unicodedata.name(character).startswith("HANGUL JUNG")
    }
    spacing_marks, newer_symbols, skin = {"Mc"}, {"So", "No"}, {"Sk"}
    assert different <= spacing_marks | newer_symbols | skin | {"Lo"}
    assert cell_len("e\u0301層") == display_width("e\u0301層") == 3
