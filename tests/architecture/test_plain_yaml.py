"""Texts that are read without PyYAML are read as PyYAML has them, and all others are left to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.architecture.nodes import Node
from paraminspect.architecture.plain_yaml import MAX_PLAIN, MAX_PLAIN_DEPTH, MAX_PLAIN_KEY, read_plain
from paraminspect.architecture.yaml_events import read_events

CONFIGS = sorted(Path("configs").glob("*.yaml"))
PLAIN = [
    "a: 1",
    "  a: 1\n  b: 2\n",
    "# first\n\na:   x y  # why\nb:\n  # inside\n  c: d\n\n# last",
    "- a\n- b: 1\n  c: 2\n-   - x\n    - {y, z: 3}\n- [1, 2,\n# between\n  3 ,]\n",
    "model:\n  - {Linear: [$(4*i), 3], name: fc}\n  - ReLU\ninit: ['*.weight=normal(0, 0.02)', \"a#b: c\"]",
    "a:\n  b:\n    c: [d]\n  e: f\ng: h",
    "a:\n  text on its own line\nb: -3\nc: x:y\nd: a, b\ne: ~",
    "{a, b,\n c: {}, d: []}",
    '{"model": [{"Linear": [4, 3]}, "ReLU"], "vars": {"x": -1.5e-3, "y": null, "z": true}}',
    "a : 1\n'b': 2",
    "just text",
    "{a:1}",
    "- -1\n- --\n- -a",
]
ODD = [
    "", "# nothing", "a: &x 1", "a: *x", "- *.weight=zeros", "a: !!str 1", "a: |\n  b", "a: >\n  b", "? a\n: b", "%YAML 1.2\n---\na: 1",
    "a: 1\n---\nb: 1", "a: 1\n...", "a:\n- b", "a:\nb: 1", "a:", "-\n  a: 1", "a: b\n  c", "a: 'b\n  c'", "a: 'it''s'", 'a: "\\n"', "a:\tb",
    "a: 1\r\nb: 2", "é: 1", "a: 1\na: 2", "<<: {a: 1}", "{a: 1, 'a': 2}", "a: yes", "[a: 1]", "{[a]: 1}", "{a: , b}", "[a, , b]", "[a",
    "a: b: c", "a: - b", "a: [1]]", "[f(1, 2)]", ",a", ":a", "a: %x", "a: @x", "[a]#b", "a: 1\n b: 2", "  a: 1\n b: 2", "a: x\n\n  y", "{a\n: 1}",
    "- a\nb: 1", "a: 'b' c", "a: " + "9" * 65, "a" * (MAX_PLAIN_KEY + 1) + ": 1", "[" * (MAX_PLAIN_DEPTH + 1) + "]" * (MAX_PLAIN_DEPTH + 1),
    "# " + "x" * MAX_PLAIN + "\na: 1",
]  # fmt: skip
PIECES = [
    *" \n:-,[]{}#'\"ab1.&*!|>%@`?=<$()\\_~;/", "  ", "- ", ": ", "\n  ", "\n- ", "# x\n", ", ", "key: ", "''", "yes", "...\n", "---\n", "\n    ",
    "<<: ", "- - ", "{a, b: c}", "[x, ]", "'a b'", "x:y", "a #b", "1e5", "0x1",
]  # fmt: skip


def held(text: str) -> Node | None:
    """What is read, after it was held against both parsers of PyYAML."""
    root = read_plain(text)
    if root is not None:
        for pure in (False, True):
            document = read_events(text, pure=pure)
            assert repr(document.root) == repr(root)
            assert document.aliases == ()
    return root


@pytest.mark.parametrize("text", PLAIN)
def test_usual_texts_are_read(text: str) -> None:
    assert held(text) is not None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_are_read(path: Path) -> None:
    assert held(path.read_text()) is not None


@pytest.mark.parametrize("text", ODD)
def test_the_rest_is_left_to_pyyaml(text: str) -> None:
    assert read_plain(text) is None


SEEDS = [
    *PLAIN,
    *ODD[:-3],
    *("\n".join(path.read_text().splitlines()[begin : begin + 9]) for path in CONFIGS for begin in (0, 9, 18)),
]


@settings(max_examples=1000)
@given(st.data())
def test_whatever_is_changed_is_read_alike_or_left(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[at + gone :]
    held(text)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_so_is_what_is_put_together(text: str) -> None:
    held(text)
