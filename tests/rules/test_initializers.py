"""The table of initializers against torch itself."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from paraminspect.live.init.draw import apply
from paraminspect.rules.initializers import GAINS, INITIALIZERS, MODES, WITHOUT_GAIN, find_initializer, suggest_gain
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.resolve import resolve
from tests.making.newer_torch import since

OF_TORCH = sorted(name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_"))
OWN = {"add", "mul", "clamp", "keep"}


def test_all_of_torch_and_no_more() -> None:
    assert {f"{name}_" for name in INITIALIZERS.keys() - OWN} == set(OF_TORCH)
    assert {each.name for each in INITIALIZERS.values() if each.kind == "initializer"} == INITIALIZERS.keys() - OWN


@pytest.mark.parametrize("name", OF_TORCH)
def test_parameters_and_defaults_are_those_of_torch(name: str) -> None:
    ours = INITIALIZERS[name.removesuffix("_")]
    signature = inspect.signature(getattr(nn.init, name)).parameters
    theirs = [each for each in list(signature.values())[1:] if each.name != "generator"]
    assert [each.name for each in ours.parameters] == [each.name for each in theirs]
    for mine, other in zip(ours.parameters, theirs, strict=True):
        assert mine.required == (other.default is other.empty)
        if not mine.required:
            assert (mine.default, type(mine.default)) == (
                other.default,
                float if mine.kind in ("number", "gain") else type(other.default),
            )
    assert ours.random == ("generator" in signature)


NEEDED = {"constant": "val=2", "sparse": "sparsity=0.5", "add": "x=1", "mul": "x=2", "clamp": "a=0, b=1"}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("name", sorted(INITIALIZERS.keys() - {"keep"}))
def test_complex_numbers_are_taken_where_torch_takes_them(name: str, dtype: torch.dtype) -> None:
    arguments = resolve(parse_rule(f"*={name}({NEEDED.get(name, '')})"), (4, 4)).arguments
    tensor = torch.ones((4, 4, 3) if name == "dirac" else (4, 4), dtype=dtype)
    try:
        with torch.no_grad():
            apply(INITIALIZERS[name], tensor, arguments, torch.Generator())
    except RuntimeError:
        assert not INITIALIZERS[name].takes_complex
    else:
        assert INITIALIZERS[name].takes_complex


def test_gains_are_those_of_torch() -> None:
    for name, gain in GAINS.items():
        assert gain == nn.init.calculate_gain(name), name  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(WITHOUT_GAIN))
def test_torch_knows_no_gain_for_the_others(name: str) -> None:
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        nn.init.calculate_gain(name)  # type: ignore[arg-type]
    assert suggest_gain(name).startswith("torch has gains for linear, ")


@since("2.8")
def test_modes_and_what_has_a_gain_are_all_that_torch_has() -> None:
    assert nn.init._FanMode.__args__ == MODES
    assert set(nn.init._NonlinearityType.__args__) == set(GAINS)


@pytest.mark.parametrize("name", ["normal", "normal_"])
def test_a_name_goes_with_or_without_the_underscore(name: str) -> None:
    assert find_initializer(name, {}) is INITIALIZERS["normal"]


def test_every_summary_is_one_short_line() -> None:
    assert all(0 < len(each.summary) <= 60 and each.summary.isprintable() for each in INITIALIZERS.values())
