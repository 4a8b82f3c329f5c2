"""Escaping, widths, shortening."""

from __future__ import annotations

import codecs
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.text import (
    display_width,
    escape_all,
    escape_message,
    escape_text,
    pad,
    shorten_end,
    shorten_middle,
)

ANY_TEXT = st.text(st.characters(), max_size=30) | st.text("\\\t\n\x1b\u202ea層\u0301", max_size=30)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("h.0.attn.weight", "h.0.attn.weight"),
        ("層.é.🙂", "層.é.🙂"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x00\x1b[31m\x7f", "\\x00\\x1b[31m\\x7f"),
        ("\x9b31m\xa0", "\\x9b31m\\xa0"),  # CSI in one byte; a space that looks like one
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u3164\u115f\ufe0f\u034f", "\\u3164\\u115f\\ufe0f\\u034f"),  # printable for Python, drawn as nothing
        ("\udc80", "\\udc80"),
        ("\U000e0041\U000e0100", "\\U000e0041\\U000e0100"),
        ("a\\x1b", "a\\\\x1b"),
    ],
)
def test_escapes(text: str, escaped: str) -> None:
    assert escape_text(text) == escaped


def test_message_keeps_backslashes() -> None:
    assert escape_message("'a\\\\b' \x1b") == "'a\\\\b' \\x1b"


@given(ANY_TEXT)
def test_escaped_text_is_printable_and_can_be_read_back(text: str) -> None:
    escaped = escape_text(text)
    assert escaped.isprintable()
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in escaped)
    back = codecs.decode(escaped.encode("latin-1", "backslashreplace"), "unicode_escape")
    assert back == text
    assert len(escape_message(text).splitlines()) <= 1


@given(st.lists(ANY_TEXT, max_size=5))
def test_many_are_escaped_like_each(texts: list[str]) -> None:
    assert list(escape_all(texts)) == [escape_text(text) for text in texts]


def test_plain_texts_are_not_copied() -> None:
    texts = ["a", "b"]
    assert escape_all(texts) is texts


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("層", 2), ("é", 1), ("e\u0301", 1), ("", 0), ("Ａ", 2)])
def test_width(text: str, width: int) -> None:
    assert display_width(text) == width


@given(st.text("ab.層\u0301", max_size=20), st.integers(1, 25))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    short = shorten_middle(text, width)
    assert display_width(short) <= width
    if display_width(text) <= width:
        assert short == text
    else:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_shortening_favours_the_end() -> None:
    assert shorten_middle("model.layers.0.self_attn.q_proj.weight", 20) == "model.…q_proj.weight"
    assert shorten_middle("abcdefgh", 6, "...") == "a...gh"


@given(st.text("ab.層\u0301", max_size=20), st.integers(1, 25))
def test_a_sentence_that_is_cut_keeps_its_beginning(text: str, width: int) -> None:
    short = shorten_end(text, width)
    assert display_width(short) <= width
    assert short == text or (short[-1] == "…" and text.startswith(short[:-1]))
    assert (short == text) == (display_width(text) <= width)


def test_padding_counts_columns() -> None:
    assert (pad("層", 4), pad("層", 4, right=True), pad("long", 2)) == ("層  ", "  層", "long")
