from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.names.selector import make_filter, parse_selector, quote_name
from paraminspect.records import Classes

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
    assert parse_selector(selector).matches("fc.weight", Classes((module_type,))) is matches


def test_class_of_the_owner_or_of_its_bases() -> None:
    assert parse_selector("_ConvNd:*").matches(
        "fc.weight", Classes(("torch.nn.Conv2d", "torch.nn.modules.conv._ConvNd"))
    )
    assert not parse_selector("Linear:*").matches("fc.weight")  # not known is no match


INSIDE = Classes(("x.GELU", "torch.nn.Module"), ("x.MLP", "torch.nn.Module", "x.GPT"))
"""What the GELU of an MLP of a GPT holds."""


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("GELU:*", True), ("MLP:*", True), ("GPT:*", True), ("M*:*", True), ("Module:*", True), ("Linear:*", False),
        ("GELU>:*", True), ("Module>:*", True), ("MLP>:*", False), ("GPT>:*", False), ("M?P>:*", False),
        ("MLP:w", True), ("MLP:x", False), ('MLP:"w"', True), ('GELU>:"x"', False),
    ],
)  # fmt: skip
def test_class_of_any_module_on_the_way_or_of_the_owner(selector: str, matches: bool) -> None:
    chosen = parse_selector(selector)
    assert [chosen.matches("w", INSIDE) for _ in range(2)] == [matches, matches]  # the second one is remembered


def test_what_is_remembered_of_classes_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paraminspect.names.selector.MAX_REMEMBERED", 3)
    chosen = parse_selector("A*:*")
    for number in range(10):
        assert chosen.matches("w", Classes((f"A{number}",)))
        assert not chosen.matches("w", Classes((f"B{number}",)))
    assert chosen.module_type is not None
    assert len(chosen.module_type._known) <= 3


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ('"a:b"', "a:b"), ('"a*"', "a*"), ('"/a/"', "/a/"), ('"a=b"', "a=b"), ('" a"', " a"), ('""', ""), (r'"a\"b\\"', 'a"b\\'),
        (r'"a\nb"', "a\nb"), ('"Linear>:*"', "Linear>:*"), ('Linear:"a:*"', "a:*"),
    ],
)  # fmt: skip
def test_a_name_in_quotes_means_itself_alone(selector: str, name: str) -> None:
    chosen = parse_selector(selector)
    linear = Classes(("Linear",))
    assert (chosen.matches(name, linear), chosen.literal) == (True, name)
    assert not any(chosen.matches(other, linear) for other in (f"{name}x", f"x{name}", selector, "abc"))


@pytest.mark.parametrize("text", ['"a', '"', '"a"b', 'Linear:"a', r'"\x"', '"a" "b"'])
def test_a_quote_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="is no name in double quotes") as caught:
        parse_selector(text)
    assert caught.value.hint is not None


@given(st.text(), st.text())
def test_a_name_can_always_be_written_so_that_it_means_itself(name: str, other: str) -> None:
    written = quote_name(name)
    selector = parse_selector(written)
    assert written.isprintable()
    assert (selector.matches(name), selector.literal) == (True, name)
    assert selector.matches(other) is (other == name)


def test_a_name_is_quoted_only_where_it_must_be() -> None:
    assert [quote_name(name) for name in ("h.0.weight", "blk:0", "a=b", "x.[0]", "")] == [
        "h.0.weight", '"blk:0"', '"a=b"', '"x.[0]"', '""',
    ]  # fmt: skip


def test_class_and_name_are_parted_at_the_first_colon() -> None:
    assert parse_selector("Linear:a:b").matches("a:b", Classes(("Linear",)))
    assert not parse_selector("Linear:a:b").matches("b", Classes(("Linear:a",)))
    assert parse_selector("/a:b/").matches("xa:bx")


@pytest.mark.parametrize("text", ["", ":", "Linear:", ">:a"])
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
    assert [name for name, owner in owners.items() if keep(name, Classes(owner))] == kept


def test_filter_refuses_what_cannot_be_parsed() -> None:
    with pytest.raises(SelectionError):
        make_filter(["a"], ["/(/"])


PLAIN = st.text(alphabet=st.characters(exclude_characters='*?[:/"'), min_size=1)


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
    assert selector.matches("weight", Classes(("Linear",))) in {True, False}
