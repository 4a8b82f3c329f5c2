"""Escaping, widths, shortening."""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError
from paraminspect.text import (
    BINARY_UNITS,
    DECIMAL_UNITS,
    display_width,
    escape_all,
    escape_message,
    escape_text,
    format_bytes,
    format_count,
    join_words,
    list_some,
    pad,
    parse_size,
    quote,
    shape_text,
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


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1000 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10_234, "9.99 KiB"),
        (10_235, "10.0 KiB"),
        (102_348, "99.9 KiB"),
        (102_349, "100 KiB"),
        (1_023_999, "1000 KiB"),
        (1_048_063, "1023 KiB"),
        (1_048_064, "1.00 MiB"),  # 1023.5 KiB
        (1_048_575, "1.00 MiB"),
        (1_048_576, "1.00 MiB"),
        (497_759_232, "475 MiB"),
        (2**30 - 1, "1.00 GiB"),
        (2**40, "1.00 TiB"),
        (2**50, "1.00 PiB"),
        (2**60, "1.00 EiB"),
        (2**63 - 1, "8.00 EiB"),
        (2**70, "1024 EiB"),
    ],
)
def test_bytes(nbytes: int, text: str) -> None:
    assert format_bytes(nbytes) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1"),
        (999, "999"),
        (1000, "1.00 K"),
        (1023, "1.02 K"),
        (9_994, "9.99 K"),
        (9_995, "10.0 K"),
        (99_949, "99.9 K"),
        (99_950, "100 K"),
        (999_499, "999 K"),
        (999_500, "1.00 M"),
        (999_999, "1.00 M"),
        (1_000_000, "1.00 M"),
        (124_439_808, "124 M"),
        (999_999_999, "1.00 B"),
        (6_738_415_616, "6.74 B"),
        (10**12, "1.00 T"),
        (10**15, "1.00 Q"),
        (10**18, "1000 Q"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert format_count(count) == text


def split(text: str) -> tuple[str, str]:
    number, _, unit = text.partition(" ")
    return number, unit


@given(st.integers(0, 2**70 - 2**60))
def test_bytes_fill_no_unit_they_could_leave(nbytes: int) -> None:
    number, unit = split(format_bytes(nbytes))
    assert float(number) < 1024
    place = BINARY_UNITS.index(unit)
    assert float(number) * 1024**place == pytest.approx(nbytes, rel=0.0051)


@given(st.integers(0, 10**18 - 10**15))
def test_counts_fill_no_unit_they_could_leave(count: int) -> None:
    number, unit = split(format_count(count))
    assert float(number) < 1000
    place = DECIMAL_UNITS.index(unit)
    assert float(number) * 1000**place == pytest.approx(count, rel=0.0051)


@given(st.sampled_from([1000, 1024]), st.integers(1, 5), st.integers(-600_000, 600_000))
def test_no_thousand_of_a_unit_near_its_end(base: int, power: int, distance: int) -> None:
    number = max(base**power + distance, 0)
    assert split(format_count(number))[0] not in {"1000", "1024"}
    assert split(format_bytes(number))[0] != "1024"


@given(st.integers(1000, 2**62))
def test_three_significant_digits(number: int) -> None:
    assert re.fullmatch(r"\d\.\d\d|\d\d\.\d|\d{3}", split(format_count(number))[0]) or number >= 10**18 - 10**15
    assert re.fullmatch(r"\d\.\d\d|\d\d\.\d|\d{3}|10[012]\d", split(format_bytes(number))[0])


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_order_is_kept_within_a_unit(a: int, b: int) -> None:
    (low, low_unit), (high, high_unit) = split(format_bytes(min(a, b))), split(format_bytes(max(a, b)))
    assert BINARY_UNITS.index(low_unit) <= BINARY_UNITS.index(high_unit)
    assert low_unit != high_unit or float(low) <= float(high)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("1", 1), ("512", 512), ("7B", 7), ("3 KB", 3000), ("5GB", 5_000_000_000), ("5gb", 5_000_000_000), ("5G", 5 * 10**9),
        ("1.5MB", 1_500_000), ("2KiB", 2048), ("1GiB", 1 << 30), ("0.5 GiB", 1 << 29), ("1TiB", 1 << 40), ("1PB", 10**15),
        (" 10MB ", 10_000_000), ("1.9B", 1), ("0.000000001GB", 1),
    ],
)  # fmt: skip
def test_sizes_as_people_write_them(text: str, nbytes: int) -> None:
    assert parse_size(text) == nbytes


@pytest.mark.parametrize(
    "text", ["", "GB", "5XB", "-1GB", "0", "0.4B", "1e9", "5 i B", "5iB", "1,000", "1.GB", "9" * 19, "５GB"]
)
def test_texts_that_are_no_size(text: str) -> None:
    with pytest.raises(ParamInspectError, match=r"is no size|less than one byte") as caught:
        parse_size(text)
    assert caught.value.hint == "write it as 5GB, 500MB or 2GiB"


@given(st.integers(1, 10**18 - 1))
def test_a_size_in_bytes_is_itself(nbytes: int) -> None:
    assert parse_size(str(nbytes)) == parse_size(f"{nbytes}B") == nbytes


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_an_error(text: str) -> None:
    with suppress(ParamInspectError):
        assert parse_size(text) >= 1


@pytest.mark.parametrize(
    ("texts", "most", "total", "told"),
    [([], 3, None, ""), (["a"], 3, None, "a"), (["a", "b", "c"], 3, None, "a, b, c"), (["a", "b", "c"], 1, None, "a and 2 more"),
     (["a", "b"], 2, 5002, "a, b and 5,000 more")],
)  # fmt: skip
def test_a_list_says_how_many_more_there_are(texts: list[str], most: int, total: int | None, told: str) -> None:
    assert list_some(texts, most, total) == told


def test_words_are_joined_as_a_sentence_has_them() -> None:
    assert [join_words("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert join_words(["x", "y", "z"], "or") == "x, y or z"


def test_a_name_is_quoted_on_one_line_and_cut() -> None:
    assert quote("a\nb") == r"'a\nb'"
    assert quote("x" * 81) == f"'{'x' * 79}…'"
    assert quote("x" * 80) == f"'{'x' * 80}'"


def test_shapes() -> None:
    assert [shape_text(each) for each in ((), (3,), (3, 4))] == ["[]", "[3]", "[3,4]"]
