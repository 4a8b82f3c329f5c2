"""What a rule may give a user's own function, read off its signature."""

from __future__ import annotations

from typing import Any

import pytest

from paraminspect.errors import RuleError
from paraminspect.rules.functions import describe_function, describe_functions, takes_generator


def scaled_(tensor: Any, scale: float, mode: str = "wide", *, flip: bool = False, generator: Any = None) -> None:
    """Fills with a scale.

    More that nobody reads in a list.
    """


def test_arguments_are_those_behind_the_tensor_without_the_generator() -> None:
    found = describe_function("scaled_", scaled_)
    assert (found.name, found.summary, found.kind) == ("scaled", "Fills with a scale", "function")
    assert [(each.name, each.default, each.required) for each in found.parameters] == [
        ("scale", None, True), ("mode", "wide", False), ("flip", False, False),
    ]  # fmt: skip
    assert takes_generator(scaled_)


def test_a_default_that_no_rule_could_write_is_not_told() -> None:
    (one,) = describe_function("f", lambda tensor, x=[1]: tensor).parameters
    assert (one.name, one.default, one.required) == ("x", None, False)


def test_stars_take_nothing_from_a_rule() -> None:
    found = describe_function("f", lambda tensor, *more, **named: tensor)
    assert found.parameters == ()
    assert found.summary == "a function of your own"
    assert not takes_generator(lambda tensor, *more, **named: tensor)


def nothing() -> None: ...
def only_named(*, tensor: Any) -> None: ...
def only_stars(*tensors: Any) -> None: ...
def nameless(tensor: Any, x: int, /) -> None: ...


@pytest.mark.parametrize("function", [nothing, only_named, only_stars])
def test_it_must_take_a_tensor(function: Any) -> None:
    with pytest.raises(ValueError, match="takes no tensor"):
        describe_function("f", function)


def test_an_argument_without_a_name_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="its argument x has no name"):
        describe_function("f", nameless)


@pytest.mark.parametrize("function", [nothing, nameless, 3])
def test_the_error_names_the_function(function: Any) -> None:
    with pytest.raises(RuleError, match=r"^mine: "):
        describe_functions({"good": scaled_, "mine": function})


def test_names_are_those_of_rules_without_the_underscore() -> None:
    assert list(describe_functions({"scaled_": scaled_, "other": scaled_})) == ["scaled", "other"]
