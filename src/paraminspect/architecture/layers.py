"""Nodes -> layers, as they are written."""

from __future__ import annotations

import re

from paraminspect.architecture.built_in import CONTAINERS, PARAMETRIZATIONS
from paraminspect.architecture.fields import (
    MAX_NAME_LENGTH,
    MAX_TAKE,
    is_identifier,
    parse_name,
    parse_sources,
    refuse_unknown_keys,
    require_mapping,
)
from paraminspect.architecture.model import Call, Experts, Layer, Name, Parallel, Residual, Sequential, Use
from paraminspect.architecture.nodes import ListNode, MapNode, Node, Scalar, describe, shown
from paraminspect.architecture.plan import INPUT
from paraminspect.architecture.values import check_expressions, expression_of
from paraminspect.names.suggestions import closest
from paraminspect.text import shorten

LAYER_OPTIONS = {
    "name": "Name of the child module; without it, its place in the list (0, 1, ...).",
    "repeat": "Number of copies: children NAME.0, NAME.1, ...; $i is the number of the copy.",
    "parallel": "true: each copy of a repeat gets the same input, and the output is a tuple of theirs.",
    "from": "Where the input comes from: earlier layers of the same list, input, or -1, -2, .. counted back from here; "
    "NAME.0 and NAME.key take one element of an output. Several are passed in this order.",
    "take": "Which element of a tuple output is taken; a list reaches into nested tuples.",
    "if": "A variable, or an expression: where it is false or 0, the layer is left out, as if it were not written.",
    "parametrize": "How tensors of the layer are computed from others: {weight: weight_norm}, spectral_norm or orthogonal.",
}
"""Keys beside the type of a layer."""

RESIDUAL_KEYS = {
    "body": "Layers whose output is added to the shortcut's.",
    "shortcut": "Layers that the input passes; without them the input itself is added.",
}
EXPERTS_KEYS = {
    "gate": "A layer, or a list, that gives a score for each expert in its last dimension.",
    "expert": "A layer, or a list: what each expert is; $i is its number.",
    "count": "Number of experts. Each runs on the whole input, whatever its weight.",
    "top": "How many experts each position has: those of the largest weights.",
    "normalize": "false: the weights are not divided by their sum; true if left out.",
}
USE = "use"

NO_NESTED_LAYER = "a layer cannot be an argument of another: put both in a list of layers, or repeat it"
_CALL_SYNTAX = r"([A-Za-z_][A-Za-z0-9_]*)\s*\((.*)\)"


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
    repeat, condition = node.get("repeat"), node.get("if")
    for each in (repeat, condition):
        if each is not None:
            check_expressions(each)
    return Layer(
        _parse_what(key, value),
        key.mark,
        name=_option_name(node.get("name")),
        repeat=repeat,
        inputs=parse_sources(node.get("from"), "from"),
        take=_parse_take(node.get("take")),
        parallel=_parse_parallel(node.get("parallel"), repeat),
        condition=condition,
        parametrize=_parse_parametrize(node.get("parametrize")),
    )


def _not_one_type(node: MapNode, types: list[Scalar]) -> Exception:
    if not types:
        found = ", ".join(key.text for key, _ in node.entries)
        return node.mark.error(
            f"a layer without a type: {found or 'an empty mapping'}", hint="write {Linear: [4, 3], name: fc}"
        )
    for key in types:
        if key.text in PARAMETRIZATIONS:
            raise key.mark.error(
                f"unknown layer option {key.text!r}", hint=f"write parametrize: {{weight: {key.text}}}"
            )
        if hint := closest(key.text, [*LAYER_OPTIONS, USE]):
            return key.mark.error(f"unknown layer option {shorten(key.text)!r}", hint=hint)
    return types[1].mark.error(
        f"two types in one layer: {shown(types[0].text)} and {shown(types[1].text)}",
        hint="begin each layer with its own dash",
    )


