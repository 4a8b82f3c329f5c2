"""Numbers of rules against those that torch works out, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paraminspect.errors import RuleError
from paraminspect.rules import initializers
from paraminspect.rules.initializers import GAINS
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.resolve import Resolved, count_fans, resolve
from paraminspect.rules.rule import format_value

SHAPES = [(3, 4), (64, 3, 7, 7), (8, 4, 3), (2, 3, 2, 2, 2), (1, 1)]


def numbers(text: str, shape: tuple[int, ...], **variables: object) -> Resolved:
    return resolve(parse_rule(f"*={text}", variables=variables), shape)


def refused(text: str, shape: tuple[int, ...], **variables: object) -> RuleError:
    with pytest.raises(RuleError) as caught:
        numbers(text, shape, **variables)
    return caught.value


@pytest.mark.parametrize("shape", [*SHAPES, (0, 3), (3, 0), (2, 3, 0)])
def test_fans_are_those_of_torch(shape: tuple[int, ...]) -> None:
    assert count_fans(shape) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_fewer_than_two_dimensions_have_no_fans(shape: tuple[int, ...]) -> None:
    assert count_fans(shape) is None


@given(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=2, max_size=5))
def test_fans_of_a_chunk_are_those_of_the_tensor_it_is(chunks: int, sizes: list[int]) -> None:
    shape = (sizes[0] * chunks, *sizes[1:])
    part = torch.empty(shape).chunk(chunks)[0]
    assert count_fans(shape, chunks) == nn.init._calculate_fan_in_and_fan_out(part)
    assert numbers(f"xavier_normal(chunks={chunks})", shape).fans == count_fans(tuple(part.shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("nonlinearity", ["linear", "relu", "leaky_relu", "tanh", "selu"])
def test_kaiming_is_derived_as_torch_does(shape: tuple[int, ...], mode: Any, nonlinearity: Any) -> None:
    arguments = f"a=0.3, mode={mode}, nonlinearity={nonlinearity}"
    fan = nn.init._calculate_correct_fan(torch.empty(shape), mode)
    std = nn.init.calculate_gain(nonlinearity, 0.3) / math.sqrt(fan)
    assert numbers(f"kaiming_normal({arguments})", shape).derived == {"std": pytest.approx(std)}
    assert numbers(f"kaiming_uniform({arguments})", shape).derived == {"bound": pytest.approx(math.sqrt(3) * std)}


@pytest.mark.parametrize("text", ["xavier_uniform", "xavier_uniform(gain=2)", "kaiming_uniform(a=sqrt(5))"])
def test_no_value_passes_the_derived_bound_and_some_come_near(text: str) -> None:
    shape, (name, _, _) = (120, 80), text.partition("(")
    resolved = numbers(text, shape)
    values = getattr(nn.init, f"{name}_")(torch.empty(shape), **resolved.arguments)
    bound = resolved.derived["bound"]
    assert 0.99 * bound < values.abs().max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("text", ["xavier_normal", "xavier_normal(gain=tanh)", "kaiming_normal(mode=fan_out)"])
def test_the_derived_deviation_is_that_of_the_values(text: str) -> None:
    shape, (name, _, _) = (300, 200), text.partition("(")
    resolved = numbers(text, shape)
    values = getattr(nn.init, f"{name}_")(torch.empty(shape), **resolved.arguments)
    # of 60,000 values: six standard errors of a standard deviation
    assert float(values.std()) == pytest.approx(resolved.derived["std"], rel=6 / math.sqrt(2 * 60_000))


@pytest.mark.parametrize("name", GAINS)
def test_a_gain_goes_by_the_name_of_its_nonlinearity(name: Any) -> None:
    assert numbers(f"xavier_normal(gain={name})", (2, 2)).arguments == {"gain": nn.init.calculate_gain(name)}


def test_a_variable_hides_a_nonlinearity() -> None:
    assert numbers("xavier_normal(gain=relu)", (2, 2), relu=7).arguments == {"gain": 7.0}


def test_fans_are_the_tensor_s_whatever_variables_there_are() -> None:
    assert numbers("normal(std=fan_in+100*fan_out)", (2, 3), fan_in=50, fan_out=60).arguments["std"] == 203
    assert numbers("xavier_normal(gain=fan_in)", (2, 3), fan_in=50).arguments["gain"] == 3
    assert refused("normal(std=fan_in)", (3,), fan_in=50).message == "a tensor of 1 dimensions has no fan_in"


def test_defaults_are_filled_in() -> None:
    assert numbers("trunc_normal(std=0.02)", (3,)).arguments == {"mean": 0.0, "std": 0.02, "a": -2.0, "b": 2.0}
    assert numbers("zeros", ()) == Resolved({}, {}, 1, None, ())


@pytest.mark.parametrize(
    ("text", "shape", "at", "message"),
    [
        ("normal(std=-1)", (2,), "-1", "std is -1; expected 0 or more"),
        ("normal(std=1-fan_in)", (2, 3), "1-", "std is -2; expected 0 or more"),
        ("normal(std=1/dim)", (2,), "1/", "unknown variable dim"),
        ("normal(std=1/0)", (2,), "1/0", "division by zero in '1 / 0'"),
        ("normal(std=sqrt(0-1))", (2,), "sqrt", "'sqrt(0 - 1)' is not a real number"),
        ("normal(std=fan_in)", (2,), "fan_in", "a tensor of 1 dimensions has no fan_in"),
        ("uniform(1, 0)", (2,), "0)", "b is 0; expected a or more"),
        ("uniform(a=2)", (2,), None, "b is 1; expected a or more"),
        ("clamp(1, 0)", (2,), "0)", "b is 0; expected a or more"),
        ("trunc_normal(std=0)", (2,), "0)", "std is 0; expected more than 0"),
        ("trunc_normal(a=1, b=1)", (2,), "1)", "b is 1; expected more than a"),
        ("trunc_normal(3, std=0.1)", (2,), "3,", "mean is 3; expected one nearer to a and b: torch would draw each value over 100 times"),
        ("trunc_normal(-1e9, std=1e-9)", (2,), "-1e9", "mean is -1e+09; expected one nearer to a and b: torch would draw each value over 100 times"),
        ("trunc_normal(1e300, 1e-300)", (2,), "1e300", "mean is 1e+300; expected one nearer to a and b: torch would draw each value over 100 times"),
        ("trunc_normal(2.0001, 1e-5)", (2,), "2.0001", "mean is 2; expected one nearer to a and b: torch would draw each value over 100 times"),
        ("sparse(1.5)", (2, 2), "1.5", "sparsity is 1.5; expected 0 to 1"),
        ("sparse(0.5, std=-1)", (2, 2), "-1", "std is -1; expected 0 or more"),
        ("dirac(groups=3)", (4, 2, 3), "3)", "groups is 3, which does not divide 4 rows"),
        ("dirac(groups=0)", (4, 2, 3), "0)", "groups is 0, which does not divide 4 rows"),
        ("dirac(groups=4, chunks=2)", (4, 2, 3), "4,", "groups is 4, which does not divide 2 rows"),
        ("dirac(groups=1.5)", (4, 2, 3), "1.5", "groups is 1.5; expected an integer"),
        ("zeros(chunks=3)", (4, 2), "3)", "4 rows cannot be cut into 3 equal chunks"),
        ("zeros(chunks=8)", (4, 2), "8)", "4 rows cannot be cut into 8 equal chunks"),
        ("zeros(chunks=0)", (4, 2), "0)", "chunks is 0; expected 1 or more"),
        ("zeros(chunks=1.5)", (4, 2), "1.5", "chunks is 1.5; expected an integer"),
        ("zeros(chunks=2)", (), "2)", "chunks of a scalar"),
        ("zeros(chunks=fan_out)", (4, 2), "fan_out", "chunks cannot follow from fans, of which each chunk has its own"),
        ("xavier_normal(gain=gelu)", (2, 2), "gelu", "gain of the unknown nonlinearity gelu"),
        ("xavier_normal(gain=rleu)", (2, 2), "rleu", "gain of the unknown nonlinearity rleu"),
    ],
)  # fmt: skip
def test_what_a_tensor_cannot_take(text: str, shape: tuple[int, ...], at: str | None, message: str) -> None:
    error = refused(text, shape)
    assert error.message == message
    if at is None:
        assert error.at is None
    else:
        assert error.at is not None
        assert error.rule[error.at :].startswith(at)


def test_a_mean_just_outside_is_fine() -> None:
    assert numbers("trunc_normal(2.000001, 1e-3)", (2,)).arguments["mean"] == 2.000001
    values = nn.init.trunc_normal_(torch.empty(1000), 2.000001, 1e-3)
    assert values.max() <= 2


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"), [(2.5, 0.4, -2, 2), (3, 0.4, -2, 2), (-4, 1, -2, 2), (0.5, 0.1, -2, 0.3), (9, 3, 0, 1)]
)
def test_the_draws_of_a_cut_normal_are_those_that_the_density_asks_for(
    mean: float, std: float, a: float, b: float
) -> None:
    x = torch.linspace(a, b, 100_001, dtype=torch.float64)
    density = torch.exp(-0.5 * ((x - mean) / std) ** 2)
    accepted = float(density.mean() / density.max())
    assert 0.5 < initializers._count_draws(mean, std, a, b) * accepted < 2


def test_hints() -> None:
    assert refused("xavier_normal(gain=rleu)", (2, 2)).hint == "did you mean relu?"
    assert refused("xavier_normal(gain=wdith)", (2, 2), width=3).hint == "did you mean width?"
    assert refused("normal(std=dmi)", (2, 2), dim=3).hint == "did you mean dim?"


@pytest.mark.parametrize("text", ["xavier_normal", "kaiming_uniform", "kaiming_normal(mode=fan_out)"])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_is_derived_for_a_tensor_without_elements(text: str, shape: tuple[int, ...]) -> None:
    assert numbers(text, shape).derived == {}


def test_numbers_as_people_read_them() -> None:
    assert [format_value(each) for each in (0.02, 1 / 3, 3, "relu", True, 1e-9)] == [
        "0.02", "0.3333", "3", "relu", "True", "1e-09",
    ]  # fmt: skip
