"""Copies that are not expanded are what expanding them would have given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paraminspect.architecture import expand, values
from paraminspect.architecture.copies import Watched, moved
from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import SpecError

CONFIGS = sorted(Path("configs").glob("*.yaml"))
BLOCKS = "blocks: {B: {args: [n, wide: false], layers: [{Linear: [$n, $n]}, {ReLU, if: $wide}, {Residual: [{Linear: [$n, 2]}]}]}}\n"
SPECS = [
    "model: [{Linear: [$(i+1), 2], repeat: 3}]",
    "model: [{Sequential: [{Linear: [4, 4]}, {ReLU, if: $(i % 2)}], repeat: 4}]",
    "model: [{Sequential: [{Linear: [$i, 1], repeat: 2}, {Linear: [3, 2]}], repeat: 3}]",
    "model: [{Sequential: [{Linear: [$i, 1]}, {Linear: [3, 2], repeat: 2}], repeat: 3}]",
    "model: [{Linear: [4, 4], repeat: 3, from: input, parallel: true}, {Concat: {dim: 1}, from: [0.0, 0.1]}]",
    "shared: {a: {Linear: [2, 2]}}\nmodel: [{Sequential: [{use: a}, ReLU], repeat: 3}]",
    "shared: {a: {Linear: [2, 2]}}\nmodel: [{use: a}, {Sequential: [{use: a}, ReLU], repeat: 3}]",
    BLOCKS + "model: [{B: [4], repeat: 3}]",
    BLOCKS + "model: [{B: [4, $i], repeat: 3}]",
    "model: [{MixtureOfExperts: {count: 3, top: 1, gate: {Linear: [4, 3]}, expert: {Linear: [4, $(4+i)]}}, repeat: 2}]",
    "model: [{Linear: {in_features: 4, out_features: 4}, parametrize: {weight: weight_norm}, repeat: 3}]",
    "model: [{LSTM: [4, 4], repeat: 3, take: 0}]",
]


@contextmanager
def expanded_each() -> Iterator[None]:
    """Every copy is expanded by itself."""

    class Asked(Watched):
        is_asked = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expand, "Watched", Asked)
        yield


def planned(text: str | bytes) -> ModelPlan | str:
    try:
        return plan_model(parse_spec(text, source="m.yaml"))
    except SpecError as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    [*SPECS, *(path.read_bytes() for path in CONFIGS)],
    ids=[*range(len(SPECS)), *(path.stem for path in CONFIGS)],
)
def test_copies_are_what_expanding_gives(text: str | bytes) -> None:
    found = planned(text)
    with expanded_each():
        assert found == planned(text)
    assert isinstance(found, ModelPlan)


def test_equal_copies_are_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    call = expand._Expander.call
    monkeypatch.setattr(
        expand._Expander, "call", lambda self, what, path, *more: counted.append(path) or call(self, what, path, *more)
    )
    planned("model: [{Linear: [4, 4], repeat: 50}, {Linear: [$i, 4], repeat: 5}]")
    assert counted == ["0.0", "1.0", "1.1", "1.2", "1.3", "1.4"]


@pytest.mark.parametrize("bound", range(1, 24))
@pytest.mark.parametrize("text", [SPECS[2], SPECS[8], SPECS[9]])
def test_what_is_too_much_is_said_at_the_same_place(text: str, bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((expand, "MAX_MODULES"), (values, "MAX_VALUES")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, bound)
            found = planned(text)
            with expanded_each():
                assert found == planned(text)


def test_a_name_that_is_looked_up_is_noticed() -> None:
    names = Watched(i=3)
    with pytest.raises(KeyError):
        names["j"]
    assert not names.is_asked
    assert (names["i"], names.is_asked) == (3, True)


def test_moved_keeps_all_but_the_path() -> None:
    plan = planned("model: [{Sequential: [{Linear: [4, 3], name: fc}, ReLU], name: h}]")
    assert isinstance(plan, ModelPlan)
    (step,) = plan.root.steps
    other = moved(step.plan, "encoder.layers.7")
    assert [each.path for each in other.walk()] == ["encoder.layers.7", "encoder.layers.7.fc", "encoder.layers.7.1"]
    assert moved(other, "h") == step.plan