def _parse_what(key: Scalar, value: Node) -> Call | Sequential | Residual | Parallel | Experts | Use:
    match key.text:
        case "use":
            return Use(parse_name(value, "use", is_identifier))
        case "Sequential":
            return Sequential(parse_layers(value, "Sequential"))
        case "Residual":
            return _parse_residual(value)
        case "Parallel":
            return _parse_branches(value)
        case "MixtureOfExperts":
            return _parse_experts(value)
    args, kwargs = _parse_arguments(value)
    return Call(_type_name(key), args, kwargs)


def _parse_residual(value: Node) -> Residual:
    if not isinstance(value, MapNode):
        return Residual(parse_layers(value, "Residual"))
    refuse_unknown_keys(value, RESIDUAL_KEYS, "Residual")
    body, shortcut = value.get("body"), value.get("shortcut")
    if body is None:
        raise value.mark.error("Residual without body", hint="write {body: [..], shortcut: [..]}")
    return Residual(parse_layers(body, "body"), parse_layers(shortcut, "shortcut") if shortcut is not None else ())


def _parse_branches(value: Node) -> Parallel:
    hint = "write [layer, [layer, ..]], or {NAME: layer, ..}"
    if isinstance(value, MapNode):
        if not value.entries:
            raise value.mark.error("Parallel is empty; expected at least one branch", hint=hint)
        named = [(parse_name(key, "the name of a branch"), _parse_branch(each)) for key, each in value.entries]
        return Parallel(tuple(named), True)
    if not isinstance(value, ListNode) or not value.items:
        raise value.mark.error(f"Parallel is {describe(value)}; expected branches", hint=hint)
    branches = [_parse_branch(each, is_named=True) for each in value.items]
    names = [branch.name or Name(str(place), branch.mark) for place, branch in enumerate(branches)]
    return Parallel(tuple(zip(names, branches, strict=True)), False)


def _parse_branch(node: Node, *, is_named: bool = False) -> Layer:
    """A layer that stands alone, or a list of them.

    Args:
        is_named: Whether it may have a name.
    """
    if isinstance(node, ListNode):
        return Layer(Sequential(parse_layers(node, "a branch")), node.mark)
    layer = parse_layer(node)
    if layer.inputs or layer.condition is not None or (layer.name and not is_named):
        raise layer.mark.error("name, from or if on a layer that stands alone", hint="put it in a list: [layer, ..]")
    return layer


def _parse_experts(value: Node) -> Experts:
    node = require_mapping(value, "MixtureOfExperts")
    refuse_unknown_keys(node, EXPERTS_KEYS, "MixtureOfExperts")
    keys = {key.text: each for key, each in node.entries}
    for key in ("gate", "expert", "count", "top"):
        if key not in keys:
            raise node.mark.error(
                f"MixtureOfExperts without {key}",
                hint="write {gate: {Linear: [8, 4]}, expert: {Linear: [8, 8]}, count: 4, top: 2}",
            )
    for key in ("count", "top", "normalize"):
        if key in keys:
            refuse_mappings(keys[key])
            check_expressions(keys[key])
    gate, expert = _parse_branch(keys["gate"]), _parse_branch(keys["expert"])
    for layer in (gate, expert):
        if layer.take or layer.repeat is not None:
            raise layer.mark.error("take or repeat on a layer that stands alone", hint="put it in a list: [layer, ..]")
    return Experts(gate, expert, keys["count"], keys["top"], keys.get("normalize"))


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
        refuse_mappings(item)
        check_expressions(item)
    return args, kwargs


def _parse_kwargs(node: MapNode) -> tuple[tuple[Name, Node], ...]:
    for key, value in node.entries:
        if not is_identifier(key.text):
            raise key.mark.error(
                f"{shorten(key.text)!r} as the name of an argument", hint="positional arguments stand in a list: [4, 3]"
            )
        refuse_mappings(value)
        check_expressions(value)
    return tuple((Name(key.text, key.mark), value) for key, value in node.entries)


