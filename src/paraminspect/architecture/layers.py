"""Nodes -> layers and blocks, as they are written."""

from __future__ import annotations

import re
from typing import Final

from paraminspect.architecture.built_in import BUILTINS, CONTAINERS
from paraminspect.architecture.model import Block, Call, Layer, Name, Parameter, Residual, Sequential, Use
from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe, shown
from paraminspect.architecture.plan import INPUT
from paraminspect.architecture.values import check_expressions
from paraminspect.names.suggestions import closest, suggest
from paraminspect.text import shorten

MAX_NAME_LENGTH: Final = 200
"""Characters of one name of a layer, variable, block or input."""

MAX_TAKE: Final = 8
"""Steps into a nested tuple output."""

LAYER_OPTIONS = {
    "name": "Name of the child module; without it, its place in the list (0, 1, ...).",
    "repeat": "Number of copies: children NAME.0, NAME.1, ...; $i is the number of the copy.",
    "from": "Where the input comes from: earlier layers of the same list, or input. Several are passed in this order.",
    "take": "Which element of a tuple output is taken; a list reaches into nested tuples.",
}
"""Keys beside the type of a layer."""

RESIDUAL_KEYS = {
    "body": "Layers whose output is added to the shortcut's.",
    "shortcut": "Layers that the input passes; without them the input itself is added.",
}
BLOCK_KEYS = {
    "args": "Names of its arguments, $name inside; {name: default} for one that may be left out.",
    "layers": "What it is made of.",
}
USE = "use"

NO_NESTED_LAYER = "a layer cannot be an argument of another: put both in a list of layers, or repeat it"
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MODULE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_CALL_SYNTAX = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\((.*)\)")


def parse_layers(node: Node, what: str) -> tuple[Layer, ...]:
    """The layers of a list of one or more.

    Args:
        node: Expected to be a list.
        what: Whose list it is, for the error.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if not isinstance(node, ListNode):
        raise node.mark.error(f"{what} is {describe(node)}; expected a list of layers", hint="write [layer, ..]")
    if not node.items:
        raise node.mark.error(f"{what} is empty; expected at least one layer")
    return tuple(parse_layer(item) for item in node.items)


def parse_layer(node: Node) -> Layer:
    """One layer: a type name, or a mapping of one type (or `use`) and options.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if isinstance(node, Scalar):
        return Layer(Call(_type_name(node)), node.mark)
    if isinstance(node, ListNode):
        raise node.mark.error("a list as a layer; expected a type", hint="write {Sequential: [layer, ..]}")
    types = [(key, value) for key, value in node.entries if key.text not in LAYER_OPTIONS]
    if len(types) != 1:
        raise _not_one_type(node, [key for key, _ in types])
    key, value = types[0]
    repeat = node.get("repeat")
    if repeat is not None:
        check_expressions(repeat)
    return Layer(
        _parse_what(key, value),
        key.mark,
        name=_option_name(node.get("name")),
        repeat=repeat,
        inputs=_parse_from(node.get("from")),
        take=_parse_take(node.get("take")),
    )


def _not_one_type(node: MapNode, types: list[Scalar]) -> Exception:
    if not types:
        found = ", ".join(key.text for key, _ in node.entries)
        return node.mark.error(
            f"a layer without a type: {found or 'an empty mapping'}", hint="write {Linear: [4, 3], name: fc}"
        )
    for key in types:
        if hint := closest(key.text, [*LAYER_OPTIONS, USE]):
            return key.mark.error(f"unknown layer option {shorten(key.text)!r}", hint=hint)
    return types[1].mark.error(
        f"two types in one layer: {shown(types[0].text)} and {shown(types[1].text)}",
        hint="begin each layer with its own dash",
    )


def _parse_what(key: Scalar, value: Node) -> Call | Sequential | Residual | Use:
    if key.text == USE:
        return Use(parse_name(value, "use", IDENTIFIER))
    if key.text == "Sequential":
        return Sequential(parse_layers(value, "Sequential"))
    if key.text == "Residual":
        if not isinstance(value, MapNode):
            return Residual(parse_layers(value, "Residual"))
        refuse_unknown_keys(value, RESIDUAL_KEYS, "Residual")
        body, shortcut = value.get("body"), value.get("shortcut")
        if body is None:
            raise value.mark.error("Residual without body", hint="write {body: [..], shortcut: [..]}")
        return Residual(parse_layers(body, "body"), parse_layers(shortcut, "shortcut") if shortcut is not None else ())
    args, kwargs = _parse_arguments(value)
    return Call(_type_name(key), args, kwargs)


