"""Names, keys and sources, as they are written: the small pieces that all of a spec is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from paraminspect.architecture.model import Name, Output, Pick, Source
from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe, shown
from paraminspect.architecture.plan import INPUT
from paraminspect.names.suggestions import suggest
from paraminspect.text import shorten

MAX_NAME_LENGTH: Final = 200
"""Characters of one name of a layer, variable, block or input."""

MAX_TAKE: Final = 8
"""Steps into a nested tuple output."""

IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*"
MODULE_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
SOURCE: Final = rf"(-[0-9]+|{MODULE_NAME})((?:\.{MODULE_NAME}){{0,{MAX_TAKE}}})"
"""A layer or input, by name or counted back from here, and what is taken of its output.

Of these the JSON Schema is made. To compile them takes longer than to read a spec, which looks without them.
"""


def is_identifier(text: str) -> bool:
    """Whether all of it is an `IDENTIFIER`."""
    return text.isascii() and text.isidentifier()


def is_module_name(text: str) -> bool:
    """Whether all of it is a `MODULE_NAME`."""
    return text[:1] not in ("", "-") and is_identifier(f"_{text.replace('-', '_')}")


def parse_name(node: Node, what: str, is_name: Callable[[str], bool] = is_module_name) -> Name:
    """A name of letters, digits, `_` (and `-` where a module may be called so).

    Raises:
        SpecError: It is something else; `what` says whose name it is.
    """
    if not isinstance(node, Scalar) or node.value is None:
        raise node.mark.error(f"{what} is {describe(node)}; expected a name")
    if isinstance(node.value, (bool, float)):
        raise node.mark.error(f"{what} is {describe(node)}; expected a name", hint=f"quote it: '{shown(node.text)}'")
    if len(node.text) > MAX_NAME_LENGTH:
        raise node.mark.error(f"{what} is a name of {len(node.text):,} characters; the limit is {MAX_NAME_LENGTH:,}")
    if not is_name(node.text):
        raise node.mark.error(
            f"{what} is {shorten(node.text)!r}; expected letters, digits and _"
            + (" or -" if is_name is is_module_name else ", not beginning with a digit")
        )
    return Name(node.text, node.mark)


RESERVED = ("i", "fan_in", "fan_out", "sqrt", "log", "min", "max")
"""Names that expressions give a meaning of their own."""


def parse_variable(node: Node, what: str) -> Name:
    """A name that `$name` can mean.

    Raises:
        SpecError: Not a name, or one that has a meaning already.
    """
    name = parse_name(node, what, is_identifier)
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


def parse_source(node: Node, what: str) -> Source:
    """A name, perhaps with what is taken of its output: `a`, `-1`, `encoder.1`, `heads.mu`.

    Raises:
        SpecError: It is something else; `what` says whose it is.
    """
    if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
        raise node.mark.error(f"{what} is {describe(node)}; expected a name")
    if len(node.text) > MAX_NAME_LENGTH:
        raise node.mark.error(f"{what} is a name of {len(node.text):,} characters; the limit is {MAX_NAME_LENGTH:,}")
    name, *steps = node.text.split(".")
    back = name.removeprefix("-")
    is_back = back != name and back.isascii() and back.isdigit()
    if not (is_back or is_module_name(name)) or len(steps) > MAX_TAKE or not all(map(is_module_name, steps)):
        raise node.mark.error(
            f"{what} is {shorten(node.text)!r}; expected a name, or -1, with .0 for an element of its output"
        )
    pick: list[Pick] = [int(step) if step.isdecimal() else step for step in steps]
    return Source(Name(name, node.mark), tuple(pick))


def parse_sources(node: Node | None, what: str) -> tuple[Source, ...]:
    """One source, or a list of them; none where there is no node.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    if not items:
        raise node.mark.error(f"{what} is empty; expected names of earlier layers, or {INPUT}")
    return tuple(parse_source(item, what) for item in items)


def parse_outputs(node: Node | None) -> tuple[Output, ...]:
    """Several outputs: a mapping by name, or a list, which makes a tuple; none where there is no node.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if node is None:
        return ()
    if isinstance(node, MapNode) and node.entries:
        return tuple(
            Output(parse_name(key, "the name of an output").text, parse_source(value, f"output {shown(key.text)}"))
            for key, value in node.entries
        )
    if isinstance(node, ListNode) and node.items:
        return tuple(Output(None, parse_source(item, "an output")) for item in node.items)
    raise node.mark.error(
        f"outputs is {describe(node)}; expected names of layers",
        hint="write {mu: fc_mu, logvar: fc_logvar}, or [fc_mu, fc_logvar]",
    )
