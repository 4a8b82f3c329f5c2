from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError, RuleError
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.parse import MAX_RULE_LENGTH, RuleParser, parse_rule
from paraminspect.rules.resolve import resolve
from paraminspect.rules.rule import Origin, Rule


def refused(text: str, **options: Any) -> RuleError:
    with pytest.raises(RuleError) as caught:
        parse_rule(text, **options)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def written(rule: Rule) -> dict[str, str]:
    return {each.parameter.name: each.text for each in rule.arguments}


def my_init(tensor: object, scale: float, mode: str = "wide", *, flip: bool = False, generator: object = None) -> None:
    """Fills it. In a way of my own."""


@pytest.mark.parametrize(
    ("text", "initializer", "arguments"),
    [
        ("*.weight=normal", "normal", {}),
        ("*.weight=normal_()", "normal", {}),
        ("  *.weight  =  normal_( 0 , std = 1/sqrt(dim) )  ", "normal", {"mean": "0", "std": "1/sqrt(dim)"}),
        ("*=uniform(-0.1, 0.1)", "uniform", {"a": "-0.1", "b": "0.1"}),
        ("*=kaiming_uniform(a=sqrt(5))", "kaiming_uniform", {"a": "sqrt(5)"}),
        ("*=kaiming_normal_(mode='fan_out', nonlinearity=relu)", "kaiming_normal",
         {"mode": "fan_out", "nonlinearity": "relu"}),
        ("*=xavier_normal(gain=tanh)", "xavier_normal", {"gain": "tanh"}),
        ("*=orthogonal(min(1, fan_in/fan_out))", "orthogonal", {"gain": "min(1, fan_in/fan_out)"}),
        ("*=clamp(-1, 1)", "clamp", {"a": "-1", "b": "1"}),
        ("*=keep", "keep", {}),
        ("*=keep()", "keep", {}),
        ("é.ß=add((1 + 2))", "add", {"x": "1 + 2"}),
    ],
)  # fmt: skip
def test_a_rule_has_its_parts(text: str, initializer: str, arguments: dict[str, str]) -> None:
    rule = parse_rule(text)
    assert (rule.initializer, written(rule)) == (INITIALIZERS[initializer], arguments)
    assert rule.text == text
    assert all(text[each.column :].startswith(each.text) or "'" in text for each in rule.arguments)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("*.weight=zeros", "*.weight"),
        ("Linear:*.weight = zeros", "Linear:*.weight"),
        ("/\\.h\\.[0-9]+\\./=zeros", "/\\.h\\.[0-9]+\\./"),
        ("/a=b/ = zeros", "/a=b/"),
        ("/(?=x)(?!=y)/=zeros", "/(?=x)(?!=y)/"),
        ("a/b=zeros", "a/b"),
    ],
)
def test_a_selector_ends_where_the_action_begins(text: str, selector: str) -> None:
    rule = parse_rule(text)
    assert (rule.selector.text, rule.initializer.name) == (selector, "zeros")


def test_chunks_are_kept_apart() -> None:
    rule = parse_rule("*=xavier_uniform(chunks=gates, gain=2)", variables={"gates": 4})
    assert written(rule) == {"gain": "2"}
    assert rule.chunks is not None
    assert (rule.chunks.text, resolve(rule, (8, 3)).chunks) == ("gates", 4)


def test_a_function_takes_numbers_words_and_booleans() -> None:
    rule = parse_rule("*=my_init(dim/2, mode=narrow, flip=True)", functions={"my_init": my_init}, variables={"dim": 6})
    assert rule.initializer.summary == "Fills it. In a way of my own"
    assert resolve(rule, (2, 2)).arguments == {"scale": 3, "mode": "narrow", "flip": True}
    quoted = parse_rule("*=my_init(1, 'dim', flip=false)", functions={"my_init": my_init}, variables={"dim": 6})
    assert resolve(quoted, ()).arguments == {"scale": 1, "mode": "dim", "flip": False}
    assert (
        resolve(parse_rule("*=my_init(1, dim)", functions={"my_init": my_init}, variables={"dim": 6}), ()).arguments[
            "mode"
        ]
        == 6
    )


