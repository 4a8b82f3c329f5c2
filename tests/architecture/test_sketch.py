"""What is told of a spec without torch is what torch builds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.module_outline import Outline, make_nodes
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.reserved import ATTRIBUTES
from paraminspect.architecture.sketch import sketch_model, sketch_records
from paraminspect.architecture.torch_version import prints_as_told
from paraminspect.errors import SpecError
from paraminspect.live.build.containers import Flow, MixtureOfExperts, Parallel, Residual
from paraminspect.live.build.live_model import build_spec
from paraminspect.live.build.outline import make_module_tree, outline_module
from paraminspect.records import TensorRecord
from tests.making.specs import random_spec

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def sketched(text: str | bytes) -> Outline | None:
    return sketch_model(plan_model(parse_spec(text)))


def numbered(records: Sequence[TensorRecord]) -> list[tuple[TensorRecord, Any]]:
    """With identities of tensors, modules and storages as numbers from 0."""
    seen: tuple[dict[int, int], ...] = ({}, {}, {})
    found = []
    for each in records:
        assert each.identity is not None
        same = (*each.identity, id(each.storage))
        numbers = tuple(known.setdefault(key, len(known)) for known, key in zip(seen, same, strict=True))
        found.append((each._replace(identity=None), numbers))
    return found


def planned(text: str) -> bool:
    """Whether it is right as far as can be told without a table of layers."""
    try:
        plan_model(parse_spec(text))
    except SpecError:
        return False
    return True


def told_alike(text: str | bytes) -> bool:
    """Whether it is told without torch; then torch must say the same."""
    spec = parse_spec(text)
    plan = plan_model(spec)
    root = sketch_model(plan)
    if root is None:
        return False
    records = sketch_records(root)
    live = build_spec(spec, plan)
    assert live.notes == []
    assert live.unsaved() == frozenset()
    assert numbered(records) == numbered(live.records)
    nodes, due_nodes = make_nodes(root, records), make_module_tree(live.model, live.records)
    if prints_as_told():
        assert nodes == due_nodes
    else:
        assert [each._replace(extra="", children=()) for each in nodes.walk()] == [
            each._replace(extra="", children=()) for each in due_nodes.walk()
        ]
    due = outline_module(live.model)
    assert [(path, each.padding_idx) for path, each in root.named()] == [
        (path, each.padding_idx) for path, each in due.named()
    ]
    assert list(root.once()) == [path for path, _ in live.model.named_modules()]
    return True


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_told_alike(path: Path) -> None:
    assert told_alike(path.read_bytes())


def write(spec: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(spec), sort_keys=False).replace("'$d'", "$d")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_a_spec_that_is_told_is_told_alike(chance: random.Random) -> None:
    text = write(random_spec(chance))
    if planned(text):
        told_alike(text)


def test_random_specs_are_mostly_told() -> None:
    """Otherwise the test above proves little."""
    specs = [write(random_spec(random.Random(seed))) for seed in range(200)]
    assert sum(planned(each) and sketched(each) is not None for each in specs) > 50


def test_names_that_modules_have_are_left_to_torch() -> None:
    containers = (
        Flow((), ()),
        Parallel((), ()),
        Residual(),
        MixtureOfExperts(1, True),
        nn.Sequential(),
        nn.ModuleList(),
    )
    taken = {name for each in containers for name in dir(each)} | {name for each in containers for name in vars(each)}
    assert {name for name in taken if not name.startswith("_")} <= ATTRIBUTES


@pytest.mark.parametrize(
    "text",
    [
        "model: [{Linear: [4, 3], name: forward}]",
        "model: [{Linear: [4, 3], name: _x}]",
        "model: [LazyReLU]",
        "model: [{LazyLinear: 3}]\ninput: [2, 4]",
        "model: [{Transformer: {d_model: 8, nhead: 2, num_encoder_layers: 1, num_decoder_layers: 1}}]",
        "model: [{Linear: [4]}]",
        "blocks: {Transformer: {layers: [ReLU]}}\nmodel: [Transformer]",
        "model: [{Linear: [4, 3]}, {Linear: [3, 4]}]\ntie: {0.weight: 1.weight}",
        "model: [{Linear: [4, 3]}, {Linear: [4, 3]}]\ntie: {0.weight: 1.wait}",
        "model: [{Attention: {heads: 4, kv_heads: 3}}]",
        "model: [{Param: {shape: [2, 3], op: prepend}}]",
        "model: [{Reshape: [-1, -1]}]",
        "model: [{LayerNorm: [[2, 3, 4]], parametrize: {weight: {weight_norm: 1}}}]",
        "model: [{Sequential: [{Linear: [1, 1]}], repeat: 9999}, {Linear: [1, 1], repeat: 9999}, {LSTM: [1, 1, 60], repeat: 999}]",
    ],
)
def test_what_is_doubtful_is_left_to_torch(text: str) -> None:
    assert planned(text)
    assert sketched(text) is None
