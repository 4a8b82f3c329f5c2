"""Nodes -> blocks, as they are written."""

from __future__ import annotations

from paraminspect.architecture.built_in import BUILTINS, CONTAINERS
from paraminspect.architecture.fields import (
    is_identifier,
    parse_name,
    parse_outputs,
    parse_variable,
    refuse_unknown_keys,
)
from paraminspect.architecture.layers import LAYER_OPTIONS, USE, parse_layers, refuse_mappings
from paraminspect.architecture.model import Block, Name, Parameter
from paraminspect.architecture.nodes import ListNode, MapNode, Node, Scalar, describe
from paraminspect.architecture.values import check_expressions

BLOCK_KEYS = {
    "args": "Names of its arguments, $name inside; {name: default} for one that may be left out.",
    "inputs": "What its inputs are called in from, where it has several; else there is one: input.",
    "layers": "What it is made of.",
    "outputs": "Several outputs, as of a model; else its output is that of its last layer.",
}


def parse_block(key: Scalar, node: Node) -> Block:
    """A block: {args, layers}.

    Raises:
        SpecError: At the place of what is wrong.
    """
    name = parse_name(key, "the name of a block", is_identifier)
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
    return Block(
        name,
        parameters,
        parse_layers(layers, "layers"),
        _parse_inputs(node.get("inputs")),
        parse_outputs(node.get("outputs")),
    )


def _parse_inputs(node: Node | None) -> tuple[Name, ...]:
    if node is None:
        return ()
    if not isinstance(node, ListNode) or not node.items:
        raise node.mark.error(f"inputs is {describe(node)}; expected a list of names", hint="write [x, skip]")
    names: dict[str, Name] = {}
    for item in node.items:
        name = parse_name(item, "an input")
        if name.text in names:
            raise name.mark.error(f"duplicate input {name.text}")
        names[name.text] = name
    return tuple(names.values())


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
    refuse_mappings(default)
    check_expressions(default)
    return Parameter(parse_variable(key, "an argument"), default)
