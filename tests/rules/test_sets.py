from __future__ import annotations

import pytest

from paraminspect.architecture.parse import parse_rule_sets
from paraminspect.errors import LimitExceededError, RuleError
from paraminspect.rules.resolve import resolve
from paraminspect.rules.rule import Rule
from paraminspect.rules.sets import MAX_RULES, Config, choose_rules


def config(init: str, source: str = "m.yaml", **variables: object) -> Config:
    text = f"init: {init}\nvars: {{{', '.join(f'{name}: {value}' for name, value in variables.items())}}}\n"
    values, sets = parse_rule_sets(text, source=source)
    return Config(source, sets, values)


def chosen(wanted: list[str], configs: list[Config]) -> list[Rule]:
    return choose_rules(wanted, configs)[0]


def texts(rules: list[Rule]) -> list[str]:
    return [rule.text for rule in rules]


NAMED = "{default: ['a=ones', 'b=ones'], small: ['a=normal(std=s)']}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], ["a=ones", "b=ones"]),
        (["c=zeros"], ["a=ones", "b=ones", "c=zeros"]),
        (["small"], ["a=normal(std=s)"]),
        (["c=zeros", "small", "d=zeros", "default"], ["c=zeros", "a=normal(std=s)", "d=zeros", "a=ones", "b=ones"]),
        ([" small "], ["a=normal(std=s)"]),
    ],
)
def test_rules_of_a_run_in_their_order(wanted: list[str], expected: list[str]) -> None:
    assert texts(chosen(wanted, [config(NAMED)])) == expected


def test_a_list_applies_as_it_stands() -> None:
    assert texts(chosen([], [config("['a=ones']")])) == ["a=ones"]
    assert texts(chosen(["b=zeros"], [config("['a=ones']")])) == ["a=ones", "b=zeros"]


def test_named_sets_without_a_default_wait_to_be_chosen() -> None:
    assert chosen([], [config("{small: ['a=ones']}")]) == []


def test_the_first_config_that_has_a_name_wins() -> None:
    configs = [config("{small: ['a=ones']}", "rules.yaml"), config(NAMED)]
    assert texts(chosen(["small"], configs)) == ["a=ones"]
    assert texts(chosen(["default"], configs)) == ["a=ones", "b=ones"]
    assert texts(chosen([], configs)) == ["a=ones", "b=ones"]
    assert [rule.origin.source for rule in chosen(["small", "default"], configs)] == [
        "rules.yaml",
        *["m.yaml"] * 2,
    ]


def test_a_config_s_own_variables_hide_those_of_the_others() -> None:
    configs = [config("{one: ['a=constant(s)']}", s=1), config("{two: ['a=constant(s)', 'a=constant(t)']}", s=2, t=3)]
    rules = chosen(["one", "two", "a=constant(s)"], configs)
    assert [resolve(rule, ()).arguments["val"] for rule in rules] == [1, 2, 3, 1]


@pytest.mark.parametrize(
    ("init", "wanted", "hint"),
    [
        (NAMED, "smal", "did you mean small?"),
        (NAMED, "xyz", "the sets are default, small"),
        ("['a=ones']", "small", "its rules are one list without a name, which applies by itself"),
        (None, "small", "a rule is selector=action: '*.weight=normal(std=0.02)'; sets are named in a config's init"),
    ],
)
def test_a_set_that_is_not_there(init: str | None, wanted: str, hint: str) -> None:
    with pytest.raises(RuleError) as caught:
        chosen([wanted], [config(init)] if init is not None else [Config()])
    assert (str(caught.value), caught.value.hint) == (f"--rule: there is no rule set {wanted!r}", hint)


PLACES = """init:
  - '*=nromal'
  - "*=nromal"
  - ok=nromal
  -   'Linear:*=nromal'
  - &anchor 'ok=nromal'
  - '*x''=nromal'
  - "\\u002a=nromal"
  - >-
    ok=nromal
  - 'ok=
    nromal'
  - ok=
    nromal
"""
TWO_LINES = {9, 11, 13}


@pytest.mark.parametrize(
    ("line", "found"),
    [(2, "nromal"), (3, "nromal"), (4, "nromal"), (5, "nromal"), (6, "&anchor"), (7, "'*x"), (8, '"\\u'), (9, ">-"),
     (11, "'ok="), (13, "ok=")],
)  # fmt: skip
def test_an_error_points_into_the_file(line: int, found: str) -> None:
    lines = PLACES.splitlines()
    last = line + 1 if line in TWO_LINES else line
    kept = [each if number == 1 or line <= number <= last else "" for number, each in enumerate(lines, 1)]
    values, sets = parse_rule_sets("\n".join(kept), source="m.yaml")
    with pytest.raises(RuleError) as caught:
        chosen([], [Config("m.yaml", sets, values)])
    assert caught.value.line == line
    assert caught.value.column is not None
    assert lines[line - 1][caught.value.column - 1 :].startswith(found)
    assert caught.value.rule[caught.value.at or 0 :].startswith("nromal")


def test_a_run_has_a_bounded_number_of_rules() -> None:
    rule = "a=ones"
    assert len(chosen([rule] * MAX_RULES, [])) == MAX_RULES
    with pytest.raises(LimitExceededError, match="10,001 rules; the limit is 10,000"):
        chosen([rule] * (MAX_RULES + 1), [])


@pytest.mark.parametrize(
    ("wanted", "applies", "implied"),
    [([], True, 2), (["c=zeros"], True, 2), (["small"], True, 0), (["c=zeros"], False, 0)],
)
def test_rules_that_nobody_asked_for_come_first(wanted: list[str], *, applies: bool, implied: int) -> None:
    rules, count = choose_rules(wanted, [config(NAMED)], applies=applies)
    assert (count, len(rules)) == (implied, implied + len(wanted))
