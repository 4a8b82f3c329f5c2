from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar
from paraminspect.architecture.recognise import MAX_SPEC_BYTES
from paraminspect.architecture.yaml_marks import iter_scalars, parse_yaml
from paraminspect.errors import SpecError

PARSERS: list[bool | None] = [None, False, True]
"""The reader of plain texts before PyYAML, PyYAML's parser in C where there is one, and the one in Python."""


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def fails(text: str | bytes, pure: bool | None = None) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, pure=pure)
    return caught.value


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("text", ["1e-3", "17", "true", "no", "null", "*.weight=zeros", "f(1, 2", "<<"])
def test_quoted_scalars_are_text(text: str, quote: str) -> None:
    for pure in PARSERS:
        assert plain(parse_yaml(f"[{quote}{text}{quote}]", pure=pure).root) == [text]


@pytest.mark.parametrize("word", ["yes", "No", "ON", "off"])
@pytest.mark.parametrize("text", ["a: {}", "{}: a", "- {}"])
def test_bare_yes_and_no_are_refused(word: str, text: str) -> None:
    error = fails(text.format(word))
    assert f"bare {word}" in error.message
    assert "true or false" in (error.hint or "")


def test_marks_are_lines_and_columns_from_one() -> None:
    text = "é: {a: 1, 'b': [x, {c: d}]}\nlist:\n  - one\n  -   two\n"
    for pure in PARSERS:
        root = parse_yaml(text, pure=pure).root
        marks = {scalar.text: scalar.mark for scalar in iter_scalars(root)}
        assert marks == {
            "1": Mark(1, 8),
            "x": Mark(1, 17),
            "d": Mark(1, 24),
            "one": Mark(3, 5),
            "two": Mark(4, 7),
        }
        assert isinstance(root, MapNode)
        assert root.mark == Mark(1, 1)
        assert root.entries[1][1].mark == Mark(3, 3)
        assert root.entries[0][1].mark == Mark(1, 4)


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1), "duplicate key 'a', first at 1:1", None),
        ("{a: 1, 'a': 3}", (1, 8), "duplicate key", None),
        ("- *.weight=zeros", (1, 3), "*.weight=zeros is read as a YAML alias", "quote"),
        ("x: [*weight*=zeros, 3]", (1, 5), "*weight*=zeros is read as a YAML alias", "quote"),
        ("- *weight", (1, 3), "*weight is read as a YAML alias", "quote"),
        ("*bias : 1", (1, 1), "alias", "quote"),
        ("&a x: 1\n*a : 2", (2, 1), "an alias as a key", "quote"),
        ("&a [*a]", (1, 5), "inside its own anchor", None),
        ("<<: {a: 1}", (1, 1), "merge keys", None),
        ("a: !!python/object:os.system x", (1, 4), "the tag !!python/object:os.system", None),
        ("a: !!str 3", (1, 4), "the tag !!str", None),
        ("a: ! 3", (1, 4), "the tag !", None),
        ("a: !!map {}", (1, 4), "the tag !!map", None),
        ("a: 1\n---\nb: 2", (2, 1), "a second document", None),
        ("? [a]\n: 1", (1, 3), "a list as a key", None),
        ("{{a: 1}: 2}", (1, 2), "a mapping as a key", None),
        ("[$(min(a,b)), 3]", (1, 2), "unbalanced parenthesis in '$(min(a'", "quote"),
        ("[Linear(4, 3)]", (1, 2), "unbalanced parenthesis", "{Linear: [..]}"),
        ("init: [a=normal(0, 1)]", (1, 8), "unbalanced parenthesis", "['*.weight=normal(0, 0.02)']"),
        ("a:\n\t- b", (2, 1), "a tab", "spaces"),
        ("a: %x", (1, 4), "'%' cannot begin", "quote"),
        ("a: b: c", (1, 5), "a key and its value where none can begin", "quote"),
        ("a: [1,\n  2\n", (1, 4), "'[' is never closed", None),
        ("a: [1, 2}", (1, 9), "expected ',' or ']'", "1:4"),
        ("a: 'x", (1, 4), "a quote that is never closed", None),
        ("m:\n  - {L: [4], n: fc\ni: 2\n", (3, 2), "expected ',' or '}', found ':'", "is the { at 2:5 closed?"),
        ("a: 1\nfoo\nb: 1", (2, 1), "text where a key and ':' are expected", "key: value"),
        ("a: - b", (1, 4), "a dash where no item can begin", None),
        ("{a: 1}}", (1, 7), "'}' after the end of the spec", None),
        ("a: [b, , c]", (1, 8), "',' where a value is expected", None),
        ("a: 1\n  b: 2", (2, 4), "a key and its value where none can begin", "indent"),
        ("a: [1]]", (1, 7), "']' where a key or an item is expected", None),
        ("a: x\x07", (1, 5), "U+0007", None),
        ("", (1, 1), "an empty document", "model"),
        ("# only a comment\n", (1, 1), "an empty document", "model"),
        ("a: " + "9" * 65, (1, 4), "a number of 65 characters; the limit is 64", None),
    ],
)
def test_what_is_refused(text: str, place: tuple[int, int], message: str, hint: str | None) -> None:
    for pure in PARSERS:
        error = fails(text, pure)
        assert (error.line, error.column) == place
        assert message in error.message
        assert hint is None or hint in (error.hint or "")


def test_size_is_bounded() -> None:
    assert f"{MAX_SPEC_BYTES + 1:,} bytes" in fails("#" * (MAX_SPEC_BYTES + 1)).message


def test_bytes_that_are_not_utf_8() -> None:
    assert "not UTF-8" in fails(b"a: \xff").message


def test_byte_order_mark_takes_no_column() -> None:
    assert fails("\ufeffa: 1\na: 2".encode()).line == 2
    assert plain(parse_yaml("\ufeffa: 1".encode()).root) == {"a": 1}
    assert parse_yaml("\ufeff[a]").root.mark == Mark(1, 1)


@pytest.mark.parametrize(
    "text", ['a: "\\ud800"', 'a: "\\UFFFFFFFF"', f"%YAML {'9' * 5000}.1\n---\na", "%YAML 2.0\n--- a"]
)
def test_numbers_that_no_character_or_version_has(text: str) -> None:
    for pure in PARSERS:
        assert "\n" not in fails(text, pure).message


def test_json_with_tabs() -> None:
    value = {"model": ["ReLU", {"Linear": [4, 3]}], "vars": {"x": 1e-6, "y": None, "z": True}}
    text = json.dumps(value, indent="\t")
    for pure in PARSERS:
        document = parse_yaml(text, pure=pure)
        assert plain(document.root) == value
        assert next(iter_scalars(document.root)).mark == Mark(3, 3)


JSON_KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from([None, 2, "\t"]))
def test_json_is_read_as_json_reads_it(value: object, indent: int | str | None) -> None:
    assert plain(parse_yaml(json.dumps(value, indent=indent)).root) == value


@given(JSON_VALUES)
def test_all_parsers_give_the_same_nodes(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    results = []
    for pure in PARSERS:
        try:
            results.append(repr(parse_yaml(text, pure=pure)))
        except SpecError as error:
            results.append(str(error))
    assert len(set(results)) == 1