def test_a_function_goes_before_the_one_of_torch() -> None:
    def normal_(tensor: object, width: float) -> None: ...

    for text in ("*=normal(1)", "*=normal_(width=1)"):
        assert parse_rule(text, functions={"normal_": normal_}).initializer.kind == "function"


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("normal", None, "'normal' is no rule; expected selector=action", "write '*.weight=normal(std=0.02)'"),
        ("*.weight=", "", "a rule without an action", "write '*.weight=normal(std=0.02)'"),
        ("=zeros", "=zeros", "empty selector ''",
         "name what is meant: '*.weight', 'Linear:*', '/h\\.[0-9]+/'"),
        ("/(/=zeros", "/(/", "/(/ is not a regular expression: missing ), unterminated subpattern at position 0",
         "a plain name or a glob needs no slashes: 'h.0.*'"),
        ("*=nromal(std=1)", "nromal", "unknown initializer nromal", "did you mean normal?"),
        ("*=Kaiming_Normal", "Kaiming", "unknown initializer Kaiming_Normal", "did you mean kaiming_normal?"),
        ("*=qqq", "qqq", "unknown initializer qqq",
         "'paraminspect rules' lists them; --rules-file brings your own"),
        ("*=normal(sdt=1)", "sdt", "unknown argument sdt of normal", "did you mean std?"),
        ("*=zeros(x=1)", "x=", "unknown argument x of zeros", "its arguments are chunks, part"),
        ("*=keep(chunks=2)", "chunks", "unknown argument chunks of keep", "it takes none"),
        ("*=normal(0, 1, 2)", "2)", "normal with 3 arguments; it takes mean, std", None),
        ("*=ones(1)", "1)", "ones with 1 arguments; it takes none", None),
        ("*=normal(0, mean=1)", "mean", "mean is given twice", None),
        ("*=normal(std=1, std=2)", "std=2", "std is given twice", None),
        ("*=normal(std=0.1, 0)", None, "an argument without a name behind one that has a name",
         "write NAME=value for each"),
        ("*=constant", "", "constant without val", "write constant(val)"),
        ("*=clamp(0)", ")", "clamp without b", "write clamp(a, b)"),
        ("*=normal(**x)", "**x", "** in a rule", None),
        ("*=normal(std=0.1", "(std", "a parenthesis is not closed", "add a )"),
        ("*=normal(std=0.1))", ")", "a parenthesis is closed that was not opened", "remove it"),
        ("*=normal(std=1/$dim)", "$", "$ in a rule", "a variable stands without its $: std=1/sqrt(dim)"),
        ("*=normal(std='x')", "'x'", "std is 'x'; expected a number", None),
        ("*=normal(std=True)", "True", "std is True; expected a number", None),
        ("*=normal(std=None)", "None", "std is None; expected a number", None),
        ("*=normal(std=1j)", "1j", "std is 1j; expected a number", None),
        ("*=normal(std=1e999)", "1e999", "a number that is not finite in '1e999'", None),
        ("*=xavier_normal(gain='tanh')", "'tanh'", "gain is 'tanh'; expected a number",
         "a gain is a number, or one of linear, conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, "
         "conv_transpose3d, sigmoid, tanh, relu, leaky_relu, selu without quotes"),
        ("*=kaiming_normal(mode=fanin)", "fanin", "mode is fanin; expected fan_in or fan_out", "did you mean fan_in?"),
        ("*=kaiming_normal(mode=3)", "3", "mode is 3; expected fan_in or fan_out", None),
        ("*=kaiming_normal(nonlinearity=ReLU)", "ReLU", "torch has no gain for the nonlinearity ReLU",
         "did you mean relu?"),
        ("*=kaiming_normal(nonlinearity=gelu)", "gelu", "torch has no gain for the nonlinearity gelu",
         "torch has gains for linear, sigmoid, tanh, relu, leaky_relu, selu"),
        ("*=normal(std=open('x'))", "open", "unknown function open in \"open('x')\"",
         "allowed are numbers, names, + - * / // % **, sqrt, log, min and max"),
        ("*=normal.x(1)", "normal.x(1)", "'normal.x(1)' is no action; expected NAME or NAME(arguments)",
         "write '*.weight=normal(std=0.02)'"),
        ("*=1 if", None, "'1 if' is no action", "write '*.weight=normal(std=0.02)'"),
        ("a\nb=zeros", "\n", "a rule is one line of text that prints", None),
        ("é=normal(ß=1)", "ß", "unknown argument ß of normal", "its arguments are mean, std, chunks, part"),
        ("*=normal(std=ßß, xyz=2)", "xyz", "unknown argument xyz of normal", "its arguments are mean, std, chunks, part"),
        ("*=normal(1if 1else 2)", "1if", "'1 if 1 else 2' is not allowed in an expression",
         "allowed are numbers, names, + - * / // % **, sqrt, log, min and max"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(text: str, at: str | None, message: str, hint: str | None) -> None:
    error = refused(text)
    assert (error.message, error.hint) == (message, hint)
    if at is not None:
        assert error.at is not None
        assert text[error.at :].startswith(at) if at else error.at == len(text)


def test_an_error_says_where_the_rule_stands() -> None:
    error = refused("*=nromal", origin=Origin("m.yaml", "fine", 7, 9))
    assert str(error) == "m.yaml:7:11: unknown initializer nromal"
    assert str(refused("*=nromal", origin=Origin("--rule"))) == "--rule: unknown initializer nromal"
    assert str(refused("*" * 2000 + "=zeros", origin=Origin("m.yaml", "", 7, 9))).startswith(
        "m.yaml:7:9: a rule of 2,006"
    )


def test_a_rule_is_of_bounded_length() -> None:
    text = "*=normal(std=1)"
    padded = text + " " * (MAX_RULE_LENGTH - len(text))
    assert parse_rule(padded).initializer.name == "normal"
    assert refused(padded + " ").message == "a rule of 1,001 characters; the limit is 1,000"


@pytest.mark.parametrize(
    "action",
    ["(" * 300 + "1" + ")" * 300, "normal(" + "-" * 980 + "1)", "normal(" + "(" * 490 + ")" * 490 + ")",
     "normal(" + "[" * 490 + "]" * 490 + ")", "normal(std=" + "1+" * 480 + "1)", "f" + "(1)" * 300,
     "normal(std=" + "9**" * 60 + "9)", "normal(std=" + "9" * 900 + ")"],
)  # fmt: skip
def test_a_deep_or_long_action_is_refused(action: str) -> None:
    with pytest.raises(ParamInspectError):
        resolve(parse_rule(f"*={action}"), (2, 2))


@pytest.mark.parametrize("failure", [MemoryError, RecursionError])
def test_an_action_that_is_too_deep_for_python(failure: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(ast, "parse", parse)
    assert refused("*=normal").message == "the action is nested too deeply"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: None, "it takes no tensor; expected def my_init(tensor, generator=None)"),
        (lambda *, tensor: None, "it takes no tensor; expected def my_init(tensor, generator=None)"),
        (eval("lambda tensor, x, /: None"), "its argument x has no name that a rule could give"),
        (3, "3 is not a callable object"),
    ],
)
def test_a_function_that_no_rule_can_call(function: Any, message: str) -> None:
    assert refused("*=f", functions={"f": function}).message == f"f: {message}"


