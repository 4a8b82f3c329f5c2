"""Elements drawn block by block and piece by piece: what torch draws, whoever draws which of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from paraminspect.live.build.seeds import make_generator
from paraminspect.live.init import elements
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.steps import PlannedStep, plan_rules
from paraminspect.rules.targets import Target

RULES = {
    "uniform": "uniform(-0.5, 0.25)",
    "normal": "normal(1, 0.02)",
    "trunc_normal": "trunc_normal(std=0.5, a=-0.5, b=0.75)",
    "constant": "constant(0.1)",
    "ones": "ones",
    "zeros": "zeros",
    "xavier_uniform": "xavier_uniform(gain=tanh)",
    "xavier_normal": "xavier_normal",
    "kaiming_uniform": "kaiming_uniform(a=sqrt(5))",
    "kaiming_normal": "kaiming_normal(mode=fan_out, nonlinearity=relu)",
}


def planned(text: str, shape: tuple[int, ...], padding: int | None = None) -> PlannedStep:
    return plan_rules([Target("w", shape, "float32", padding_idx=padding)], [parse_rule(f"*={text}")]).steps[0]


def drawn(step: PlannedStep) -> Tensor:
    with one_thread():
        return Drawing(3, OwnFunctions()).draw(step, lambda: torch.empty(0))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "BLOCK", 100)
    monkeypatch.setattr(elements, "PIECE", 32)


def test_all_that_are_drawn_by_element_are_here() -> None:
    assert set(RULES) == {name for name, each in INITIALIZERS.items() if each.by_element}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("padding", [None, 0, 9, 31])
@pytest.mark.parametrize("name", RULES)
def test_blocks_drawn_alone_are_those_of_the_whole(name: str, padding: int | None) -> None:
    step = planned(RULES[name], (32, 11), padding)
    drawing = Drawing(3, OwnFunctions())
    assert drawing.draws_by_element(step)
    with one_thread():
        blocks = [[piece.clone() for piece in drawing.pieces(step, block)] for block in (3, 1, 0, 2)]
    assert [sum(map(len, block)) for block in blocks] == [52, 100, 100, 100]
    whole = drawn(step)
    assert torch.equal(torch.cat([piece for place in (2, 1, 3, 0) for piece in blocks[place]]), whole.view(-1))
    if padding is not None:
        assert not whole[padding].any()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("columns", [1, 2, 4, 8, 9, 11, 12, 24])
def test_every_block_is_what_torch_draws_of_a_stream_of_its_own(columns: int) -> None:
    """Of numbers that no piece of theirs depends on, whatever is left for the last piece."""
    whole = drawn(planned("normal(0, 0.5)", (12, columns))).view(-1)
    for number, block in enumerate(whole.split(100)):
        generator = make_generator(3, "w", f"block {number}" if number else "")
        assert torch.equal(block, nn.init.normal_(torch.empty(len(block)), 0, 0.5, generator=generator))


@pytest.mark.usefixtures("small")
def test_blocks_are_counted_over_the_part_and_chunks_may_end_anywhere() -> None:
    step = planned("uniform(part=1/2)", (60, 11))
    part = drawn(plan_rules([Target("w", (60, 11), "float32")], [parse_rule("*=zeros"), step.draws[0].rule]).steps[0])  # type: ignore[list-item]
    assert not part[:30].any()
    for number, block in enumerate(part[30:].reshape(-1).split(100)):
        generator = make_generator(3, "w", f"part 1/2 block {number}" if number else "part 1/2")
        assert torch.equal(block, nn.init.uniform_(torch.empty(len(block)), generator=generator))
    chunked = drawn(planned("xavier_uniform(chunks=3)", (30, 11)))
    assert len(torch.unique(chunked)) == chunked.numel()
    assert chunked.abs().max() <= math.sqrt(6 / (10 + 11))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "text", ["orthogonal", "eye", "sparse(0.5)", "add(1)", "normal(chunks=2)", "ones(part=0/2)", "keep"]
)
def test_what_depends_on_more_than_its_place_is_drawn_as_a_whole(text: str) -> None:
    assert not Drawing(3, OwnFunctions()).draws_by_element(planned(text, (12, 8)))


def test_a_block_is_a_gibibyte_of_float32() -> None:
    assert elements.count_blocks(0) == elements.count_blocks(1) == elements.count_blocks(1 << 28) == 1
    assert elements.count_blocks((1 << 28) + 1) == 2
    assert elements.block_range(1, (1 << 28) + 5) == range(1 << 28, (1 << 28) + 5)
    assert elements.block_of((1 << 28) - 1) == 0
