"""Inert values as short text."""

from __future__ import annotations

from typing import Any

from paraminspect.formats.pickles.preview import SHOWN_TEXT, preview, printable


def test_previews_are_bounded_and_on_one_line() -> None:
    deep: Any = ["x" * 1000, b"y" * 1000, 1 << 5000, {"k": [1] * 100}, (1.5, None, True)]
    for _ in range(10):
        deep = [deep]
    for value in (deep, *deep[0]):
        assert len(preview(value)) < 1000
        assert "\n" not in preview("a\nb")


def test_names_are_bounded_and_on_one_line() -> None:
    assert printable("a\nb\x1b") == "a\\nb\\x1b"
    assert len(printable("x" * 1000)) == SHOWN_TEXT + 1