def test_what_of_a_function_a_rule_can_give() -> None:
    def f(
        tensor: object, a: object, /, b: int = 1, *rest: object, c: object, generator: object, **more: object
    ) -> None:
        """Text."""

    def g(tensor: object, a: int = 0, /, b: object = None) -> None:
        """Text."""

    with pytest.raises(RuleError, match="its argument a has no name"):
        parse_rule("*=f", functions={"f": f})
    parameters = parse_rule("*=g", functions={"g": g}).initializer.parameters
    assert [(each.name, each.required, each.default) for each in parameters] == [("b", False, None)]


def test_a_lenient_parser_takes_an_unknown_function_for_one_of_yours() -> None:
    parser = RuleParser({}, lenient=True)
    rule = parser.parse("*=init_weight(1, x=2, chunks=2)", Origin())
    assert (rule.initializer.kind, rule.initializer.name) == ("function", "init_weight")
    assert written(rule) == {"argument 1": "1", "x": "2"}
    with pytest.raises(RuleError, match="unknown argument sdt of normal"):
        parser.parse("*=normal(sdt=2)", Origin())


NAMES = st.sampled_from([*INITIALIZERS, "normal_", "my_init", "nromal", "é", "if", "None"])
PIECES = st.sampled_from(
    ["*", "=", "(", ")", ",", "/", "'", '"', " ", "$", "**", "-", "1", "0.02", "1e-3", "9**9**9", "std", "std=", "chunks=",
     "mode=fan_out", "gain=relu", "fan_in", "sqrt(", "min(1,2)", "lambda: 0", "[x for x in y]", "f'{x}'", "\\", "#", ";",
     "True", "None", "...", "x:=1", "é", "\x00", "\n", "\ud800", "/(a+)+$/", "Linear:", "*.weight=", "await x", "0x", "1_0"]
)  # fmt: skip
TEXTS = st.text() | st.lists(NAMES | PIECES, max_size=12).map("".join)


