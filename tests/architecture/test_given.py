from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.architecture.given import Given, evaluate_given, parse_given
from paraminspect.errors import ParamInspectError


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("2,4", Given(None, "[2,4]", "", "--input")),
        (" 2 , 4 ", Given(None, "[ 2 , 4 ]", "", "--input")),
        ("7", Given(None, "[7]", "", "--input")),
        ("[]", Given(None, "[]", "", "--input")),
        ("ids={shape: [1]}", Given("ids", "{shape: [1]}", "", "--input")),
        ("x.npy", Given(None, "", "x.npy", "--input")),
        ("mask=/a/b=c.npy", Given("mask", "", "/a/b=c.npy", "--input")),
        ("./a=b.npy", Given(None, "", "./a=b.npy", "--input")),
    ],
)
def test_what_is_given(text: str, due: Given) -> None:
    assert parse_given(text, "--input") == due


def test_a_description_is_that_of_a_spec() -> None:
    made = evaluate_given(
        parse_given("{shape: [2, $n], dtype: int64, high: $(2*n), seed: 5}", "--input"), "ids", {"n": 3}
    )
    assert (made.name, made.shape, made.dtype, made.high, made.seed) == ("ids", (2, 3), "int64", 6, 5)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "--input '' describes nothing", "--input 2,4"),
        ("x=", "--input 'x=' describes nothing", "--input 2,4"),
        ("[2,-1]", "--input [2,-1] at column 4: a size is -1", None),
        ("{shape: [2], dtpye: int64}", "unknown key 'dtpye'", "did you mean dtype?"),
        ("{shape: [2], dtype: int64}", "without high", "high: 10"),
        ("[$n]", "$n", None),
        ("[2", "", None),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(ParamInspectError) as caught:
        evaluate_given(parse_given(text, "--input"), "input", {})
    assert message in str(caught.value)
    assert hint is None or hint in (caught.value.hint or "")


@given(st.text(max_size=40) | st.text("[]{}:,=0123456789.-$()a \n", max_size=40))
def test_any_text_is_a_description_or_an_error(text: str) -> None:
    try:
        found = parse_given(text, "--input")
        if not found.file:
            evaluate_given(found, "input", {})
    except ParamInspectError:
        pass
