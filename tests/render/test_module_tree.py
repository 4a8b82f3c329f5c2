"""The module tree of a live model beside what torch prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paraminspect.live.build.outline import make_module_tree
from paraminspect.render.module_tree import node_object, render_modules
from paraminspect.render.style import Style


def draw(model: nn.Module, *, width: int | None = None, **more: object) -> list[str]:
    return "".join(render_modules(make_module_tree(model), Style(width=width), **more)).splitlines()  # type: ignore[arg-type]


class Wrapped(nn.Module):
    def __init__(self, *children: nn.Module) -> None:
        super().__init__()
        self.items = nn.ModuleList(children)
        self.names = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Identity()})

    def extra_repr(self) -> str:
        return "first=1\nsecond=2"


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def __repr__(self) -> str:
        return "Odd(\n  of its own\n)"


def blocks(number: int) -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(number)]


MODELS = [
    nn.Linear(4, 3),
    nn.Sequential(),
    nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)),
    nn.Sequential(*blocks(5)),
    Wrapped(*blocks(3), nn.ReLU()),
    nn.Sequential(Odd(), nn.Sequential(Odd())),
    nn.TransformerEncoderLayer(8, 2, batch_first=True),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_begins_every_line_as_print_does(model: nn.Module) -> None:
    printed = str(model).splitlines()
    lines = draw(model, fold=False)
    assert len(lines) == len(printed)
    for line, due in zip(lines, printed, strict=True):
        assert line.startswith(due)
        assert set(line[len(due) :]) <= set(" 0123456789.,%each")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_counts_of_leaves_add_up(model: nn.Module) -> None:
    def leaves(node: dict[str, object]) -> int:
        children: list[dict[str, object]] = node["children"]  # type: ignore[assignment]
        own = int(node["numel"]) - sum(int(child["numel"]) for child in children)  # type: ignore[call-overload]
        return own + sum(leaves(child) for child in children)

    whole = node_object(make_module_tree(model))
    assert leaves(whole) == whole["numel"] == sum(parameter.numel() for parameter in model.parameters())


def test_three_that_follow_are_folded_and_two_are_not() -> None:
    assert draw(nn.Sequential(*blocks(3)))[1].split() == ["(0-2):", "3", "x", "Sequential(", "6", "each", "18", "100%"]
    assert [line[:6] for line in draw(nn.Sequential(*blocks(2)))].count("  (0): "[:6]) == 1
    assert not any(" x " in line for line in draw(nn.Sequential(*blocks(2))))


def test_what_counts_differently_is_not_folded() -> None:
    layer = nn.Linear(2, 2)
    assert not any(" x " in line for line in draw(nn.Sequential(layer, layer, nn.Linear(2, 2))))


def test_a_module_that_comes_again_names_the_first() -> None:
    layer = nn.Linear(2, 2)
    assert draw(nn.Sequential(nn.Sequential(layer), layer))[-2].endswith("  = 0.0")


def test_tied_parameter_names_the_one_that_counts() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    model[1].weight = model[0].weight
    lines = draw(model)
    assert lines[2].split()[-2:] == ["5", "25.0%"]
    assert lines[3] == "      weight = 0.weight"


def test_depth_says_that_there_is_more() -> None:
    lines = draw(nn.Sequential(*blocks(2)), depth=1)
    assert [line.split()[1] for line in lines[1:3]] == ["Sequential(…)"] * 2


def test_shapes_stand_beside_their_modules() -> None:
    lines = draw(MODELS[2], shapes={"": ((2, 1),), "0": ((2, 3), (1,), (1,)), "1": ((),)})
    assert "[2,3] [1] …" in lines[1]
    assert lines[2].split() == ["(1):", "ReLU()", "[]"]


@given(st.integers(56, 120), st.integers(0, 6))
def test_lines_fit_the_terminal_and_lose_nothing(width: int, depth: int) -> None:
    model: nn.Module = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    for _ in range(depth):
        model = nn.Sequential(model)
    lines = draw(model, width=width)
    assert max(map(len, lines)) <= width
    text = "".join("".join(lines).replace("432  100%", "").split())
    assert "Conv2d(3,16,kernel_size=(3,3),stride=(1,1),padding=(1,1),bias=False)" in text


def test_control_characters_of_a_name_are_escaped() -> None:
    model = nn.Sequential()
    model.add_module("a\x1b[2J", nn.ReLU())
    assert "\\x1b[2J" in draw(model)[1]


def test_buffers_do_not_count() -> None:
    assert draw(nn.BatchNorm1d(4))[0].split()[-2:] == ["8", "100%"]
