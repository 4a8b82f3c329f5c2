"""Values as torch prints them: held against torch itself."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.values.display import FULL, PrintOptions, format_tensor
from paraminspect.values.dtypes import is_foreign, numpy_dtype

FLOATS = ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
OTHERS = ["int64", "int32", "int8", "uint8", "bool", "complex64", "complex128"]
SHAPES: list[tuple[int, ...]] = [
    (), (1,), (0,), (0, 3), (2, 0), (3, 4), (7,), (40,), (1001,), (1000,), (10, 101), (2, 3, 4), (8, 9, 15),
    (20, 3, 20), (1, 1, 1, 2), (7, 200),
]  # fmt: skip


def as_array(tensor: torch.Tensor) -> Any:
    dtype = numpy_dtype(str(tensor.dtype).removeprefix("torch."))
    assert dtype is not None
    if is_foreign(dtype):
        raw = tensor.contiguous().flatten().view(torch.uint8).numpy()
        return raw.view(dtype).reshape(tuple(tensor.shape))
    return tensor.numpy()


def make(dtype: str, shape: tuple[int, ...], kind: str) -> torch.Tensor:
    numbers = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))
    match kind:
        case "integers":
            numbers = (numbers * 10).round()
        case "zeros":
            numbers = numbers * 0
        case "inf" | "nan" | "-inf":
            numbers.view(-1)[:1] = float(kind)
        case _:
            numbers = numbers * float(kind)
    if dtype == "bool":
        return numbers > 0
    target = getattr(torch, dtype)
    if target.is_complex:
        return torch.complex(numbers, numbers.flip(0) if shape else -numbers).to(target)
    if not target.is_floating_point:
        return (numbers.nan_to_num(0, 0, 0) * 50).clamp(0 if dtype[0] == "u" else -100, 100).to(target)
    return numbers.to(target)


@pytest.mark.parametrize("kind", ["1", "1e-3", "1e-6", "1e3", "1e9", "integers", "zeros", "inf", "nan", "-inf"])
@pytest.mark.parametrize("dtype", [*FLOATS, *OTHERS])
def test_prints_as_torch(dtype: str, kind: str) -> None:
    for shape in SHAPES:
        tensor = make(dtype, shape, kind)
        assert format_tensor(as_array(tensor), dtype) == repr(tensor), shape


@pytest.mark.parametrize(("precision", "linewidth", "edgeitems", "threshold"), [(2, 40, 1, 20), (8, 120, 4, sys.maxsize), (0, 20, 3, 10)])  # fmt: skip
def test_options_are_those_of_torch(precision: int, linewidth: int, edgeitems: int, threshold: int) -> None:
    options = PrintOptions(precision, threshold, edgeitems, linewidth)
    torch.set_printoptions(precision=precision, linewidth=linewidth, edgeitems=edgeitems, threshold=threshold)
    try:
        for shape in SHAPES:
            for dtype in ("float32", "int64", "complex64", "bfloat16"):
                tensor = make(dtype, shape, "1")
                assert format_tensor(as_array(tensor), dtype, options) == repr(tensor), (shape, dtype)
    finally:
        torch.set_printoptions(profile="default")


@given(st.lists(st.floats(width=32), max_size=12))
def test_any_floats_print_as_torch(numbers: list[float]) -> None:
    tensor = torch.tensor(numbers, dtype=torch.float32)
    assert format_tensor(tensor.numpy(), "float32") == repr(tensor)


def test_full_shows_all() -> None:
    text = format_tensor(np.zeros(2000, np.float32), "float32", PrintOptions(threshold=FULL))
    assert text.count("0.") == 2000
    assert "..." not in text


@pytest.mark.parametrize("columns", [40, 79, 80, 81, 200])
@pytest.mark.parametrize("kind", ["1", "1e-6", "integers", "zeros", "inf", "nan", "-inf"])
@pytest.mark.parametrize("dtype", [*FLOATS, *OTHERS])
def test_no_line_is_wider_than_the_terminal(dtype: str, kind: str, columns: int) -> None:
    for shape in [*SHAPES, (8, 8), (3, 3, 3, 30)]:
        array = as_array(make(dtype, shape, kind))
        text = format_tensor(array, dtype, PrintOptions(columns=columns))
        assert max(map(len, text.split("\n"))) <= columns, (shape, text)
        assert text.split() == format_tensor(array, dtype).split()


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, -math.inf, 7.0])
@pytest.mark.parametrize("shape", [(30,), (2, 30), (7, 200)])
def test_equal_short_numbers_fill_the_terminal_and_no_more(shape: tuple[int, ...], value: float) -> None:
    tensor = torch.full(shape, value)
    text = format_tensor(tensor.numpy(), "float32", PrintOptions(columns=80, threshold=FULL))
    widest = max(map(len, text.split("\n")))
    assert 80 - len(f"{value:.0f}., ") <= widest <= 80
    assert format_tensor(tensor.numpy(), "float32") == repr(tensor)


@pytest.mark.parametrize(("shape", "hidden"), [((7, 200), (3, 0)), ((200, 7), (0, 3)), ((7, 7, 50), (0, 3, 0))])
def test_what_is_not_shown_does_not_count_for_the_notation(shape: tuple[int, ...], hidden: tuple[int, ...]) -> None:
    tensor = torch.zeros(shape)
    tensor[hidden] = 12345.5
    assert format_tensor(tensor.numpy(), "float32") == repr(tensor)
