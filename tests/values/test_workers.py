"""Several processes give what one gives."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError
from paraminspect.formats.source import open_source
from paraminspect.records import TensorRecord
from paraminspect.values import workers as module
from paraminspect.values.decode import InMemory, Numbers
from paraminspect.values.read import open_numbers
from paraminspect.values.stored_bytes import Files
from paraminspect.values.workers import collect, collect_in_parallel, count_workers, share_out
from tests.making.torch_files import not_dense


@pytest.fixture
def records(tmp_path: Path) -> list[TensorRecord]:
    due = {f"t{index}": torch.randn(200 + index) for index in range(20)}
    torch.save({**due, "sparse": not_dense(), "nan": torch.tensor([torch.nan])}, tmp_path / "m.pt")
    return list(open_source(tmp_path / "m.pt").tensors)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_same_rows_in_the_same_order(records: list[TensorRecord], workers: int) -> None:
    files = Files()
    rows = [*([record] for record in records), records[:5], [records[20], records[3]]]

    def open_(record: TensorRecord) -> Numbers:
        return open_numbers(record, files)

    expected = list(collect(rows, open_))
    found = list(collect_in_parallel(rows, open_, workers=workers))
    assert [each.stats for each in found] == [each.stats for each in expected]
    assert [[(failure.record, failure.error.message) for failure in each.failures] for each in found] == [
        [(failure.record, failure.error.message) for failure in each.failures] for each in expected
    ]
    assert found[20].failures


def test_progress_comes_from_all(records: list[TensorRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_BYTES", 1)
    seen: list[int] = []
    rows = [[record] for record in records if record.name != "sparse"]
    list(collect_in_parallel(rows, lambda record: open_numbers(record, Files()), seen.append, workers=2))
    assert sum(seen) == sum(record.nbytes or 0 for row in rows for record in row)


def test_a_process_that_dies_is_noticed(records: list[TensorRecord]) -> None:
    def open_(record: TensorRecord) -> Numbers:
        if record.name == "t7":
            os.kill(os.getpid(), signal.SIGKILL)
        return InMemory(np.ones(3))

    with pytest.raises(CheckpointError, match="ended early"):
        list(collect_in_parallel([[record] for record in records], open_, workers=2))


def test_processes_are_gone_when_nobody_wants_more(records: list[TensorRecord]) -> None:
    rows = collect_in_parallel([[record] for record in records], lambda _: InMemory(np.ones(3)), workers=2)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 5))
def test_work_is_shared_out_whole_and_evenly(sizes: list[int], workers: int) -> None:
    lots = share_out(sizes, workers)
    assert sorted(place for lot in lots for place in lot) == list(range(len(sizes)))
    assert all(lot == sorted(lot) for lot in lots)
    sums = [sum(sizes[place] for place in lot) for lot in lots]
    if len(lots) == workers:
        assert max(sums) - min(sums) <= max(sizes) + len(sizes)


def test_small_files_and_live_models_stay_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # whatever other tests have left
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert count_workers(1000) == 1
    assert count_workers(1 << 40) == module.MAX_WORKERS
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert count_workers(1 << 40) == 1
