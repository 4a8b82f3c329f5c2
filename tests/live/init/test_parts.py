"""Rules for parts of tensors, against a loop that fills slices of bare torch tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from paraminspect import apply_init, plan_init
from paraminspect.live.build.seeds import make_generator
from paraminspect.outcomes import InitStep

WHOLE = {"zeros": nn.init.zeros_, "normal": nn.init.normal_, "keep": lambda tensor, **_: tensor}
FILLS: dict[str, tuple[str, Callable[..., object]]] = {
    "1/4": ("ones(part=1/4)", lambda rows, generator: nn.init.ones_(rows)),
    "0/4": ("orthogonal(part=0/4)", lambda rows, generator: nn.init.orthogonal_(rows, generator=generator)),
    "1/2": (
        "xavier_uniform(chunks=2, part=1/2)",
        lambda rows, generator: [nn.init.xavier_uniform_(half, generator=generator) for half in rows.chunk(2)],
    ),
}


def by_hand(tensor: Tensor, name: str, whole: str, parts: list[str], seed: int = 0) -> Tensor:
    """The whole, then each part as a tensor of its own, copied into its rows."""
    tensor = tensor.detach().clone()
    with torch.no_grad():
        if whole in ("normal",):
            tensor = nn.init.normal_(tensor.float(), generator=make_generator(seed, name))
        elif whole == "zeros":
            tensor.zero_()
        for part in parts:
            which, of = map(int, part.split("/"))
            size = len(tensor) // of
            rows = torch.empty(size, *tensor.shape[1:])
            FILLS[part][1](rows, generator=make_generator(seed, name, f"part {part}"))
            tensor[which * size : (which + 1) * size] = rows
    return tensor


@pytest.mark.parametrize("parts", [["1/4"], ["0/4", "1/4"], ["0/4", "1/4", "1/2"], ["1/2"]], ids=" ".join)
@pytest.mark.parametrize("whole", [*WHOLE, ""])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_parts_are_slices_filled_one_by_one(whole: str, parts: list[str], dtype: torch.dtype) -> None:
    model = nn.Linear(3, 16, bias=False, dtype=dtype)
    due = by_hand(model.weight, "weight", whole, parts).to(dtype)
    rules = [f"*={whole}"] if whole else []
    steps = apply_init(model, [*rules, *(f"*={FILLS[part][0]}" for part in parts)])
    assert torch.equal(model.weight, due)
    assert [step.arguments.get("part") for step in steps] == [*([None] if whole else []), *parts]
    for step in steps:
        check_statistics(step, model.weight)


def check_statistics(step: InitStep, tensor: Tensor) -> None:
    which, of = map(int, str(step.arguments.get("part", "0/1")).split("/"))
    rows = tensor.detach().double().chunk(of)[which]
    assert step.shape == tuple(rows.shape)
    assert (step.mean, step.min, step.max) == (
        pytest.approx(float(rows.mean())), float(rows.min()), float(rows.max()),
    )  # fmt: skip


@settings(max_examples=20)
@given(st.permutations(["0/4", "1/4", "1/2"]), st.integers(0, 2), st.integers(0, 99))
def test_parts_in_any_order_give_the_same_bytes(parts: list[str], extra: int, seed: int) -> None:
    model = nn.Linear(3, 16, bias=False)
    rules = [f"*={FILLS[part][0]}" for part in parts]
    rules.insert(0, "*=normal")
    rules[:0] = ["*=ones(part=0/16)"] * extra  # overruled
    apply_init(model, rules, seed=seed)
    due = by_hand(torch.empty(16, 3), "weight", "normal", ["0/4", "1/4", "1/2"], seed)
    assert torch.equal(model.weight, due)


def test_values_that_no_rule_touches_keep_every_bit() -> None:
    model = nn.Linear(2, 8, bias=False, dtype=torch.float64)
    before = model.weight.detach().clone()
    apply_init(model, ["*=normal(part=3/4)"])
    assert torch.equal(model.weight[:6], before[:6])
    assert not torch.equal(model.weight[6:], before[6:])


def test_edits_and_functions_see_their_part_alone() -> None:
    model, seen = nn.Linear(2, 4, bias=False), []

    def look(tensor: Tensor) -> Tensor:
        seen.append(tensor.clone())
        return tensor * 10

    apply_init(model, ["*=ones", "*=add(1, part=1/2)", "*=look(part=0/2)"], functions={"look": look})
    assert [each.tolist() for each in seen] == [[[1, 1], [1, 1]]]
    assert model.weight.tolist() == [[10, 10], [10, 10], [2, 2], [2, 2]]


def test_a_row_of_padding_stays_zero_whichever_rule_has_it() -> None:
    for row in range(4):
        model = nn.Embedding(4, 2, padding_idx=row)
        apply_init(model, ["*=ones", "*=constant(2, part=0/2)"])
        due = [[2, 2], [2, 2], [1, 1], [1, 1]]
        due[row] = [0, 0]
        assert model.weight.tolist() == due


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.complex32])
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_complex_tensors_are_drawn_as_complex64(dtype: torch.dtype) -> None:
    model = nn.Module()
    model.w = nn.Parameter(torch.zeros(4, 3, dtype=dtype))
    model.c = nn.Parameter(torch.zeros(4, 3, dtype=dtype))
    (step, *_) = apply_init(model, ["w=normal(std=2)", "c=constant(0.1)", "c=uniform(part=1/2)"])
    due = nn.init.normal_(torch.empty(4, 3, dtype=torch.complex64), std=2, generator=make_generator(0, "w"))
    assert torch.equal(torch.view_as_real(model.w), torch.view_as_real(due.to(dtype)))
    exact = torch.full((2, 3), 0.1, dtype=torch.complex128 if dtype == torch.complex128 else torch.complex64)
    assert torch.equal(torch.view_as_real(model.c[:2]), torch.view_as_real(exact.to(dtype)))
    assert step.mean == pytest.approx(float(due.to(dtype).to(torch.complex128).abs().mean()))


def test_tied_names_have_the_part_under_their_first_name() -> None:
    model = nn.Module()
    model.a, model.b = nn.Linear(2, 4, bias=False), nn.Linear(2, 4, bias=False)
    model.b.weight = model.a.weight
    assert plan_init(model, ["b.weight=zeros(part=0/2)"]).unmatched
    apply_init(model, ["*=ones", "a.weight=zeros(part=0/2)"])
    assert model.b.weight.tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]
