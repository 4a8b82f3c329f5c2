"""`$name` and `$(4*dim)`: arithmetic over named values, walked as a syntax tree, never evaluated as Python.

    expression = numbers, names, + - * / // % **, parentheses, sqrt(a) log(a) min(a, ..) max(a, ..)

Numbers are Python's, with two exceptions that keep sizes whole: a quotient of two integers that divides exactly and
the root of a square number are integers. An integer past MAX_INTEGER, a result that is not a finite real number and
anything else that Python's grammar has are errors; `**` is bounded before it is taken.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from paraminspect.errors import SpecError
from paraminspect.names.suggestions import closest, suggest
from paraminspect.text import shorten

MAX_EXPRESSION_LENGTH: Final = 200
"""Characters of one `$(...)`."""

MAX_INTEGER: Final = 2**63 - 1
"""Of any value in an expression: what torch can take as a size."""

Number = int | float


def _sqrt(number: Number) -> Number:
    if isinstance(number, int) and number >= 0 and math.isqrt(number) ** 2 == number:
        return math.isqrt(number)
    return math.sqrt(number)


def _divide(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        # A base of n bits to the power e has more than (n - 1) * e bits.
        if (abs(base).bit_length() - 1) * exponent > MAX_INTEGER.bit_length():
            raise OverflowError
        if abs(base) <= 1:
            return base if exponent % 2 else abs(base)
    result: object = base**exponent
    if not isinstance(result, (int, float)):  # a complex root
        raise ValueError("math domain error")
    return result


OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: _divide,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
    ast.Pow: _power,
}

FUNCTIONS: dict[str, tuple[int, Callable[..., Number]]] = {
    "sqrt": (1, _sqrt),
    "log": (1, math.log),
    "min": (0, lambda *numbers: min(numbers)),
    "max": (0, lambda *numbers: max(numbers)),
}
"""(number of arguments, 0 for one or more, what it computes)."""

ALLOWED = "numbers, names, + - * / // % **, sqrt, log, min and max"


def evaluate(text: str, names: Mapping[str, object]) -> Number:
    """Value of an expression.

    Args:
        text: Without `$` and its parentheses: "4*dim".
        names: What each name stands for; only int and float can be used.

    Raises:
        SpecError: Without a place: the caller knows it.
    """
    return _value(parse_expression(text), names)


@lru_cache(maxsize=8192)
def parse_expression(text: str) -> ast.expr:
    """Syntax tree of an expression, of allowed nodes only.

    Raises:
        SpecError: Not an expression, or one with anything else in it.
    """
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise SpecError(f"an expression of {len(text):,} characters; the limit is {MAX_EXPRESSION_LENGTH:,}")
    if "$" in text:
        raise SpecError(f"$ inside the expression {text!r}", hint="inside $(..) a name stands without its $: $(4*dim)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of "1if"; here it is an error anyway
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise SpecError(f"{text!r} is not an expression", hint=f"allowed are {ALLOWED}") from None
    _check(tree, text)
    return tree


@lru_cache(maxsize=8192)
def count_terms(tree: ast.expr) -> int:
    """Numbers, names and operations in an expression: what its evaluation costs."""
    return sum(1 for node in ast.walk(tree) if isinstance(node, ast.expr))


@lru_cache(maxsize=8192)
def names_in(text: str) -> frozenset[str]:
    """Names of the variables that an expression uses. Raises what `parse_expression` does."""
    tree = parse_expression(text)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in names if id(node) not in functions)


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(value) > MAX_INTEGER and isinstance(value, int):
                raise SpecError(f"an integer past {MAX_INTEGER:,} in {text!r}")
            if not math.isfinite(value):
                raise SpecError(f"a number that is not finite in {text!r}")
        case ast.Name():
            if node.id in FUNCTIONS:
                raise SpecError(f"{node.id} without its arguments in {text!r}", hint=f"write {node.id}(..)")
        case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
            _check(node.operand, text)
        case ast.BinOp() if type(node.op) in OPERATORS:
            _check(node.left, text)
            _check(node.right, text)
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            expected = FUNCTIONS[name][0]
            if not node.args or len(node.args) != (expected or len(node.args)):
                raise SpecError(
                    f"{name} of {len(node.args)} arguments in {text!r}; expected {expected or 'one or more'}"
                )
            for argument in node.args:
                _check(argument, text)
        case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
            raise SpecError(
                f"unknown function {name} in {text!r}", hint=closest(name, FUNCTIONS) or f"allowed are {ALLOWED}"
            )
        case _:
            raise SpecError(f"{ast.unparse(node)!r} is not allowed in an expression", hint=f"allowed are {ALLOWED}")


def _value(node: ast.expr, names: Mapping[str, object]) -> Number:
    match node:
        case ast.Constant(value=(int() | float()) as number):
            return number
        case ast.Name(id=name):
            return _named(name, names)
        case ast.UnaryOp(op=operator, operand=operand):
            number = _value(operand, names)
            return -number if isinstance(operator, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right):
            return _guard(OPERATORS[type(op)], [_value(left, names), _value(right, names)], node)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _guard(FUNCTIONS[name][1], [_value(argument, names) for argument in arguments], node)
    raise AssertionError("checked by parse_expression")


def _guard(function: Callable[..., Number], arguments: list[Number], node: ast.expr) -> Number:
    """The result, if it is a finite real number that torch can take."""
    try:
        result = function(*arguments)
    except ZeroDivisionError:
        raise SpecError(f"division by zero in {ast.unparse(node)!r}") from None
    except ValueError:
        raise SpecError(f"{ast.unparse(node)!r} is not a real number") from None
    except OverflowError:
        raise SpecError(f"{ast.unparse(node)!r} is past {MAX_INTEGER:,}") from None
    if isinstance(result, int):
        if abs(result) > MAX_INTEGER:
            raise SpecError(f"{ast.unparse(node)!r} is past {MAX_INTEGER:,}")
    elif not math.isfinite(result):
        raise SpecError(f"{ast.unparse(node)!r} is not a finite number")
    return result


def _named(name: str, names: Mapping[str, object]) -> Number:
    value = lookup(name, names)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"{name} is {shorten(repr(value))}; an expression needs a number")
    return value


def lookup(name: str, names: Mapping[str, object]) -> object:
    """What a name stands for.

    Raises:
        SpecError: It is unknown; the hint names the closest one.
    """
    try:
        return names[name]
    except KeyError:
        if name == "i":
            raise SpecError("i is known only inside a repeat") from None
        raise SpecError(f"unknown variable {name}", hint=suggest(name, sorted(names))) from None