def _parse_arguments(node: Node) -> tuple[tuple[Node, ...], tuple[tuple[Name, Node], ...]]:
    """(positional, named): a list, whose last item may be a mapping; a mapping; one scalar; or nothing."""
    if isinstance(node, Scalar):
        check_expressions(node)
        return (() if node.value is None else (node,)), ()
    if isinstance(node, MapNode):
        return (), _parse_kwargs(node)
    last = node.items[-1] if node.items else None
    kwargs = _parse_kwargs(last) if isinstance(last, MapNode) else ()
    args = node.items[:-1] if isinstance(last, MapNode) else node.items
    for item in args:
        if isinstance(item, MapNode):
            first = item.entries[0][0].text if item.entries else ""
            raise item.mark.error(
                "a mapping among positional arguments; named arguments come last",
                hint=NO_NESTED_LAYER if first[:1].isupper() else "write [3, 16, {bias: false}]",
            )
        _refuse_mappings(item)
        check_expressions(item)
    return args, kwargs


def _parse_kwargs(node: MapNode) -> tuple[tuple[Name, Node], ...]:
    for key, value in node.entries:
        if not IDENTIFIER.fullmatch(key.text):
            raise key.mark.error(
                f"{shorten(key.text)!r} as the name of an argument", hint="positional arguments stand in a list: [4, 3]"
            )
        _refuse_mappings(value)
        check_expressions(value)
    return tuple((Name(key.text, key.mark), value) for key, value in node.entries)


def _refuse_mappings(node: Node) -> None:
    if isinstance(node, MapNode):
        raise node.mark.error(
            "a mapping as an argument; expected a number, text, true, false, null or a list",
            hint=NO_NESTED_LAYER,
        )
    if isinstance(node, ListNode):
        for item in node.items:
            _refuse_mappings(item)


def _type_name(node: Scalar) -> Name:
    text = node.text
    if not isinstance(node.value, str):
        raise node.mark.error(f"{describe(node)} as a layer; expected a type", hint="write {Linear: [4, 3]}")
    if len(text) <= MAX_NAME_LENGTH and IDENTIFIER.fullmatch(text):
        if text in CONTAINERS or text in LAYER_OPTIONS or text == USE:
            raise node.mark.error(f"{text} without its value", hint="write " + _EXAMPLES.get(text, "{Linear: [4, 3]}"))
        return Name(text, node.mark)
    hint = "types are classes of torch.nn, built-ins and blocks: ReLU, {Linear: [4, 3]}"
    if call := _CALL_SYNTAX.fullmatch(text):
        hint = f"write {{{call[1]}: [{shown(call[2])}]}}"
    elif text.startswith(("torch.nn.", "nn.")):
        hint = f"write {shown(text.rpartition('.')[2])}: types of torch.nn have no prefix"
    elif "." in text:
        hint = "a spec imports nothing; classes of your own come from --modules-file my_layers.py"
    raise node.mark.error(f"{shorten(text)!r} is not a type", hint=hint)


_EXAMPLES = {
    "Sequential": "{Sequential: [layer, ..]}",
    "Residual": "{Residual: [layer, ..]}",
    USE: "{use: NAME}",
}


def parse_name(node: Node, what: str, pattern: re.Pattern[str] = MODULE_NAME) -> Name:
    """A name of letters, digits, `_` (and `-` where the pattern has it).

    Raises:
        SpecError: It is something else; `what` says whose name it is.
    """
    if not isinstance(node, Scalar) or node.value is None:
        raise node.mark.error(f"{what} is {describe(node)}; expected a name")
    if isinstance(node.value, (bool, float)):
        raise node.mark.error(f"{what} is {describe(node)}; expected a name", hint=f"quote it: '{shown(node.text)}'")
    if len(node.text) > MAX_NAME_LENGTH:
        raise node.mark.error(f"{what} is a name of {len(node.text):,} characters; the limit is {MAX_NAME_LENGTH:,}")
    if not pattern.fullmatch(node.text):
        raise node.mark.error(
            f"{what} is {shorten(node.text)!r}; expected letters, digits and _"
            + (" or -" if pattern is MODULE_NAME else ", not beginning with a digit")
        )
    return Name(node.text, node.mark)


