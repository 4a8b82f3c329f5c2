from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.names.selector import make_filter, parse_selector

LINEAR = "torch.nn.modules.linear.Linear"


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("h.0.weight", "h.0.weight"),
        ("*", ""),
        ("*", "h.0.weight"),
        ("*.weight", "h.0.weight"),  # * crosses dots
        ("h.*.weight", "h.0.attn.weight"),
        ("h.?.weight", "h.0.weight"),
        ("h?0", "h.0"),
        ("h.[0-3].weight", "h.2.weight"),
        ("h.[!0-3].weight", "h.4.weight"),
        ("*", "a\nb"),
        ("a*b", "a\nb"),
        ("*.[[]0]", "x.[0]"),
        ("/weight/", "h.0.weight_g"),
        ("/^h\\.[0-9]+\\.weight$/", "h.11.weight"),
        ("/(?i)WEIGHT/", "h.weight"),
        ("//", "anything"),
        ("/", "/"),
        ("/a", "/a"),
        ("a/", "a/"),
        (":a", "a"),
    ],
)
def test_matches(selector: str, name: str) -> None:
    assert parse_selector(selector).matches(name)


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("weight", "h.0.weight"),  # a glob means the whole name
        ("h.0", "h.0.weight"),
        ("0.weight", "h.10.weight"),
        ("h.?.weight", "h.10.weight"),
        ("H.0.weight", "h.0.weight"),
        ("a", "a\n"),
        ("?", "ab"),
        ("a.b", "axb"),  # a dot is a dot
        ("a+", "aa"),
        ("/^weight/", "h.weight"),
        ("/a.b$/", "a\nb"),
    ],
)
def test_does_not_match(selector: str, name: str) -> None:
    assert not parse_selector(selector).matches(name)


@pytest.mark.parametrize(
    ("selector", "module_type", "matches"),
    [
        ("Linear:*", LINEAR, True),
        ("Linear:*", "Linear", True),
        ("Lin*:*.weight", LINEAR, True),
        ("Conv?d:*", "torch.nn.Conv2d", True),
        ("linear:*", LINEAR, False),
        ("Lin:*", LINEAR, False),
        ("near:*", LINEAR, False),
        ("torch*:*", LINEAR, False),  # the class name, not its module
        ("Linear:*.bias", LINEAR, False),
        ("Linear:*", "NonDynamicallyQuantizableLinear", False),
        ("*:*", LINEAR, True),
    ],
)
def test_class_of_the_owner(selector: str, module_type: str, matches: bool) -> None:
    assert parse_selector(selector).matches("fc.weight", module_type) is matches


def test_class_of_the_owner_or_of_its_bases() -> None:
    assert parse_selector("_ConvNd:*").matches("fc.weight", "torch.nn.Conv2d", "torch.nn.modules.conv._ConvNd")
    assert not parse_selector("Linear:*").matches("fc.weight")  # not known is no match


def test_class_and_name_are_parted_at_the_first_colon() -> None:
    assert parse_selector("Linear:a:b").matches("a:b", "Linear")
    assert not parse_selector("Linear:a:b").matches("b", "Linear:a")
    assert parse_selector("/a:b/").matches("xa:bx")


@pytest.mark.parametrize("text", ["", ":", "Linear:"])
def test_empty(text: str) -> None:
    with pytest.raises(SelectionError, match=f"empty selector '{text}'") as caught:
        parse_selector(text)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/(/", "missing \\)"),
        ("/[/", "unterminated character set"),
        ("/a**/", "multiple repeat"),
        ("/a{99999999999999999999}/", "repetition number is too large"),
        ("/" + "(" * 5000 + ")" * 5000 + "/", "recursion|too many"),
        ("/(?<x>)/", "unknown extension"),
    ],
    ids=lambda value: value[:12],
)
def test_no_regular_expression(text: str, words: str) -> None:
    with pytest.raises(SelectionError, match="is not a regular expression: ") as caught:
        parse_selector(text)
    assert re.search(words, str(caught.value))
    assert caught.value.hint == "a plain name or a glob needs no slashes: 'h.0.*'"


def test_ambiguous_set_is_no_warning() -> None:
    assert parse_selector("/[[a]/").matches("[")


def test_selector_keeps_its_text() -> None:
    assert [parse_selector(text).text for text in ("Linear:*", "/a/", "b")] == ["Linear:*", "/a/", "b"]


@pytest.mark.parametrize(
    ("select", "exclude", "kept"),
    [
        ([], [], ["a.weight", "a.bias", "b.weight"]),
        (["a.*"], [], ["a.weight", "a.bias"]),
        (["a.bias", "/^b/"], [], ["a.bias", "b.weight"]),
        ([], ["*.bias"], ["a.weight", "b.weight"]),
        ([], ["*.bias", "b.*"], ["a.weight"]),
        (["a.*"], ["*.bias"], ["a.weight"]),
        (["*.bias"], ["*.bias"], []),
        (["Linear:*"], [], ["a.weight", "a.bias"]),
        ([], ["Linear:*.weight"], ["a.bias", "b.weight"]),
        (["nothing"], [], []),
    ],
)
def test_filter(select: list[str], exclude: list[str], kept: list[str]) -> None:
    keep = make_filter(select, exclude)
    owners = {"a.weight": ("My", LINEAR), "a.bias": (LINEAR,), "b.weight": ()}
    assert [name for name, owner in owners.items() if keep(name, owner)] == kept


def test_filter_refuses_what_cannot_be_parsed() -> None:
    with pytest.raises(SelectionError):
        make_filter(["a"], ["/(/"])


PLAIN = st.text(alphabet=st.characters(exclude_characters="*?[:/"), min_size=1)


@given(PLAIN, st.text())
def test_text_without_wildcards_means_itself_alone(text: str, name: str) -> None:
    selector = parse_selector(text)
    assert selector.matches(text)
    assert selector.matches(name) is (name == text)


@given(PLAIN, st.text(), st.text())
def test_star_stands_for_anything(text: str, before: str, after: str) -> None:
    assert parse_selector(f"*{text}*").matches(before + text + after)
    assert parse_selector(f"{text}*").matches(before + text) is (before + text).startswith(text)


@given(st.text())
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    try:
        selector = parse_selector(text)
    except SelectionError:
        return
    assert selector.matches("weight", "Linear") in {True, False}
