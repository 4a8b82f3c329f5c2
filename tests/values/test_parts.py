"""Tensors in parts are the tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.source import open_source
from paraminspect.records import TensorRecord
from paraminspect.values import compare, decode
from paraminspect.values import parts as module
from paraminspect.values.parts import GRID, Part, cut, cut_bytes, put_together, size_of
from paraminspect.values.read import open_numbers
from paraminspect.values.stored_bytes import Files


def saved(folder: Path, tensor: torch.Tensor) -> TensorRecord:
    torch.save({"t": tensor}, folder / "m.pt")
    return open_source(folder / "m.pt").tensors[0]


@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16", "uint8", "complex64"])
def test_parts_read_as_the_whole(tmp_path: Path, dtype: str) -> None:
    numbers = torch.arange(3 * GRID + 5) % 250
    record = saved(tmp_path, numbers.to(getattr(torch, dtype)).reshape(1, -1))
    files = Files()
    whole = open_numbers(record, files).array().view(np.uint8)
    for most in (1, GRID * (record.nbytes or 0) // record.numel, (record.nbytes or 0) - 1):
        cuts = cut(7, 2, [record], most)
        assert len(cuts) > 1
        assert {(each.group, each.at, each.numel, each.is_whole) for each in cuts} == {(7, 2, record.numel, False)}
        assert all(each.begin % GRID == 0 for each in cuts)
        read = np.concatenate([open_numbers(each.records[0], files).array() for each in cuts])
        assert np.array_equal(read.view(np.uint8), whole)
        assert size_of(cuts) == record.nbytes
        assert cut_bytes(record, most) == cuts[0].nbytes


def test_two_are_cut_in_the_same_places(tmp_path: Path) -> None:
    record = saved(tmp_path, torch.zeros(2 * GRID))
    wide = record._replace(dtype="float64", nbytes=16 * GRID)
    found = cut(0, 0, [record, wide], 1)
    assert [[each.numel for each in part.records] for part in found] == [[GRID, GRID]] * 2
    assert [part.records[1].offset for part in found] == [0, 8 * GRID]


def test_parts_are_whole_chunks_of_all_readers() -> None:
    assert GRID % decode.CHUNK == GRID % compare.CHUNK == 0


@pytest.mark.parametrize("how", ["small", "transposed", "quantised", "compressed"])
def test_what_lies_otherwise_stays_whole(tmp_path: Path, how: str) -> None:
    tensor = torch.zeros(2 * GRID)
    if how == "transposed":
        tensor = tensor.reshape(2, -1).T
    record = saved(tmp_path, tensor)
    if how == "quantised":
        record = record._replace(dtype="qint32")
    if how == "compressed":
        assert record.storage is not None
        record = record._replace(storage=record.storage._replace(begin=None))
    (part,) = cut(1, 3, [record], 1 << 30 if how == "small" else 1, 4)
    assert part == Part(1, 3, (record,), 0, record.numel, 4)
    assert part.is_whole


@given(st.lists(st.integers(0, 5000), max_size=30), st.integers(0, 9000))
def test_lots_keep_all_parts_in_order(sizes: list[int], most: int) -> None:
    parts = [Part(place, 0, (TensorRecord("t", (n,), "uint8", n, n),), 0, n) for place, n in enumerate(sizes)]
    lots = list(put_together(parts, most))
    assert [part for lot in lots for part in lot] == parts
    assert all(len(lot) == 1 or sum(max(p.nbytes, module.ONE_RECORD) for p in lot) <= most for lot in lots)
