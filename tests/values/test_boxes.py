"""Numbers of tensors in pieces: the same, in the same order, as of the tensor in one piece."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.source import open_source
from paraminspect.values import boxes as boxes_module
from paraminspect.values.boxes import Boxes
from paraminspect.values.decode import InMemory
from paraminspect.values.pieces import read_pieces
from paraminspect.values.read import read_tensor
from paraminspect.values.stats import summarise
from paraminspect.values.stored_bytes import Files
from tests.making.distributed import Box, grid, save_in_pieces
from tests.making.newer_torch import is_since

SHAPES = [(7,), (5, 6), (1, 9), (3, 1, 8), (4, 3, 5), (2, 3, 2, 5), ()]


def in_boxes(whole: np.ndarray, boxes: list[Box]) -> tuple[Boxes, list[int]]:
    """With the numbers of the boxes that were opened."""
    opened: list[int] = []

    def open_(number: int) -> InMemory:
        opened.append(number)
        begin, sizes = boxes[number]
        return InMemory(whole[tuple(slice(at, at + size) for at, size in zip(begin, sizes, strict=True))].reshape(-1))

    return Boxes(whole.shape, boxes, open_, whole.dtype), opened


@given(st.sampled_from(SHAPES), st.data())
def test_every_run_of_numbers(shape: tuple[int, ...], data: st.DataObject) -> None:
    boxes = data.draw(st.permutations(grid(shape, [data.draw(st.integers(1, size)) for size in shape])))
    whole = np.arange(int(np.prod(shape))).reshape(shape)
    numbers, _ = in_boxes(whole, boxes)
    for begin, end in product(range(whole.size + 1), repeat=2):
        if begin <= end:
            assert numbers.read(begin, end).tolist() == whole.reshape(-1)[begin:end].tolist()


def test_boxes_that_are_no_grid() -> None:
    whole = np.arange(12).reshape(3, 4)
    numbers, _ = in_boxes(whole, [((1, 2), (2, 2)), ((0, 0), (1, 4)), ((1, 0), (2, 1)), ((1, 1), (2, 1))])
    assert numbers.array().tolist() == list(range(12))


def test_only_the_boxes_that_are_wanted() -> None:
    whole = np.arange(6000).reshape(1000, 6)
    numbers, opened = in_boxes(whole, grid((1000, 6), (500, 2)))
    numbers.read(600, 606)
    assert sorted(opened) == [100, 101]
    numbers.read(606, 609)
    assert len(opened) == 2


def test_memory_of_many_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes_module, "MAX_KEPT", 3)
    numbers, opened = in_boxes(np.arange(40), grid((40,), (20,)))
    assert [numbers.read(at, at + 1)[0] for at in range(40)] == list(range(40))
    assert opened == list(range(20))


TENSORS = {
    "rows": torch.randn(600, 700),
    "grid": torch.randn(500, 900).bfloat16(),
    "wide": torch.randn(3, 150_001, dtype=torch.float64),
    "whole": torch.randint(0, 99, (5000, 31)),
    "complex": torch.randn(100, 30, dtype=torch.complex64),
    "eight": torch.randn(333, 77).to(torch.float8_e4m3fn),
    "odd": torch.tensor([0.0, -0.0, float("nan"), float("inf")] * 2).view(torch.int32).add(1).view(torch.float32),
    "bits": torch.arange(12, dtype=torch.uint8)
    .view(torch.float4_e2m1fn_x2 if is_since("2.10") else torch.uint8)
    .view(3, 4),
    "true": torch.rand(99, 3) > 0.5,
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
}
PARTS = {
    "rows": (7, 1),
    "grid": (4, 3),
    "wide": (2, 3),
    "complex": (3, 2),
    "eight": (2, 2),
    "odd": (3,),
    "bits": (2, 2),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same tensors in pieces, and in one file."""
    folder = tmp_path_factory.mktemp("boxes")
    boxes = {name: grid(value.shape, PARTS.get(name, (1,) * value.ndim)) for name, value in TENSORS.items()}
    boxes["true"] = [((0, 0), (50, 3)), ((50, 0), (49, 2)), ((50, 2), (49, 1))]
    save_in_pieces(folder / "dcp", TENSORS, boxes)
    torch.save(TENSORS, folder / "m.pt")
    return folder / "dcp", folder / "m.pt"


@pytest.mark.parametrize("name", TENSORS)
def test_statistics_and_bytes_are_those_of_one_file(both: tuple[Path, Path], name: str) -> None:
    from paraminspect.values.read import open_numbers

    found = []
    for source in both:
        (record,) = [each for each in open_source(source).tensors if each.name == name]
        files = Files()
        stats = summarise(open_numbers(record, files)).stats()
        data = b"".join(read_pieces(record, files, 1000))
        array = read_tensor(record, files)
        found.append((repr(stats), data, array.shape, array.tobytes()))
    assert found[0] == found[1]
