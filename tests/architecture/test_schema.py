from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from paraminspect import architecture
from paraminspect.architecture.built_in import BUILTINS
from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.nodes import ListNode, Node, Scalar
from paraminspect.architecture.parse import TOP_LEVEL, parse_spec
from paraminspect.architecture.schema import FILE, make_schema, render_schema
from paraminspect.architecture.yaml_marks import parse_yaml
from paraminspect.errors import ParamInspectError, SpecError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SCHEMA = make_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
TESTS = Path(__file__).parents[1]


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def accepted(text: str) -> bool:
    return VALIDATOR.is_valid(plain(parse_yaml(text).root))


def test_the_file_is_what_the_code_makes() -> None:
    written = Path(next(iter(architecture.__path__))) / FILE
    assert written.read_text(encoding="utf-8") == render_schema(), "run python -m paraminspect.architecture.schema"
    assert json.loads(render_schema()) == SCHEMA


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def specs_of_tests() -> Iterator[str]:
    """Every text in a test that the parser takes for a spec."""
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "model:" in node.value:
                try:
                    plan_model(parse_spec(node.value))
                except ParamInspectError:
                    continue
                yield node.value


def test_every_spec_of_the_tests_is_valid() -> None:
    found = list(specs_of_tests())
    assert [text for text in found if not accepted(text)] == []
    assert len(found) > 100


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_misspelt_word_of_a_config_is_refused(path: Path) -> None:
    """As an editor would underline it."""
    value = plain(parse_yaml(path.read_text(encoding="utf-8")).root)
    for key in value:
        assert not VALIDATOR.is_valid({f"{name}x" if name == key else name: each for name, each in value.items()}), key


@pytest.mark.parametrize(
    "layer",
    [
        "{Linear: [4, 3], repeet: 2}",
        "{use: a, nam: b}",
        "{Param: {shpe: [2]}}",
        "{Sequential: [ReLU], From: input, frm: x}",
    ],
)
def test_a_misspelt_word_of_a_layer_is_refused(layer: str) -> None:
    assert not accepted(f"model: [{layer}]")


@pytest.mark.parametrize("layer", ["{Linear: [4, 3], repeat: 2}", "{my_block: [3], repeat: 2}", "{use: a, name: b}"])
def test_a_word_of_ones_own_is_a_block(layer: str) -> None:
    assert accepted(f"model: [{layer}]")


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
            "if": st.sampled_from([True, "$n", "x"]),  # of a layer that is left out, nothing more is parsed
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
    assert VALIDATOR.is_valid(value)
