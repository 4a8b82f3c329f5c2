from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.architecture.given import Given, arrange, evaluate_given, parse_given, plan_inputs
from paraminspect.errors import ParamInspectError


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("2,4", Given((), "tensor", "[2,4]", "--input")),
        (" 2 , 4 ", Given((), "tensor", "[ 2 , 4 ]", "--input")),
        ("7", Given((), "tensor", "[7]", "--input")),
        ("[]", Given((), "tensor", "[]", "--input")),
        ("ids={shape: [1]}", Given(("ids",), "tensor", "{shape: [1]}", "--input")),
        ("batch.ids=1,2", Given(("batch", "ids"), "tensor", "[1,2]", "--input")),
        ("images.0=3", Given(("images", 0), "tensor", "[3]", "--input")),
        ("mode=!loss", Given(("mode",), "value", "", "--input", "loss")),
        ("!3", Given((), "value", "", "--input", 3)),
        ("x=!'3'", Given(("x",), "value", "", "--input", "3")),
        ("x=!true", Given(("x",), "value", "", "--input", True)),
        ("x=!null", Given(("x",), "value", "", "--input", None)),
        ("x=![1, {a: 0.5}]", Given(("x",), "value", "", "--input", [1, {"a": 0.5}])),
        ("x=! two words ", Given(("x",), "value", "", "--input", "two words")),
    ],
)
def test_what_is_given(text: str, due: Given) -> None:
    assert parse_given(text, "--input") == due


@pytest.mark.parametrize(("text", "path", "name"), [("x.npy", (), "x.npy"), ("mask=b=c.npy", ("mask",), "b=c.npy"), ("./a=b.npy", (), "./a=b.npy")])  # fmt: skip
def test_a_file_is_given(
    text: str, path: tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    assert parse_given(text, "--input") == Given(path, "file", name, "--input")


@pytest.mark.parametrize(
    ("texts", "positional", "named"),
    [
        (["2", "3"], ["[2]", "[3]"], {}),
        (["a=1", "2", "b=3"], ["[2]"], {"a": "[1]", "b": "[3]"}),
        (["a.x=1", "a.y.z=2"], [], {"a": {"x": "[1]", "y": {"z": "[2]"}}}),
        (["a.1=1", "a.0=2"], [], {"a": ["[2]", "[1]"]}),
        (["a.0.x=1", "a.1.x=2"], [], {"a": [{"x": "[1]"}, {"x": "[2]"}]}),
    ],
)
def test_paths_make_dictionaries_and_lists(texts: list[str], positional: list[str], named: dict[str, object]) -> None:
    given_ = plan_inputs(texts).given
    assert arrange([(each.path, each.text) for each in given_]) == (positional, named)


@pytest.mark.parametrize(
    ("texts", "code", "message"),
    [
        (["x=1", "x=2"], "", "--input x is given twice"),
        (["x=1", "x.a=2"], "", "--input x.a lies in x, which is given"),
        (["x.a=1", "x=2"], "", "--input x is given beside what lies in it"),
        (["x.0=1", "x.a=2"], "", "--input x has parts by name and by number"),
        (["x.a.1=1"], "", "--input x.a.1 without x.a.0"),
        (["2,4"], "my.py:batch", "--input without a name beside --input-file"),
        ([], "my.py", "--input-file 'my.py'; expected FILE.py:NAME"),
        ([], "batch", "--input-file 'batch'; expected FILE.py:NAME"),
    ],
)
def test_what_does_not_go_together(texts: list[str], code: str, message: str) -> None:
    with pytest.raises(ParamInspectError) as caught:
        plan_inputs(texts, code)
    assert str(caught.value).startswith(message)


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
        ("x=!", "--input 'x=!' describes nothing", "!null"),
        ("x=!yes", "bare yes", "'yes'"),
        ("x=![1", "--input x=![1", None),
        ("x=0.5", "--input 'x=0.5' is a number; expected a shape or a file", "'x=!0.5' passes it as it is"),
        ("-1", "is a number", "'{shape: [], fill: -1}' as a tensor"),
        ("x=true", "is a boolean", "'x=!true'"),
        ("nowhere.npy", "nowhere.npy: --input: no such file", None),
        ("loss", "--input 'loss' is neither a shape nor a file", "!text"),
        ("my.py:batch", "names code", "--input-file my.py:batch"),
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
        if found.kind == "tensor":
            evaluate_given(found, "input", {})
    except ParamInspectError:
        pass