@given(TEXTS)
@example("*=normal(" + "std=" * 200)
@example("/" * 900 + "=zeros")
@example("/" + "/ " * 400)
def test_any_text_gives_a_rule_or_an_error(text: str) -> None:
    for each in (text, f"*={text}", f"*=normal({text})", f"*=my_init({text})"):
        try:
            resolve(parse_rule(each, functions={"my_init": my_init}), (4, 2))
        except ParamInspectError as error:
            failure = error
        else:
            continue
        assert len(str(failure).splitlines()) == 1
        assert failure.hint is None or len(failure.hint.splitlines()) == 1
        assert isinstance(failure, RuleError)
        assert failure.at is None or 0 <= failure.at <= len(each)


NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)


@given(st.sampled_from(["normal", "normal_"]), NUMBERS, st.floats(0, 1e6), st.text(st.sampled_from(" "), max_size=3))
def test_numbers_survive(name: str, mean: float, std: float, space: str) -> None:
    text = f"{space}*{space}={space}{name}{space}({space}{mean!r}{space},{space}std{space}={space}{std!r}{space})"
    rule = parse_rule(text)
    assert resolve(rule, (3,)).arguments == {"mean": mean, "std": std}
    assert [ast.literal_eval(each.text) for each in rule.arguments] == [mean, std]


@pytest.mark.parametrize(
    ("text", "column"),
    [("*=ones(part=2)", 12), ("*=ones(part='1/4')", 12), ("*=ones(part=1/4/1+0)", 12), ("*=ones(part=x)", 12)],
)
def test_a_part_is_one_of_several(text: str, column: int) -> None:
    with pytest.raises(RuleError, match=r"^part is .*; expected I/N$") as caught:
        parse_rule(text)
    assert (caught.value.at, caught.value.hint) == (
        column, "part=1/4 is part 1 of 4 of the first dimension, counted from 0",
    )  # fmt: skip


def test_keep_takes_no_part() -> None:
    with pytest.raises(RuleError, match="unknown argument part of keep"):
        parse_rule("*=keep(part=1/4)")


def test_an_argument_of_a_function_goes_before_what_every_rule_takes() -> None:
    def mine(tensor: object, part: str, chunks: int = 2) -> None: ...

    rule = parse_rule("*=mine(part=query, chunks=3)", functions={"mine": mine})
    assert (rule.part, rule.chunks, [each.text for each in rule.arguments]) == (None, None, ["query", "3"])


@pytest.mark.parametrize(
    ("text", "name"),
    [('"a=b"=zeros', "a=b"), (' "a:b" = zeros', "a:b"), ('Linear:"a=b:c"=zeros', "a=b:c"), (r'"a\"=b"=zeros', 'a"=b')],
)
def test_a_quoted_name_may_hold_what_parts_a_rule(text: str, name: str) -> None:
    rule = parse_rule(text)
    assert (rule.selector.literal, rule.initializer.name) == (name, "zeros")
