"""A user's own functions as initializers: what a rule may give them, read off their signatures. Runs none of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from paraminspect.errors import RuleError
from paraminspect.rules.rule import Initializer, Parameter

GENERATOR = "generator"
"""Name of the argument that gets the tensor's own random generator."""


def describe_function(name: str, function: Callable[..., object]) -> Initializer:
    """A function of a tensor, as rules see it.

    Args:
        function: Its first argument gets the tensor, one named `generator` the tensor's own generator; the others are
            what a rule may write.

    Raises:
        ValueError: It takes no tensor, or arguments that a rule cannot name; says which.
        TypeError: It cannot be called.
    """
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        raise ValueError("it takes no tensor; expected def my_init(tensor, generator=None)")
    own = []
    for each in parameters[1:]:
        if each.name == GENERATOR or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        if each.kind is each.POSITIONAL_ONLY:
            if each.default is each.empty:
                raise ValueError(f"its argument {each.name} has no name that a rule could give")
            continue
        default = each.default if isinstance(each.default, (int, float, bool, str)) else None
        own.append(Parameter(each.name, "any", default, each.default is each.empty))
    summary = (inspect.getdoc(function) or "").strip().partition("\n")[0].rstrip(".")
    return Initializer(name.removesuffix("_"), summary or "a function of your own", tuple(own), "function")


def describe_functions(functions: Mapping[str, Callable[..., object]]) -> dict[str, Initializer]:
    """Functions by the names that rules give them.

    Raises:
        RuleError: One takes no tensor, or an argument that no rule can give.
    """
    described: dict[str, Initializer] = {}
    for name, function in functions.items():
        try:
            one = describe_function(name, function)
        except (TypeError, ValueError) as error:
            raise RuleError(f"{name}: {error}") from None
        described[one.name] = one
    return described


def takes_generator(function: Callable[..., object]) -> bool:
    """Whether it has an argument for the tensor's own generator."""
    return GENERATOR in inspect.signature(function).parameters