def _option_name(node: Node | None) -> Name | None:
    if node is None:
        return None
    name = parse_name(node, "name")
    if name.text == INPUT:
        raise name.mark.error(f"a layer named {INPUT}, which means the input of its list", hint="choose another name")
    return name


def _parse_from(node: Node | None) -> tuple[Name, ...]:
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    if not items:
        raise node.mark.error(f"from is empty; expected names of earlier layers, or {INPUT}")
    return tuple(parse_name(item, "from") for item in items)


def _parse_take(node: Node | None) -> tuple[int, ...]:
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    if not 0 < len(items) <= MAX_TAKE:
        raise node.mark.error(f"take has {len(items)} steps; expected 1 to {MAX_TAKE}")
    return tuple(_index(item) for item in items)


def _index(node: Node) -> int:
    if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    raise node.mark.error(f"take is {describe(node)}; expected an integer: the place in a tuple, from 0")


def parse_block(key: Scalar, node: Node) -> Block:
    """A block: {args, layers}.

    Raises:
        SpecError: At the place of what is wrong.
    """
    name = parse_name(key, "the name of a block", IDENTIFIER)
    if name.text in BUILTINS or name.text in CONTAINERS or name.text in LAYER_OPTIONS or name.text == USE:
        raise name.mark.error(f"a block named {name.text}, which is built in", hint="choose another name")
    if not isinstance(node, MapNode):
        raise node.mark.error(
            f"block {name.text} is {describe(node)}; expected {{args, layers}}", hint="write {layers: [..]}"
        )
    refuse_unknown_keys(node, BLOCK_KEYS, f"block {name.text}")
    layers = node.get("layers")
    if layers is None:
        raise node.mark.error(f"block {name.text} without layers")
    args = node.get("args")
    parameters = () if args is None else _parse_parameters(args, name.text)
    return Block(name, parameters, parse_layers(layers, "layers"))


def _parse_parameters(node: Node, block: str) -> tuple[Parameter, ...]:
    if not isinstance(node, ListNode):
        raise node.mark.error(
            f"args of block {block} is {describe(node)}; expected a list of names", hint="write [dim]"
        )
    parameters: dict[str, Parameter] = {}
    optional = False
    for item in node.items:
        parameter = _parse_parameter(item)
        name, mark = parameter.name.text, parameter.name.mark
        if name in parameters:
            raise mark.error(f"duplicate argument {name} of block {block}")
        optional = optional or parameter.default is not None
        if optional and parameter.default is None:
            raise mark.error(f"argument {name} without a default after one that has a default")
        parameters[name] = parameter
    return tuple(parameters.values())


def _parse_parameter(node: Node) -> Parameter:
    if not isinstance(node, MapNode):
        return Parameter(parse_variable(node, "an argument"))
    if len(node.entries) != 1:
        raise node.mark.error("expected one argument with its default", hint="write [dim, {heads: 8}]")
    key, default = node.entries[0]
    _refuse_mappings(default)
    check_expressions(default)
    return Parameter(parse_variable(key, "an argument"), default)


RESERVED = ("i", "fan_in", "fan_out", "sqrt", "log", "min", "max")
"""Names that expressions give a meaning of their own."""


def parse_variable(node: Node, what: str) -> Name:
    """A name that `$name` can mean.

    Raises:
        SpecError: Not a name, or one that has a meaning already.
    """
    name = parse_name(node, what, IDENTIFIER)
    if name.text in RESERVED:
        raise name.mark.error(
            f"{what} named {name.text}, which has a meaning in expressions", hint="choose another name"
        )
    return name


def refuse_unknown_keys(node: MapNode, known: dict[str, str], what: str) -> None:
    """Stop at the first key that is none of `known`.

    Raises:
        SpecError: With the one that was meant, or all that are known.
    """
    for key, _ in node.entries:
        if key.text not in known:
            hint = suggest(key.text, list(known), most=len(known))
            raise key.mark.error(f"unknown key {shorten(key.text)!r} of {what}", hint=hint)


def require_mapping(node: Node, what: str, mark: Mark | None = None) -> MapNode:
    """The node itself, if it is a mapping.

    Raises:
        SpecError: It is something else.
    """
    if not isinstance(node, MapNode):
        raise (mark or node.mark).error(f"{what} is {describe(node)}; expected a mapping")
    return node
