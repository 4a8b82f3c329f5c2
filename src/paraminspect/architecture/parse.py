"""Text -> `Spec`: every key of a spec, checked as far as it can be without building the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from paraminspect.architecture.blocks import parse_block
from paraminspect.architecture.fields import (
    is_identifier,
    parse_name,
    parse_outputs,
    parse_variable,
    refuse_unknown_keys,
    require_mapping,
)
from paraminspect.architecture.layers import parse_layer, parse_layers
from paraminspect.architecture.model import Layer, Loss, RuleSet, RuleText, Spec, Tie, Use, Value
from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe, shown
from paraminspect.architecture.scalars import parse_scalar
from paraminspect.architecture.tensors import parse_inputs, parse_loss
from paraminspect.architecture.values import Scope
from paraminspect.architecture.yaml_marks import parse_yaml
from paraminspect.errors import SpecError
from paraminspect.names.suggestions import suggest
from paraminspect.text import shorten

TOP_LEVEL = {
    "vars": "Values that $name and $(4*name) stand for; -D name=value overrides one.",
    "blocks": "Named pieces of architecture: {NAME: {args: [..], layers: [..]}}, used like a type.",
    "shared": "Modules that are built once and stand wherever {use: NAME} does: {NAME: layer}.",
    "model": "The layers of the model, one after the other.",
    "outputs": "Several outputs: {NAME: layer} makes a mapping, [layer, ..] a tuple; else it is that of the last layer.",
    "tie": "One tensor under two names: {alias: source}, dotted parameter names.",
    "input": "Shape of the input, how it is made, or several named inputs.",
    "loss": "What the backward pass starts from: sum, mean, cross_entropy, .., output.NAME, or {WORD: how the target is made}.",
    "init": "Initialisation rules, or named sets of them, chosen by --rule NAME.",
}
"""Keys of a spec."""

Override = str | int | float | bool


def parse_spec(
    data: str | bytes,
    *,
    source: str = "",
    overrides: Mapping[str, Override] | None = None,
    elsewhere: Collection[str] = (),
) -> Spec:
    """Parse a spec.

    Args:
        data: YAML or JSON, text or UTF-8 bytes.
        source: What the user typed, for the errors.
        overrides: Values of `vars` by name, as `-D name=value` gives them; text is read as a YAML scalar.
        elsewhere: Names among them that may be variables of a config only.

    Raises:
        SpecError: Anything wrong with it, with line and column.

    Example:
        >>> parse_spec("model: [{Linear: [4, 3]}, ReLU]").layers[1].what.type.text
        'ReLU'
    """
    try:
        return _parse(data, source, overrides or {}, elsewhere)
    except SpecError as error:
        told = _foreign(data) or error
        told.source = source or None
        raise told from None


def _foreign(data: str | bytes) -> SpecError | None:
    """What is to be said of text that is no spec because it is another program's; None of any other."""
    from paraminspect.architecture.foreign import find_foreign

    try:
        return find_foreign(parse_yaml(data).root)
    except SpecError:
        return None


def parse_rule_sets(
    data: str | bytes, *, source: str = "", overrides: Mapping[str, Override] | None = None
) -> tuple[dict[str, Value], tuple[RuleSet, ...]]:
    """Variables and rule sets of a config: a whole spec, or a file with `init` and perhaps `vars` alone.

    Args:
        data: YAML or JSON, text or UTF-8 bytes.
        source: What the user typed, for the errors.
        overrides: Values of its `vars` by name; those of others are left out of account.

    Raises:
        SpecError: Anything wrong with these two keys, or a key that no spec has.
    """
    try:
        root, _ = _parse_root(data)
        node = root.get("init")
        if node is None:
            raise root.mark.error("a config without init", hint="write init: {gaussian: ['*.weight=normal(std=0.01)']}")
        section = _section(root, "vars")
        known = {key.text for key, _ in _entries(section)}
        given = {name: value for name, value in (overrides or {}).items() if name in known}
        return _parse_vars(section, given), _parse_init(node)
    except SpecError as error:
        error.source = source or None
        raise


def find_variables(data: str | bytes, *, source: str = "") -> list[str]:
    """Names of the `vars` of a spec, in order.

    Raises:
        SpecError: No mapping, or a key that no spec has.
    """
    try:
        return [key.text for key, _ in _entries(_section(_parse_root(data)[0], "vars"))]
    except SpecError as error:
        error.source = source or None
        raise


def _parse_root(data: str | bytes) -> tuple[MapNode, tuple[Mark, ...]]:
    """The mapping, and where aliases stand."""
    document = parse_yaml(data)
    root = document.root
    if not isinstance(root, MapNode):
        raise root.mark.error(f"{describe(root)}; expected a mapping", hint="a spec has the key model: [layer, ..]")
    refuse_unknown_keys(root, TOP_LEVEL, "a spec")
    return root, document.aliases


