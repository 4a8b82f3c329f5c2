"""What a summary of a large tensor needs is read, and looks as the whole does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.formats.source import open_source
from paraminspect.values.display import PrintOptions, format_tensor
from paraminspect.values.read import read_part, read_summary, read_tensor
from paraminspect.values.slices import parse_slice, take_slice
from paraminspect.values.stored_bytes import FileBytes, Files

BASE = torch.arange(30 * 40 * 50.0).reshape(30, 40, 50)
VIEWS = {
    "plain": BASE,
    "turned": BASE.permute(2, 0, 1),
    "gaps": BASE[3::2, ::3, 1:49],
    "expanded": BASE[:, :1].expand(30, 40, 50),
    "negative": BASE._neg_view(),
    "small": BASE[:2, :3, :8],
    "scalar": BASE[0, 0, 0],
    "empty": BASE[:0],
}
SLICES = ["", "0", "-1, ::2", "..., 7", "2:20:3, 5:5", "::2, 1, -3:", "29:3"]

pytestmark = pytest.mark.filterwarnings("ignore:.*quantiz.*")


@pytest.mark.parametrize("name", [*VIEWS, "scaled"])
@pytest.mark.parametrize("text", SLICES)
def test_parts_and_summaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setattr("paraminspect.values.read.CHUNK", 100)
    view = VIEWS[name] if name != "scaled" else torch.quantize_per_tensor(BASE, 0.5, 0, torch.qint32)
    torch.save({"t": view}, tmp_path / "m.pt")
    (record,) = open_source(tmp_path / "m.pt").tensors
    index: tuple[Any, ...] = parse_slice(text) if text else ()
    if name in ("scalar", "empty") and index:
        return
    whole = take_slice(read_tensor(record), index)
    part = read_part(record, index, Files())
    assert part.shape == whole.shape
    assert np.array_equal(part, whole)
    ends, shape = read_summary(record, index, Files(), edge=3, above=1000)
    assert shape == whole.shape
    is_cut = whole.size > 1000
    assert is_cut or ends.shape == whole.shape
    options = PrintOptions(threshold=0 if is_cut else 1000)
    assert format_tensor(ends, "float32", options) == format_tensor(whole, "float32")


def test_a_summary_reads_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"t": torch.zeros(7, 1_000_000).t(), "e": torch.ones(1).expand(10**12)}, tmp_path / "m.pt")
    read = []
    plain = FileBytes.read

    def count(source: FileBytes, begin: int, length: int) -> bytes:
        read.append(length)
        return plain(source, begin, length)

    monkeypatch.setattr(FileBytes, "read", count)
    for record in open_source(tmp_path / "m.pt").tensors:
        read_summary(record, (), Files(), edge=3, above=1000)
    assert sum(read) < 1000
