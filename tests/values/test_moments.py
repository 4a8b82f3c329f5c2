"""Statistics of numbers, held against torch in float64 and against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.values import moments as module
from paraminspect.values.moments import Moments
from paraminspect.values.widen import narrow_values, widen
from tests.making.newer_torch import dtypes

Array = np.ndarray[Any, Any]

CLOSE = 1e-12
"""Relative, of standard deviation and norm; of the mean, of the root mean square."""

DTYPES = [
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
    "complex64", "complex128",
]  # fmt: skip
FOREIGN = [
    "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def moments_of(*arrays: Array) -> Moments:
    found = Moments()
    for array in arrays:
        found.add(array)
    return found


def check(found: Moments, tensor: torch.Tensor) -> None:
    """The same as torch says of the finite elements, as float64."""
    wide = tensor.flatten() if tensor.is_complex() else tensor.flatten().double()
    nan, inf = torch.isnan(wide), torch.isinf(wide) & ~torch.isnan(wide)
    assert (found.count, found.nan, found.inf) == (wide.numel(), int(nan.sum()), int(inf.sum()))
    wide = wide[~nan & ~inf]
    wide = wide.to(torch.complex128).abs() if wide.is_complex() else wide
    assert found.finite == wide.numel()
    assert found.zeros == int((wide == 0).sum())
    if not wide.numel():
        assert (found.mean, found.std, found.min, found.max, found.norm) == (None, None, None, None, 0)
        return
    last_bit = 4e-16 if tensor.is_complex() else 0  # of a modulus
    assert found.min == pytest.approx(float(wide.min()), rel=last_bit, abs=0)
    assert found.max == pytest.approx(float(wide.max()), rel=last_bit, abs=0)
    scale = float(wide.square().mean().sqrt())
    assert found.mean == pytest.approx(float(wide.mean()), rel=0, abs=CLOSE * scale + 5e-324)
    assert found.norm == pytest.approx(float(torch.linalg.vector_norm(wide)), rel=CLOSE)
    if wide.numel() < 2:
        assert found.std is None
    else:
        assert found.std == pytest.approx(float(wide.std()), rel=CLOSE, abs=1e-15 * scale)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("layout", ["plain", "transposed", "stepped", "expanded", "scalar", "empty", "reversed"])
def test_every_type_and_layout_has_the_statistics_that_torch_gives(name: str, layout: str) -> None:
    numbers = torch.randn(40, 30, generator=torch.Generator().manual_seed(1)) * 3
    tensor = (numbers > 0) if name == "bool" else numbers.abs().to(getattr(torch, name))
    if name.startswith(("complex", "float")):
        tensor = numbers.to(getattr(torch, name))
    if tensor.is_complex():
        tensor = tensor * (0.3 + 0.4j)
    views: dict[str, Array] = {
        "plain": tensor.numpy(),
        "transposed": tensor.numpy().T,
        "stepped": tensor.numpy()[::3, 1::2],
        "expanded": np.broadcast_to(tensor.numpy()[:, None], (40, 5, 30)),
        "scalar": tensor.numpy()[3, 4, ...],
        "empty": tensor.numpy()[:0],
        "reversed": tensor.numpy()[::-1, ::-2],
    }
    array = np.asarray(views[layout])
    check(moments_of(array), torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape)))


@pytest.mark.parametrize("name", dtypes(FOREIGN))
def test_every_bit_pattern_of_the_narrow_types(name: str) -> None:
    bits = np.dtype(getattr(ml_dtypes, name)).itemsize * 8
    patterns = np.arange(1 << bits, dtype=f"u{bits // 8}")
    tensor = torch.from_numpy(patterns.view(np.uint8)).view(getattr(torch, name))
    array = patterns.view(getattr(ml_dtypes, name))
    check(moments_of(array), tensor.float())
    assert np.array_equal(widen(array), tensor.float().numpy(), equal_nan=True)
    assert np.array_equal(widen(array[::-3]), tensor.float().numpy()[::-3], equal_nan=True)


def test_more_than_a_block_in_pieces_and_together() -> None:
    array = np.random.default_rng(1).normal(3, 2, (3, module.BLOCK + 7)).astype(np.float32)
    tensor = torch.from_numpy(array)
    check(moments_of(array), tensor)
    check(moments_of(array.T), tensor)
    check(moments_of(array[:, ::2]), tensor[:, ::2])
    check(moments_of(*array), tensor)
    merged = moments_of(array[0])
    merged.merge(moments_of(array[1:]))
    merged.merge(Moments())
    check(merged, tensor)
    other = Moments()
    other.merge(merged)
    check(other, tensor)


@pytest.mark.parametrize(
    "values",
    [
        [math.nan], [math.inf, -math.inf], [math.nan, 1, -math.inf, 3], [0.0, -0.0, 5e-324], [-0.0], [7.0, math.nan],
        [1e-45, 2e-45], [3.0] * 9, [1e300, 1e300], [1.0, 2.0],
    ],
)  # fmt: skip
def test_what_is_not_finite_is_counted_and_left_out(values: list[float]) -> None:
    check(moments_of(np.array(values)), torch.tensor(values, dtype=torch.float64))


def test_a_complex_number_with_one_part_that_is_none_is_none() -> None:
    values = np.array(
        [1 + 2j, complex(math.nan, 1), complex(math.inf, math.nan), complex(0, -math.inf), 0j], np.complex64
    )
    check(moments_of(values), torch.from_numpy(values))


def test_equal_numbers_do_not_deviate() -> None:
    found = moments_of(np.full(1_000_003, 0.1, np.float32))
    assert found.std == 0
    assert found.mean == pytest.approx(float(np.float32(0.1)), rel=1e-15)


@pytest.mark.parametrize("count", [2, 3, 6, 7, 10, 49, 1000])
def test_equal_numbers_do_not_deviate_whatever_their_sum_is_rounded_to(count: int) -> None:
    assert moments_of(np.full(count, 0.1)).std == 0
    counted = Moments()
    counted.add_counts(np.array([0.1]), np.array([count]))
    assert counted.std == 0


def test_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    values = 1e6 + np.random.default_rng(2).normal(0, 1e-3, 20_000)
    exact = [Fraction(value) for value in values.tolist()]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / (len(exact) - 1)
    found = moments_of(values)
    assert found.std == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert found.mean == pytest.approx(float(mean), rel=1e-15)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(width=32, allow_subnormal=True), max_size=30), max_size=6),
)
def test_pieces_add_up(pieces: list[list[float]]) -> None:
    arrays = [np.array(piece, np.float32) for piece in pieces]
    whole = torch.from_numpy(np.concatenate([*arrays, np.empty(0, np.float32)]))
    check(moments_of(*arrays), whole)
    merged = Moments()
    for array in arrays:
        merged.merge(moments_of(array))
    check(merged, whole)


def test_numbers_with_their_counts() -> None:
    values = np.array([-4.0, -0.0, 0.0, 1.5])
    counts = np.array([7, 2, 1, 3])
    found = moments_of(np.array([2.0, 2.5]))
    found.add_counts(values, counts, nan=4, inf=5)
    others = [[2.0, 2.5], [math.nan] * 4, [math.inf] * 5]
    check(found, torch.from_numpy(np.concatenate([*others, np.repeat(values, counts)])))
    empty = Moments()
    empty.add_counts(values[:0], counts[:0], nan=1)
    assert (empty.count, empty.nan, empty.mean) == (1, 1, None)


def test_many_numbers_with_their_counts() -> None:
    """More than one scalar product takes, of both signs, which nearly cancel."""
    generator = np.random.default_rng(3)
    values = np.unique(generator.normal(size=30_001))
    counts = generator.integers(1, 9, values.size)
    found = Moments()
    found.add_counts(values, counts)
    total = sum(Fraction(value) * count for value, count in zip(values.tolist(), counts.tolist(), strict=True))
    size = int(counts.sum())
    assert found.mean == pytest.approx(float(total / size), abs=1e-15)
    assert found.std == pytest.approx(float(np.repeat(values, counts).std(ddof=1)), rel=1e-13)


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order(order: str) -> None:
    array = np.array([1.5, -2, 700], f"{order}f2")
    assert widen(array).tolist() == [1.5, -2, 700]
    assert widen(np.array([1, 2, 70_000], f"{order}i4")).tolist() == [1, 2, 70_000]


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.array([None]), np.zeros(2, "i4,f4")]
)
def test_what_is_no_number_is_refused(array: Array) -> None:
    with pytest.raises(TypeError, match="has no arithmetic"):
        Moments().add(array)


def test_only_narrow_types_have_a_table() -> None:
    with pytest.raises(TypeError, match="more than 16 bits"):
        narrow_values(np.dtype(np.float32))


def test_what_is_counted_keeps_no_numbers() -> None:
    moments = Moments()
    moments.add(np.linspace(-1, 1, 300_000, dtype=np.float32))
    assert not any(isinstance(each, np.ndarray) for each in vars(moments).values())
