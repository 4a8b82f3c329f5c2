"""Every initializer against torch called directly on a generator of the same seed: equal to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from paraminspect.live.build.seeds import global_seed, make_generator
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.resolve import resolve
from paraminspect.rules.seeds import stream_key
from paraminspect.rules.steps import plan_rules
from paraminspect.rules.targets import Target

SEED, NAME = 11, "h.0.weight"

CALLS = [
    ("uniform", "a=-0.5, b=0.25"),
    ("uniform", ""),
    ("normal", "mean=1, std=0.02"),
    ("normal", ""),
    ("trunc_normal", "std=0.5, a=-0.5, b=0.75"),
    ("trunc_normal", "mean=2.5, std=0.4"),
    ("trunc_normal", "mean=3, std=0.4"),
    ("trunc_normal", ""),
    ("constant", "val=0.1"),
    ("ones", ""),
    ("zeros", ""),
    ("eye", ""),
    ("dirac", ""),
    ("dirac", "groups=2"),
    ("xavier_uniform", "gain=tanh"),
    ("xavier_normal", ""),
    ("kaiming_uniform", "a=sqrt(5)"),
    ("kaiming_uniform", "mode=fan_out, nonlinearity=relu"),
    ("kaiming_normal", "nonlinearity=relu"),
    ("kaiming_normal", "a=0.2, mode=fan_out"),
    ("orthogonal", ""),
    ("orthogonal", "gain=relu"),
    ("sparse", "sparsity=0.25"),
    ("sparse", "sparsity=0.5, std=2"),
]
SHAPES = [(12, 8), (4, 40), (64, 64), (8, 4, 3), (4, 6, 3, 3), (4, 2, 1, 2, 3), (7,), (4000,), ()]


def draw(text: str, shape: tuple[int, ...], dtype: str = "float32", base: Tensor | None = None) -> Tensor:
    step = plan_rules([Target(NAME, shape, dtype)], [parse_rule(f"*={text}")]).steps[0]
    with one_thread():
        return Drawing(SEED, OwnFunctions()).draw(step, lambda: torch.zeros(shape) if base is None else base)


def by_torch(name: str, text: str, tensor: Tensor, generator: Generator) -> Tensor:
    """What torch makes of a tensor, given what the rule says for it."""
    arguments: dict[str, Any] = dict(resolve(parse_rule(f"*={name}({text})"), tuple(tensor.shape)).arguments)
    if INITIALIZERS[name].random:
        arguments["generator"] = generator
    return getattr(nn.init, f"{name}_")(tensor, **arguments)  # type: ignore[no-any-return]


def fitting(name: str) -> list[tuple[int, ...]]:
    least, most = INITIALIZERS[name].dimensions or (0, 64)
    return [shape for shape in SHAPES if least <= len(shape) <= most]


CASES = [(name, text, shape) for name, text in CALLS for shape in fitting(name)]


@pytest.mark.parametrize(("name", "text", "shape"), CASES, ids=str)
def test_whole_tensors_are_those_of_torch(name: str, text: str, shape: tuple[int, ...]) -> None:
    with global_seed(SEED, NAME, "global"), one_thread():  # sparse_ takes its zeros from there
        expected = by_torch(name, text, torch.empty(shape), make_generator(SEED, NAME))
    assert torch.equal(draw(f"{name}({text})", shape), expected)


@pytest.mark.parametrize("chunks", [2, 4])
@pytest.mark.parametrize(
    ("name", "text", "shape"), [case for case in CASES if case[2] and case[2][0] % 4 == 0], ids=str
)
def test_chunks_are_those_of_torch_one_after_the_other(
    name: str, text: str, shape: tuple[int, ...], chunks: int
) -> None:
    rows = shape[0] // chunks
    if "groups=2" in text and rows % 2:
        text = ""
    generator = make_generator(SEED, NAME)
    with global_seed(SEED, NAME, "global"), one_thread():
        parts = [by_torch(name, text, torch.empty(rows, *shape[1:]), generator) for _ in range(chunks)]
    separator = ", " if text else ""
    assert torch.equal(draw(f"{name}({text}{separator}chunks={chunks})", shape), torch.cat(parts))


def test_every_initializer_is_among_the_cases() -> None:
    assert {name for name, _, _ in CASES} == {each.name for each in INITIALIZERS.values() if each.kind == "initializer"}


@pytest.mark.parametrize(("text", "by"), [("add(0.1)", "add_"), ("mul(0.1)", "mul_")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_edit_is_torch_s_own_in_the_tensor_s_type(text: str, by: str, dtype: torch.dtype) -> None:
    base = torch.randn(5, 7, generator=Generator().manual_seed(1), dtype=dtype)
    made = draw(text, (5, 7), str(dtype).removeprefix("torch."), base)
    assert made.dtype == dtype
    assert torch.equal(made, getattr(base.clone(), by)(0.1))


def test_clamp() -> None:
    base = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])
    assert torch.equal(draw("clamp(-1, 0.25)", (5,), base=base), torch.tensor([-1, -0.5, 0, 0.25, 0.25]))


def test_exact_values_of_a_wide_tensor_are_exact() -> None:
    assert draw("constant(0.1)", (2,), "float64").tolist() == [0.1, 0.1]
    drawn = draw("normal", (50,), "float64")
    assert drawn.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(name for name, each in INITIALIZERS.items() if each.random))
def test_only_those_that_are_said_to_use_the_global_generator_do(name: str) -> None:
    text = "sparsity=0.5" if name == "sparse" else ""

    def made(seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return by_torch(name, text, torch.empty(8, 8), Generator().manual_seed(3))

    assert torch.equal(made(1), made(2)) == (not INITIALIZERS[name].global_generator)


def test_any_name_has_a_seed_of_its_own() -> None:
    names = ["", "a", "a\ud800", "a\0", "é"]
    assert len({stream_key(seed, name) for seed in (0, 1, -1, 10**30) for name in names}) == 20
