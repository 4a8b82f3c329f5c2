from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.cli.completion.words import Word, quote, split_words

BREAKS = " \t\n\"'><=;|&(:"


def texts(line: str) -> list[str]:
    return [word.text for word in split_words(line)]


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("", [""]),
        ("a b", ["a", "b"]),
        ("a b ", ["a", "b", ""]),
        ('a  \'b c\'\\ d "e\\"\\f" ', ["a", "b c d", 'e"\\f', ""]),
        ("a 'b", ["a", "b"]),
        ("x | a b", ["a", "b"]),
        ("x && a; b c", ["b", "c"]),
        ("a 'x | y' z", ["a", "x | y", "z"]),
        ("a <in >out 2>err b", ["a", "b"]),
        ("a 2>&1 b", ["a", "b"]),
        ("a b\\", ["a", "b"]),
        ("a b\\\nc", ["a", "bc"]),
        ("a ''", ["a", ""]),
    ],
)
def test_splits_as_a_shell_does(line: str, due: list[str]) -> None:
    assert texts(line) == due


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("a --select=h.", Word("--select=h.", "--select=h.", "", 9)),
        ("a Linear:h.0", Word("Linear:h.0", "Linear:h.0", "", 7)),
        ("a Linear\\:h.0", Word("Linear:h.0", "Linear\\:h.0", "", 0)),
        ("a 'b:c=d", Word("b:c=d", "'b:c=d", "'", 0)),
        ('a x"b:c', Word("xb:c", 'x"b:c', '"', 1)),
        ("a 'b c'd", Word("b cd", "'b c'd", "", 3)),
    ],
)
def test_knows_what_the_shell_does_not_replace(line: str, due: Word) -> None:
    assert split_words(line, BREAKS)[-1] == due


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)


@given(st.lists(WORDS, min_size=1))
def test_splits_what_shlex_joins(words: list[str]) -> None:
    assert texts(shlex.join(words)) == words


@given(WORDS)
def test_what_is_quoted_is_one_word_again(text: str) -> None:
    quoted = quote(text)
    assert quoted is not None
    assert shlex.split(quoted, comments=True) == [text]
    assert texts(f"a {quoted}") == ["a", text]


@given(WORDS, st.sampled_from("'\""))
def test_what_is_quoted_inside_a_quote_is_one_word_again(text: str, opened: str) -> None:
    quoted = quote(text, opened)
    if quoted is None:
        assert set(text) & {"'", "!"}
    else:
        assert texts(f"a {opened}{quoted}{opened}") == ["a", text]
        if not set(text) & {"$", "`"}:  # shlex does not expand them
            assert shlex.split(f"{opened}{quoted}{opened}") == [text]


@given(st.text(), st.text())
def test_any_line_has_words(line: str, breaks: str) -> None:
    words = split_words(line, breaks)
    assert words
    assert all(0 <= word.fixed <= len(word.text) for word in words)