def _parse(data: str | bytes, source: str, overrides: Mapping[str, Override], elsewhere: Collection[str]) -> Spec:
    root, aliases = _parse_root(data)
    model = root.get("model")
    if model is None:
        raise root.mark.error("a spec without model", hint="write model: [layer, ..]")
    variables = _section(root, "vars")
    others = set(elsewhere).difference(key.text for key, _ in _entries(variables))
    names = _parse_vars(variables, {name: value for name, value in overrides.items() if name not in others})
    scope = Scope(names)
    shared = _section(root, "shared")
    input_node, loss_node, init_node = root.get("input"), root.get("loss"), root.get("init")
    return Spec(
        layers=parse_layers(model, "model"),
        source=source,
        vars=names,
        blocks={key.text: parse_block(key, value) for key, value in _entries(_section(root, "blocks"))},
        shared={key.text: _parse_shared(key, value) for key, value in _entries(shared)},
        shared_marks={key.text: key.mark for key, _ in _entries(shared)},
        ties=_parse_ties(_section(root, "tie")),
        inputs=() if input_node is None else parse_inputs(input_node, scope),
        loss=Loss() if loss_node is None else parse_loss(loss_node, scope),
        rule_sets=() if init_node is None else _parse_init(init_node),
        aliases=aliases,
        outputs=parse_outputs(root.get("outputs")),
    )


def _section(root: MapNode, key: str) -> MapNode | None:
    node = root.get(key)
    return None if node is None else require_mapping(node, key)


def _entries(node: MapNode | None) -> tuple[tuple[Scalar, Node], ...]:
    return () if node is None else node.entries


def _parse_vars(node: MapNode | None, overrides: Mapping[str, Override]) -> dict[str, Value]:
    """Values in order; one may use those before it."""
    known = [key.text for key, _ in _entries(node)]
    given = {name: _parse_override(name, value, known) for name, value in overrides.items()}
    names: dict[str, Value] = {}
    scope = Scope(names)
    for key, value in _entries(node):
        name = parse_variable(key, "a variable").text
        evaluated = scope.value(value)
        names[name] = given.get(name, evaluated)
    return names


def _parse_override(name: str, value: Override, known: list[str]) -> Value:
    if name not in known:
        hint = suggest(name, known) or "the spec has no vars"
        raise SpecError(f"-D {shown(name)}: unknown variable", hint=hint)
    if isinstance(value, str):
        try:
            return parse_scalar(value, Mark(1, 1)).value
        except SpecError as error:
            raise SpecError(f"-D {name}: {error.message}", hint=error.hint) from None
    return value


def _parse_shared(key: Scalar, node: Node) -> Layer:
    name = parse_name(key, "the name of a shared module", is_identifier).text
    layer = parse_layer(node)
    if layer.name is not None or layer.inputs or layer.take or layer.condition is not None:
        raise layer.mark.error(
            f"shared module {name} with name, from, take or if",
            hint="write them where it is used: {use: NAME, name: fc}",
        )
    if isinstance(layer.what, Use) and layer.repeat is None:
        raise layer.mark.error(f"shared module {name} is only another name", hint=f"use {layer.what.name.text}")
    return layer


def _parse_ties(node: MapNode | None) -> tuple[Tie, ...]:
    """Ties with chains followed to their end: of {a: b, b: c}, a and b are both tied to c."""
    sources: dict[str, tuple[str, Mark]] = {}
    for key, value in _entries(node):
        if not isinstance(value, Scalar) or value.value is None or isinstance(value.value, bool):
            raise value.mark.error(f"tie of {shown(key.text)} is {describe(value)}; expected a dotted name")
        for scalar in (key, value):
            if not all(scalar.text.split(".")) or any(character.isspace() for character in scalar.text):
                raise scalar.mark.error(f"{shorten(scalar.text)!r} is not a dotted name", hint="write embed.weight")
        sources[key.text] = value.text, key.mark
    ends: dict[str, str] = {}
    for alias, (_, mark) in sources.items():
        trail: dict[str, None] = {}
        name = alias
        while name in sources and name not in ends:
            if name in trail:
                raise mark.error(f"{shown(alias)} is tied to itself", hint="write {alias: source}")
            trail[name] = None
            name = sources[name][0]
        ends.update(dict.fromkeys(trail, ends.get(name, name)))
    return tuple(Tie(alias, ends[alias], mark) for alias, (_, mark) in sources.items())


def _parse_init(node: Node) -> tuple[RuleSet, ...]:
    if isinstance(node, ListNode):
        return (RuleSet(None, _parse_rules(node, "init")),)
    if not isinstance(node, MapNode):
        raise node.mark.error(
            f"init is {describe(node)}; expected a list of rules, or named lists",
            hint="write ['*.weight=normal(std=0.02)']",
        )
    sets = []
    for key, value in node.entries:
        if "=" in key.text or not isinstance(value, ListNode):
            raise value.mark.error(
                f"rule set {shorten(key.text)!r} is {describe(value)}; expected a name and a list of rules",
                hint="write {gaussian: ['*.weight=normal(std=0.01)']}",
            )
        name = parse_name(key, "the name of a rule set").text
        sets.append(RuleSet(name, _parse_rules(value, f"rule set {name}")))
    return tuple(sets)


def _parse_rules(node: ListNode, what: str) -> tuple[RuleText, ...]:
    rules = []
    for item in node.items:
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            raise item.mark.error(
                f"a rule of {what} is {describe(item)}; expected text", hint="write '*.weight=normal(std=0.02)'"
            )
        if not item.value.partition("=")[0].strip() or not item.value.partition("=")[2].strip():
            raise item.mark.error(
                f"the rule {shorten(item.value)!r}; expected selector = action",
                hint="write '*.weight=normal(std=0.02)'",
            )
        begin = item.mark.column + (item.verbatim and not item.plain)  # behind the quote
        rules.append(RuleText(item.value, Mark(item.mark.line, begin), item.verbatim))
    return tuple(rules)
