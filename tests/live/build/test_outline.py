from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paraminspect.architecture.module_outline import ModuleNode, neighbours, tree_lines
from paraminspect.errors import LimitExceededError
from paraminspect.live.build.outline import make_module_tree
from tests.making.live_models import open_live


def text(model: nn.Module) -> str:
    return "\n".join(line.text for line in tree_lines(make_module_tree(model)))


class Spoken(nn.Linear):
    def __repr__(self) -> str:
        return "Spoken\n  of itself"


class Lines(nn.Module):
    def __init__(self, *children: nn.Module) -> None:
        super().__init__()
        for place, child in enumerate(children):
            self.add_module(f"c{place}", child)

    def extra_repr(self) -> str:
        return "one,\n\ntwo"


class WithNone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.here = nn.ReLU()
        self.register_module("gone", None)


MODELS = {
    "leaf": lambda: nn.Linear(2, 3),
    "empty": nn.Sequential,
    "nested": lambda: nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Sequential())),
    "list": lambda: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)]),
    "list of blocks": lambda: nn.ModuleList([nn.Sequential(nn.Linear(2, 2)) for _ in range(3)]),
    "empty list": nn.ModuleList,
    "dict": lambda: nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)}),
    "parameters": lambda: nn.Sequential(nn.ParameterList([torch.zeros(2)]), nn.ParameterDict({"x": torch.zeros(1)})),
    "transformer": lambda: nn.Transformer(8, 2, 2, 2, 16, batch_first=True),
    "own text": lambda: nn.Sequential(Spoken(2, 2), Lines(Spoken(2, 2))),
    "many lines": lambda: nn.Sequential(Lines(), Lines(nn.ReLU())),
    "none": WithNone,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_tree_is_what_print_shows(name: str) -> None:
    model = MODELS[name]()
    assert text(model) == str(model)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_tree_of_each_config(path: Path) -> None:
    model = open_live(str(path)).model
    tree = make_module_tree(model)
    assert text(model) == str(model)
    assert tree.numel == tree.trainable == sum(parameter.numel() for parameter in model.parameters())
    assert sum(node.own for node in tree.walk()) == tree.numel
    assert [node.path for node in tree.walk()] == [name for name, _ in model.named_modules(remove_duplicate=False)]


def nodes(model: nn.Module) -> dict[str, ModuleNode]:
    return {node.path: node for node in make_module_tree(model).walk()}


def test_counts() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)))
    model[1][0].weight.requires_grad_(False)
    found = nodes(model)
    assert {path: (node.own, node.numel, node.trainable, node.tensors) for path, node in found.items()} == {
        "": (0, 29, 17, 5),
        "0": (9, 9, 9, 2),
        "1": (0, 20, 8, 3),
        "1.0": (12, 12, 0, 1),
        "1.1": (8, 8, 8, 2),
    }
    assert (found["0"].extra, found["0"].class_name) == ("in_features=2, out_features=3, bias=True", "Linear")
    assert found["0"].module_type == "torch.nn.modules.linear.Linear"


def test_ties_count_once(live: Callable[..., Any]) -> None:
    found = nodes(
        live("model: [{Embedding: [7, 4], name: e}, {Linear: [4, 7], name: h}]\ntie: {h.weight: e.weight}").model
    )
    assert (found["e"].own, found["h"].own, found[""].numel) == (28, 7, 35)
    assert found["h"].ties == (("weight", "e.weight"),)
    assert found["e"].ties == ()


def test_a_shared_module_counts_once(live: Callable[..., Any]) -> None:
    found = nodes(live("shared: {x: {Linear: [2, 2]}}\nmodel: [{use: x}, {Sequential: [{use: x}], name: s}]").model)
    assert (found["0"].own, found["s.0"].own, found["s"].numel, found[""].numel) == (6, 0, 0, 6)
    assert (found["0"].same_as, found["s.0"].same_as) == (None, "0")


def test_equal_neighbours() -> None:
    model = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Linear(1, 1), nn.ReLU())
    assert [[node.name for node in group] for group in neighbours(make_module_tree(model).children)] == [
        ["0", "1"],
        ["2"],
        ["3"],
    ]


def test_the_first_line_of_each_module_knows_it() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    lines = tree_lines(make_module_tree(model))
    assert [line.node.path if line.node else None for line in lines] == ["", "0", "1", "1.0", None, None]


def test_a_model_that_cannot_be_printed() -> None:
    module: nn.Module = nn.ReLU()
    for _ in range(40):
        module = nn.Sequential(module, module)
    with pytest.raises(LimitExceededError):
        make_module_tree(module)


class Looking(nn.Module):
    """Says what its parameter is."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scale = nn.Linear(2, 1), nn.Parameter(torch.ones(()))

    def extra_repr(self) -> str:
        return f"scale={self.scale.item()}"


class LookingItself(Looking):
    def __repr__(self) -> str:
        return f"LookingItself of {self.scale.item()}"


@pytest.mark.parametrize("kind", [Looking, LookingItself])
def test_what_a_module_can_say_only_with_values_is_left_out(kind: type[nn.Module]) -> None:
    model = kind()
    assert text(model) == repr(model)
    assert text(model.to("meta")) == (
        f"{kind.__name__}(\n  (inner): Linear(in_features=2, out_features=1, bias=True)\n)"
    )