def refuse_mappings(node: Node) -> None:
    """Stop at a mapping where only plain values can stand.

    Raises:
        SpecError: At the mapping.
    """
    if isinstance(node, MapNode):
        raise node.mark.error(
            "a mapping as an argument; expected a number, text, true, false, null or a list",
            hint=NO_NESTED_LAYER,
        )
    if isinstance(node, ListNode):
        for item in node.items:
            refuse_mappings(item)


def _type_name(node: Scalar) -> Name:
    text = node.text
    if not isinstance(node.value, str):
        raise node.mark.error(f"{describe(node)} as a layer; expected a type", hint="write {Linear: [4, 3]}")
    if text.startswith("$"):
        return _type_variable(node)
    if len(text) <= MAX_NAME_LENGTH and is_identifier(text):
        if text in CONTAINERS or text in LAYER_OPTIONS or text == USE:
            raise node.mark.error(f"{text} without its value", hint="write " + _EXAMPLES.get(text, "{Linear: [4, 3]}"))
        return Name(text, node.mark)
    hint = "types are classes of torch.nn, built-ins and blocks: ReLU, {Linear: [4, 3]}"
    if call := re.fullmatch(_CALL_SYNTAX, text):
        hint = f"write {{{call[1]}: [{shown(call[2])}]}}"
    elif text.startswith(("torch.nn.", "nn.")):
        hint = f"write {shown(text.rpartition('.')[2])}: types of torch.nn have no prefix"
    elif "." in text:
        hint = "a spec imports nothing; classes of your own come from --modules-file my_layers.py"
    raise node.mark.error(f"{shorten(text)!r} is not a type", hint=hint)


def _type_variable(node: Scalar) -> Name:
    check_expressions(node)
    if isinstance(expression_of(node.text), str):
        raise node.mark.error(
            f"{shorten(node.text)!r} as a type; expected $name", hint="write $act, and vars: {act: ReLU}"
        )
    return Name(node.text, node.mark)


_EXAMPLES = {
    "Sequential": "{Sequential: [layer, ..]}",
    "Residual": "{Residual: [layer, ..]}",
    "Parallel": "{Parallel: [layer, [layer, ..]]}",
    "MixtureOfExperts": "{MixtureOfExperts: {gate: layer, expert: layer, count: 8, top: 2}}",
    USE: "{use: NAME}",
}


def _option_name(node: Node | None) -> Name | None:
    if node is None:
        return None
    name = parse_name(node, "name")
    if name.text == INPUT:
        raise name.mark.error(f"a layer named {INPUT}, which means the input of its list", hint="choose another name")
    return name


def _parse_parallel(node: Node | None, repeat: Node | None) -> bool:
    if node is None:
        return False
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        raise node.mark.error(
            f"parallel is {describe(node)}; expected true or false", hint="branches are {Parallel: [layer, ..]}"
        )
    if repeat is None:
        raise node.mark.error("parallel without repeat", hint="write repeat: 3, or branches: {Parallel: [layer, ..]}")
    return node.value


def _parse_parametrize(node: Node | None) -> tuple[tuple[Name, Call], ...]:
    if node is None:
        return ()
    hint = "write parametrize: {weight: weight_norm}"
    if not isinstance(node, MapNode):
        raise node.mark.error(f"parametrize is {describe(node)}; expected a mapping", hint=hint)
    found = []
    for key, value in node.entries:
        kind, given = (value, None) if isinstance(value, Scalar) else _only_entry(value, hint)
        if kind.text not in PARAMETRIZATIONS:
            raise kind.mark.error(
                f"parametrize by {describe(kind)}; expected one of {', '.join(PARAMETRIZATIONS)}",
                hint=closest(kind.text, PARAMETRIZATIONS),
            )
        args, kwargs = ((), ()) if given is None else _parse_arguments(given)
        found.append((parse_name(key, "a tensor", is_identifier), Call(Name(kind.text, kind.mark), args, kwargs)))
    return tuple(found)


def _only_entry(node: Node, hint: str) -> tuple[Scalar, Node]:
    if isinstance(node, MapNode) and len(node.entries) == 1:
        return node.entries[0]
    raise node.mark.error(f"parametrize by {describe(node)}; expected one name", hint=hint)


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
