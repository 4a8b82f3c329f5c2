"""Arguments of blocks and built-ins: by name, checked, with the defaults put in."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.architecture.built_in import PARAM_OPS
from paraminspect.architecture.declared import Argument
from paraminspect.architecture.expressions import MAX_INTEGER
from paraminspect.architecture.model import Call, Value
from paraminspect.architecture.nodes import ListNode, Node, Scalar, shown
from paraminspect.architecture.tensors import check_shape
from paraminspect.architecture.values import Scope
from paraminspect.names.suggestions import closest
from paraminspect.text import shorten


def complete(name: str, arguments: Sequence[Argument], what: Call, scope: Scope) -> dict[str, Value]:
    """Every declared argument of a built-in, checked.

    Args:
        name: Of the built-in, for the errors.

    Raises:
        SpecError: At the place of what is wrong.
    """
    declared = [argument.name for argument in arguments]
    given = bind(_gathered(what) if arguments and arguments[0].is_list else what, declared)
    kwargs: dict[str, Value] = {}
    for argument in arguments:
        if argument.name in given:
            kwargs[argument.name] = _check(argument, name, given[argument.name], scope)
        elif argument.is_required:
            raise what.type.mark.error(f"{name} without its argument {argument.name}", hint=usage(name, declared))
        else:
            kwargs[argument.name] = argument.default
    return kwargs


def _gathered(what: Call) -> Call:
    """The same call, the numbers that it begins with put in one list: `Permute: [0, 2, 1]`."""
    count = 0
    for node in what.args:
        if not isinstance(node, Scalar) or not _may_be_integer(node):
            break
        count += 1
    if count < 2:
        return what
    gathered = ListNode(what.args[:count], what.args[0].mark)
    return Call(what.type, (gathered, *what.args[count:]), what.kwargs)


def _may_be_integer(node: Scalar) -> bool:
    if isinstance(node.value, str):
        return node.value.startswith("$")
    return isinstance(node.value, int) and not isinstance(node.value, bool)


def bind(what: Call, declared: Sequence[str]) -> dict[str, Node]:
    """Arguments of a block or built-in by name.

    Raises:
        SpecError: Too many of them, one that is not declared, one given twice.
    """
    name = what.type.text
    if len(what.args) > len(declared):
        extra = what.args[len(declared)]
        takes = f"takes {len(declared)}" if declared else "takes none"
        raise extra.mark.error(f"{name} with {len(what.args)} arguments; it {takes}", hint=usage(name, declared))
    given = dict(zip(declared, what.args, strict=False))
    for key, node in what.kwargs:
        if key.text not in declared:
            raise key.mark.error(
                f"{name} has no argument {shown(key.text)}",
                hint=closest(key.text, declared) or usage(name, declared),
            )
        if key.text in given:
            raise key.mark.error(f"argument {key.text} of {name} is given twice")
        given[key.text] = node
    return given


def usage(name: str, declared: Sequence[str]) -> str:
    """How a block or built-in with these arguments is written."""
    return (
        f"write {{{name}: {{{', '.join(f'{argument}: ..' for argument in declared)}}}}}"
        if declared
        else f"write {name}"
    )


def _check(argument: Argument, owner: str, node: Node, scope: Scope) -> Value:
    """Checked value of an argument of a built-in."""
    what = f"{argument.name} of {owner}"
    value = scope.value(node)
    if value is None and argument.optional:
        return None
    match argument.kind:
        case "ints":
            return _integers(argument, what, value, node)
        case "text":
            if not isinstance(value, str):
                raise node.mark.error(f"{what} is {shorten(repr(value))}; expected text")
            return value
        case "shape":
            if not isinstance(value, tuple):
                raise node.mark.error(
                    f"{what} is {shorten(repr(value))}; expected a list of sizes", hint="write {shape: [3, 4]}"
                )
            return check_shape(value, node.mark, what, MAX_INTEGER)
        case "op":
            if value not in PARAM_OPS:
                hint = closest(value, PARAM_OPS) if isinstance(value, str) else None
                raise node.mark.error(
                    f"{what} is {shorten(repr(value))}; expected one of {', '.join(PARAM_OPS)}", hint=hint
                )
            return value
        case "bool":
            if not isinstance(value, bool):
                raise node.mark.error(f"{what} is {shorten(repr(value))}; expected true or false")
            return value
        case "int" | "float":
            number = isinstance(value, int) or (isinstance(value, float) and argument.kind == "float")
            if isinstance(value, bool) or not number:
                expected = "an integer" if argument.kind == "int" else "a number"
                raise node.mark.error(f"{what} is {shorten(repr(value))}; expected {expected}")
            assert isinstance(value, (int, float))
            if argument.minimum is not None and not value >= argument.minimum:
                raise node.mark.error(f"{what} is {value}; expected at least {argument.minimum}")
            return value


def _integers(argument: Argument, what: str, value: Value, node: Node) -> tuple[int, ...]:
    """A list of integers, or one of them."""
    values = value if isinstance(value, tuple) else (value,)
    integers = [each for each in values if isinstance(each, int) and not isinstance(each, bool)]
    if not integers or len(integers) != len(values):
        raise node.mark.error(
            f"{what} is {shorten(repr(value))}; expected integers", hint=f"write {{{argument.name}: [1, 2]}}"
        )
    if argument.minimum is not None and min(integers) < argument.minimum:
        raise node.mark.error(f"{what} is {min(integers)}; expected at least {argument.minimum}")
    return tuple(integers)
