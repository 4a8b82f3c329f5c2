"""Numbers in other types, held against what torch makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.values.boxes import Boxes
from paraminspect.values.cast import cast
from paraminspect.values.decode import InMemory
from paraminspect.values.dtypes import numpy_dtype
from tests.making.newer_torch import since

TARGETS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
SOURCES = (*TARGETS, "float8_e4m3fnuz", "float8_e5m2fnuz")
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def bits_of(tensor: torch.Tensor) -> Any:
    return tensor.view(_INTEGERS[tensor.element_size()]).numpy().view(f"u{tensor.element_size()}")


def numbers_of(tensor: torch.Tensor, dtype: str) -> Any:
    return bits_of(tensor).view(numpy_dtype(dtype))


def hard_numbers(dtype: str) -> torch.Tensor:
    """Every pattern of narrow types; of wide ones those around ties, limits and subnormal numbers, and random ones."""
    random = np.random.default_rng(5)
    upper = np.arange(65536, dtype=np.uint32) << 16
    patterns = np.concatenate([upper, upper | 0x7FFF, upper | 0x8000, upper | 0x8001, random.integers(0, 2**32, 99999)])
    floats = torch.from_numpy(patterns.astype(np.uint32).view(np.float32))
    if dtype != "float64":
        return floats.to(getattr(torch, dtype))
    near = np.concatenate([1 + 2.0**-power + np.arange(-5, 6) * 2.0**-52 for power in (3, 4, 8, 11, 25)])
    wide = random.integers(0, 2**64, 99999, dtype=np.uint64).view(np.float64)
    return torch.cat([floats.double(), torch.from_numpy(np.concatenate([near, wide]))])


@pytest.mark.parametrize(
    "target",  # an older torch makes NaN of what is too large for e4m3fn
    [pytest.param(name, marks=since("2.13")) if name == "float8_e4m3fn" else name for name in TARGETS],
)
@pytest.mark.parametrize("source", SOURCES)
def test_numbers_become_what_torch_makes_of_them(source: str, target: str) -> None:
    tensor = hard_numbers(source)
    due = tensor.to(getattr(torch, target))
    ours = cast(numbers_of(tensor, source), target)
    assert ours.dtype == numpy_dtype(target)
    is_nan = due.double().isnan().numpy()
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        assert np.array_equal(np.isnan(ours.astype(np.float64)), is_nan)
    width = f"u{ours.itemsize}"
    assert np.array_equal(ours.view(width)[~is_nan], bits_of(due)[~is_nan])


@pytest.mark.parametrize("dtype", SOURCES)
def test_one_type_keeps_every_bit(dtype: str) -> None:
    tensor = hard_numbers(dtype)
    assert np.array_equal(cast(numbers_of(tensor, dtype), dtype).view(f"u{tensor.element_size()}"), bits_of(tensor))


def test_complex_halves() -> None:
    halves = torch.randn(40, 2).half()
    wide = torch.view_as_complex(halves.float()).numpy()
    assert cast(wide, "complex32").tobytes() == halves.numpy().tobytes()


def test_types_without_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="bits8"):
        cast(np.zeros(3, np.float32), "bits8")


@given(st.data())
def test_any_run_of_a_tensor_in_pieces(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    boxes = [((0,) * len(shape), shape)]
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(boxes) - 1))
        offsets, sizes = boxes[at]
        dim = data.draw(st.integers(0, len(shape) - 1))
        if sizes[dim] < 2:
            continue
        cut = data.draw(st.integers(1, sizes[dim] - 1))
        low = tuple(cut if d == dim else size for d, size in enumerate(sizes))
        high = tuple(size - cut if d == dim else size for d, size in enumerate(sizes))
        boxes[at : at + 1] = [(offsets, low), (tuple(o + cut * (d == dim) for d, o in enumerate(offsets)), high)]
    pieces = []
    for offsets, sizes in boxes:
        place = tuple(slice(at, at + size) for at, size in zip(offsets, sizes, strict=True))
        pieces.append(InMemory(np.ascontiguousarray(whole[place]).reshape(-1)))
    numbers = Boxes(shape, boxes, pieces.__getitem__, np.dtype(np.float32))
    begin = data.draw(st.integers(0, whole.size))
    end = data.draw(st.integers(begin, whole.size))
    assert np.array_equal(numbers.read(begin, end), whole.reshape(-1)[begin:end])


def test_a_long_row_in_pieces_is_not_held_whole() -> None:
    asked = []

    class Watched(InMemory):
        def read(self, begin: int, end: int) -> Any:
            asked.append(end - begin)
            return super().read(begin, end)

    half = np.arange(1000, dtype=np.float32)
    boxes = [((0, 0, 0), (1, 50, 20)), ((0, 50, 0), (1, 50, 20))]
    numbers = Boxes((1, 100, 20), boxes, lambda _: Watched(half), np.dtype(np.float32))
    assert numbers.read(990, 1010).tolist() == [*range(990, 1000), *range(10)]
    assert asked == [10, 10]
