"""Nodes -> plain values: numbers, text and lists, with the variables put in."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, cast

from paraminspect.architecture.expressions import MAX_INTEGER, count_terms, evaluate, lookup, parse_expression
from paraminspect.architecture.model import Value
from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe
from paraminspect.architecture.scalars import parse_scalar
from paraminspect.architecture.yaml_marks import iter_scalars, parse_yaml
from paraminspect.errors import SpecError
from paraminspect.text import shorten

MAX_VALUES: Final = 1_000_000
"""Arguments and terms of expressions that one model may evaluate."""


class Budget:
    """What evaluation has cost so far.

    Attributes:
        spent: Values and terms of expressions.
    """

    __slots__ = ("spent",)

    def __init__(self) -> None:
        self.spent = 0

    def allows(self, count: int) -> bool:
        """Whether so many more are within the bound."""
        return self.spent + count <= MAX_VALUES

    def spend(self, count: int, mark: Mark) -> None:
        """Count, and stop at the bound.

        Raises:
            SpecError: More than MAX_VALUES altogether.
        """
        self.spent += count
        if self.spent > MAX_VALUES:
            raise mark.error(f"more than {MAX_VALUES:,} arguments and terms of expressions in one model")


class Scope:
    """What names stand for at one place of a spec.

    Attributes:
        names: Value of each variable.
        budget: Shared by all scopes of a model.
    """

    __slots__ = ("budget", "names")

    def __init__(self, names: Mapping[str, Value], budget: Budget | None = None) -> None:
        self.names = names
        self.budget = Budget() if budget is None else budget

    def extended(self, names: Mapping[str, Value]) -> Scope:
        """This scope with more names, which hide equal ones; neither is copied."""
        # ChainMap writes to its first mapping only, and nobody writes through a scope.
        return Scope(ChainMap(cast("dict[str, Value]", names), cast("dict[str, Value]", self.names)), self.budget)

    def value(self, node: Node) -> Value:
        """Value of a scalar or a list; `$name` and `$(...)` are replaced.

        Raises:
            SpecError: A mapping, or an expression without a value; at its place.
        """
        if isinstance(node, MapNode):
            raise node.mark.error("a mapping as a value; expected a number, text, true, false, null or a list")
        self.budget.spend(1, node.mark)
        if isinstance(node, ListNode):
            return tuple(self.value(item) for item in node.items)
        text = node.value
        if isinstance(text, int) and abs(text) > MAX_INTEGER:
            raise node.mark.error(f"an integer past {MAX_INTEGER:,}")
        if not isinstance(text, str) or "$" not in text:
            return text
        try:
            return self._expression(text, node.mark)
        except SpecError as error:
            raise located(error, node.mark) from None

    def _expression(self, text: str, mark: Mark) -> Value:
        inner = expression_of(text)
        if isinstance(inner, str):
            self.budget.spend(count_terms(parse_expression(inner)), mark)
            return evaluate(inner, self.names)
        value: Value = lookup(inner[0], self.names)  # type: ignore[assignment]
        return value

    def named(self, name: str, mark: Mark) -> Value:
        """Value of a variable.

        Raises:
            SpecError: At `mark`: there is none of that name.
        """
        self.budget.spend(1, mark)
        try:
            value: Value = lookup(name, self.names)  # type: ignore[assignment]
        except SpecError as error:
            raise located(error, mark) from None
        return value

    def flag(self, node: Node, what: str) -> bool:
        """Value of a scalar that is true or false; of an integer, whether it is not 0.

        Raises:
            SpecError: It is something else; `what` names it.
        """
        value = self.value(node)
        if not isinstance(value, int):
            raise node.mark.error(f"{what} is {shorten(repr(value))}; expected true, false or an integer")
        return bool(value)

    def integer(self, node: Node, what: str, least: int, most: int | None = None) -> int:
        """Value of a scalar that is an integer between two bounds.

        Raises:
            SpecError: It is something else; `what` names it.
        """
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int):
            found = describe(node) if not isinstance(node, Scalar) or value == node.value else repr(value)
            raise node.mark.error(f"{what} is {found}; expected an integer")
        if value < least:
            raise node.mark.error(f"{what} is {value:,}; expected at least {least:,}")
        if most is not None and value > most:
            raise node.mark.error(f"{what} is {value:,}; the limit is {most:,}")
        return value


def parse_value(text: str) -> object:
    """What a text on the command line stands for in Python: a number, true, null, text, a `[list]` or a `{mapping}`.

    Raises:
        SpecError: It is not YAML, or a word that YAML 1.1 and 1.2 read in two ways.
    """
    if text.lstrip()[:1] in ("[", "{", "'", '"'):
        return _plain(parse_yaml(text).root)
    return parse_scalar(text.strip(), Mark(1, 1)).value


def _plain(node: Node) -> object:
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key.text: _plain(value) for key, value in node.entries}
    return node.value


@lru_cache(maxsize=8192)
def expression_of(text: str) -> str | tuple[str]:
    """What stands behind the `$`: the inside of `$(...)`, or (name,) of `$name`.

    Raises:
        SpecError: The `$` is somewhere else; without a place.
    """
    if text[:1] == "$" and text.isascii() and text[1:].isidentifier():
        return (text[1:],)
    if text.startswith("$(") and text.count("(") != text.count(")"):
        raise SpecError(
            f"unbalanced parenthesis in {shorten(text)!r}",
            hint="close the parenthesis; in [..] and {..} quote an item that holds a comma: ['$(min(a, b))']",
        )
    if text.startswith("$(") and text.endswith(")"):
        return text[2:-1]
    raise SpecError(
        f"$ inside text: {shorten(text)!r}; expected $name or $(expression) as the whole value",
        hint="write $(4*dim) for 4*$dim",
    )


def check_expressions(node: Node) -> None:
    """Refuse what no variables could make right, in a part of the spec that may never be built.

    Raises:
        SpecError: At the place of the expression.
    """
    for scalar in iter_scalars(node):
        if isinstance(scalar.value, str) and "$" in scalar.value:
            try:
                inner = expression_of(scalar.value)
                if isinstance(inner, str):
                    parse_expression(inner)
            except SpecError as error:
                raise located(error, scalar.mark) from None


def located(error: SpecError, mark: Mark) -> SpecError:
    """The same error, placed where it has no place yet."""
    if error.line is None:
        error.line, error.column = mark.line, mark.column
    return error
