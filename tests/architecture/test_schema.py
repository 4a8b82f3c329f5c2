from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect import architecture
from paraminspect.architecture.built_in import BUILTINS
from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.nodes import ListNode, Node, Scalar
from paraminspect.architecture.parse import TOP_LEVEL, parse_spec
from paraminspect.architecture.schema import FILE, make_schema, render_schema
from paraminspect.architecture.yaml_marks import parse_yaml
from paraminspect.errors import SpecError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


class Validator:
    """The keywords of draft 2020-12 that the schema uses, and no others."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.root = schema

    def valid(self, value: Any, schema: dict[str, Any]) -> bool:
        return all(getattr(self, f"_{key.lstrip('$')}")(value, schema[key], schema) for key in schema)

    def _schema(self, value: Any, said: Any, schema: Any) -> bool:
        return True

    _title = _description = _default = _defs = _schema

    def _ref(self, value: Any, said: str, schema: Any) -> bool:
        target = self.root
        for part in said.removeprefix("#/").split("/"):
            target = target[part]
        return self.valid(value, target)

    def _type(self, value: Any, said: str | list[str], schema: Any) -> bool:
        return any(TYPES[name](value) for name in ([said] if isinstance(said, str) else said))

    def _const(self, value: Any, said: Any, schema: Any) -> bool:
        return bool(value == said)

    def _enum(self, value: Any, said: list[Any], schema: Any) -> bool:
        return value in said

    def _not(self, value: Any, said: Any, schema: Any) -> bool:
        return not self.valid(value, said)

    def _anyOf(self, value: Any, said: list[Any], schema: Any) -> bool:  # noqa: N802 - the keyword's own name
        return any(self.valid(value, option) for option in said)

    def _pattern(self, value: Any, said: str, schema: Any) -> bool:
        return not isinstance(value, str) or re.search(said, value) is not None

    def _minimum(self, value: Any, said: float, schema: Any) -> bool:
        return not TYPES["number"](value) or value >= said

    def _maximum(self, value: Any, said: float, schema: Any) -> bool:
        return not TYPES["number"](value) or value <= said

    def _minLength(self, value: Any, said: int, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, str) or len(value) >= said

    def _minItems(self, value: Any, said: int, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, list) or len(value) >= said

    def _maxItems(self, value: Any, said: int, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, list) or len(value) <= said

    def _items(self, value: Any, said: Any, schema: Any) -> bool:
        return not isinstance(value, list) or all(self.valid(item, said) for item in value)

    def _minProperties(self, value: Any, said: int, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, dict) or len(value) >= said

    def _maxProperties(self, value: Any, said: int, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, dict) or len(value) <= said

    def _required(self, value: Any, said: list[str], schema: Any) -> bool:
        return not isinstance(value, dict) or set(said) <= set(value)

    def _properties(self, value: Any, said: dict[str, Any], schema: Any) -> bool:
        return not isinstance(value, dict) or all(self.valid(value[key], said[key]) for key in said if key in value)

    def _propertyNames(self, value: Any, said: Any, schema: Any) -> bool:  # noqa: N802
        return not isinstance(value, dict) or all(self.valid(key, said) for key in value)

    def _additionalProperties(self, value: Any, said: Any, schema: Any) -> bool:  # noqa: N802
        if not isinstance(value, dict):
            return True
        others = [value[key] for key in value if key not in schema.get("properties", {})]
        return not others if said is False else all(self.valid(other, said) for other in others)


SCHEMA = make_schema()
VALIDATOR = Validator(SCHEMA)


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def accepted(text: str) -> bool:
    return VALIDATOR.valid(plain(parse_yaml(text).root), SCHEMA)


def test_the_file_is_what_the_code_makes() -> None:
    written = Path(next(iter(architecture.__path__))) / FILE
    assert written.read_text(encoding="utf-8") == render_schema(), "run python -m paraminspect.architecture.schema"
    assert json.loads(render_schema()) == SCHEMA


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_are_valid(path: Path) -> None:
    assert accepted(path.read_text(encoding="utf-8"))


def test_every_key_is_described() -> None:
    assert set(SCHEMA["properties"]) == set(TOP_LEVEL)
    assert all(section["description"] for section in SCHEMA["properties"].values())
    layer = SCHEMA["$defs"]["layer"]["anyOf"][1]["properties"]
    assert set(BUILTINS) < set(layer)
    assert all(option["description"] for option in layer.values())


@pytest.mark.parametrize(
    "text",
    [
        "[ReLU]",
        "{}",
        "model: []",
        "model: ReLU",
        "model: [3]",
        "model: [{}]",
        "model: [Residual]",
        "model: [torch.nn.ReLU]",
        "model: [ReLU]\nlayers: 3",
        "model: [{ReLU, name: a.b}]",
        "model: [{ReLU, repeat: 0}]",
        "model: [{ReLU, repeat: 10001}]",
        "model: [{ReLU, from: []}]",
        "model: [{ReLU, take: a}]",
        "model: [{Sequential: ReLU}]",
        "model: [{Residual: {shortcut: [ReLU]}}]",
        "model: [{Concat: }]",
        "model: [{Concat: {dim: x}}]",
        "model: [{Attention: {heads: 0}}]",
        "model: [{Param: {shape: [3], op: plus}}]",
        "model: [{Linear: {a b: 3}}]",
        "model: [{Linear: [{a: {b: 3}}]}]",
        "model: [ReLU]\ninput: [2, 0]",
        "model: [ReLU]\ninput: {}",
        "model: [ReLU]\ninput: {shape: [2], dtype: float}",
        "model: [ReLU]\nloss: summ",
        "model: [ReLU]\nloss: {}",
        "model: [ReLU]\ninit: [zeros]",
        "model: [ReLU]\ninit: {a: zeros}",
        "model: [ReLU]\nblocks: {A: {args: [a]}}",
        "model: [ReLU]\nblocks: {A-B: {layers: [ReLU]}}",
        "model: [ReLU]\nvars: {a: {b: 3}}",
        "model: [ReLU]\ntie: {a: [b]}",
    ],
)
def test_what_the_schema_refuses(text: str) -> None:
    assert not accepted(text)


def layers() -> st.SearchStrategy[Any]:
    numbers = st.sampled_from([0, 1, 2, 3, 1.5, True, None, "$n", "$(n+1)", "relu", [1, 2]])
    arguments = numbers | st.lists(numbers, max_size=3) | st.dictionaries(st.sampled_from("abc"), numbers, max_size=2)
    builtins = st.sampled_from(sorted(BUILTINS)).flatmap(
        lambda name: st.fixed_dictionaries(
            {
                name: numbers
                | st.lists(numbers, max_size=2)
                | st.dictionaries(
                    st.sampled_from([argument.name for argument in BUILTINS[name].arguments] or ["x"]),
                    numbers | st.sampled_from(["add", "mul"]),
                )
            }
        )
    )
    options = st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["x", "y", 7, "a-b", "a.b"]),
            "repeat": st.sampled_from([1, 2, "$n", 0]),
            "from": st.sampled_from(["input", "x", 0, -1, "0.1", ["input", -1], ["x", "input", 0], "x.mu"]),
            "take": st.sampled_from([0, -1, [1, 0], "x"]),
            "parallel": st.sampled_from([True, False, 3]),
            "if": st.sampled_from([True, "$n", 0, "x"]),
            "parametrize": st.sampled_from([{"weight": "weight_norm"}, {"weight": {"weight_norm": [1]}}, {"w": "x"}]),
        },
    )
    kinds = st.recursive(
        builtins | st.dictionaries(st.sampled_from(["ReLU", "Linear"]), arguments, min_size=1, max_size=1),
        lambda inner: (
            st.builds(
                lambda name, body: {name: body},
                st.sampled_from(["Sequential", "Residual", "Parallel"]),
                st.lists(inner, min_size=1, max_size=2),
            )
            | st.builds(lambda a, b: {"Parallel": {"mu": a, "x": [b]}}, inner, inner)
            | st.builds(
                lambda gate, expert, top: {
                    "MixtureOfExperts": {"gate": gate, "expert": [expert], "count": "$n", "top": top}
                },
                inner,
                inner,
                st.sampled_from([1, 3, "$n"]),
            )
        ),
        max_leaves=3,
    )
    return st.sampled_from(["ReLU", "Positions", "$act", "Mean"]) | st.builds(
        lambda kind, more: {**kind, **more}, kinds, options
    )


SPECS = st.fixed_dictionaries(
    {"model": st.lists(layers(), min_size=1, max_size=3), "vars": st.just({"n": 2, "act": "ReLU"})},
    optional={
        "input": st.sampled_from(
            [[2, 3], [], {"shape": ["$n"], "fill": 0}, {"x": [2]}, {"shape": [2], "dtype": "bool"}]
        ),
        "outputs": st.sampled_from([[0], ["x.mu", -1], {"y": "input"}, {}]),
        "loss": st.sampled_from(["sum", {"target": [2]}, "other"]),
        "init": st.sampled_from([[], ["a=b"], {"x": ["a=b"]}, ["a"]]),
        "tie": st.sampled_from([{}, {"a": "b"}, {"0.weight": "1.weight"}]),
    },
)


@given(SPECS)
def test_what_the_parser_accepts_the_schema_accepts(value: dict[str, Any]) -> None:
    try:
        plan_model(parse_spec(json.dumps(value)))
    except SpecError:
        return
    assert VALIDATOR.valid(value, SCHEMA)
