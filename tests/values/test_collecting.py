"""Rows by several readers are the rows of one, to the last bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraminspect.engines.local import processes, threads
from paraminspect.engines.pool import Here, Shared
from paraminspect.errors import LimitExceededError
from paraminspect.formats.source import open_source
from paraminspect.limits import NUMBERS, EffortError, one_effort
from paraminspect.records import TensorRecord
from paraminspect.values import decode, distribution, moments, stats
from paraminspect.values.collecting import RowStats, collect
from paraminspect.values.decode import CHUNK, Numbers
from paraminspect.values.read import open_numbers
from paraminspect.values.stats import Summary
from paraminspect.values.stored_bytes import Files
from tests.making.torch_files import not_dense

_FILES = Files()


def open_(record: TensorRecord) -> Numbers:
    return open_numbers(record, _FILES)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[TensorRecord]:
    folder = tmp_path_factory.mktemp("rows")
    drawn = torch.Generator().manual_seed(1)
    due: dict[str, Any] = {f"t{index}": torch.randn(200 + index, generator=drawn) for index in range(20)}
    due |= {"sparse": not_dense(), "nan": torch.tensor([torch.nan])}
    for index, dtype in enumerate((torch.float32, torch.bfloat16, torch.float64, torch.int8)):
        due[f"long{index}"] = (torch.randn(3 * CHUNK + 17, generator=drawn) * 9).to(dtype)
    torch.save(due, folder / "m.pt")
    return list(open_source(folder / "m.pt").tensors)


def rows_of(records: list[TensorRecord]) -> list[list[TensorRecord]]:
    return [*([record] for record in records), records[:5], [records[20], records[3]], records[18:], []]


def told(rows: list[RowStats]) -> str:
    return repr([(row.stats, [(each.record.name, each.error.message) for each in row.failures]) for row in rows])


def cut_finely(pool: Shared, lot: int = 1 << 10) -> Shared:
    pool.cut, pool.lot = 1, lot
    return pool


@pytest.mark.parametrize("kind", ["threads", "processes", "one lot"])
def test_the_same_rows_in_the_same_order(records: list[TensorRecord], kind: str) -> None:
    rows = rows_of(records)
    expected = list(collect(rows, open_))
    assert expected[20].failures
    pool = processes(2, "fork") if kind == "processes" else threads(2)
    found = list(collect(rows, open_, pool=cut_finely(pool, 1 << 30 if kind == "one lot" else 1 << 10)))
    assert told(found) == told(expected)


def test_progress_comes_from_all(records: list[TensorRecord]) -> None:
    rows = [[record] for record in records if record.name != "sparse"]
    for pool in (Here(), cut_finely(threads(2))):
        seen: list[int] = []
        list(collect(rows, open_, seen.append, pool))
        assert sum(seen) == sum(record.nbytes or 0 for row in rows for record in row)


def test_of_a_tensor_that_ends_early_the_first_fault_is_told(tmp_path: Path) -> None:
    torch.save({"t": torch.ones(4 * CHUNK)}, tmp_path / "m.pt")
    record = open_source(tmp_path / "m.pt").tensors[0]
    (tmp_path / "m.pt").write_bytes((tmp_path / "m.pt").read_bytes()[: 9 * CHUNK])

    def fresh(record: TensorRecord) -> Numbers:
        return open_numbers(record, Files())

    (one,) = collect([[record]], fresh)
    (cut,) = collect([[record]], fresh, pool=cut_finely(threads(2)))
    assert one.stats is None
    assert told([cut]) == told([one])


def test_too_much_work_ends_the_run_wherever_it_is_done(records: list[TensorRecord]) -> None:
    for pool in (Here(), cut_finely(threads(2)), cut_finely(processes(2, "fork"))):
        with one_effort() as run:
            run.nbytes = -NUMBERS.free // 256  # nothing is allowed
            with pytest.raises(LimitExceededError) as caught:
                list(collect([[record] for record in records], open_, pool=pool))
            assert isinstance(caught.value, EffortError)


# --- the laws of putting together ----------------------------------------------------------------------------------

KINDS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.int32, np.int64, np.uint8]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whoever_takes_what_in_whatever_order(data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "BLOCK", 8)
    monkeypatch.setattr(stats, "BLOCK", 8)
    monkeypatch.setattr(distribution, "EXACT", 12)  # so that some are put into cells on the way
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    few = data.draw(st.booleans())
    blocks = []
    for kind in kinds:
        width = {2: 16, 4: 32}.get(np.dtype(kind).itemsize, 64)
        numbers = st.integers(0, 15) if np.dtype(kind).kind in "iu" else st.floats(width=width)
        array = np.array(data.draw(st.lists(numbers, min_size=1, max_size=50)))
        with np.errstate(all="ignore"):
            array = array.astype(kind)
        blocks += [array[begin : begin + 8] for begin in range(0, array.size, 8)]
    expected = 8 if few else 1 << 30  # each block a tensor of its own, or all of them one

    def summarise(several: list[Any]) -> Summary:
        found = Summary(expected)
        for block in several:
            if few:
                one = Summary(expected)
                one.add(block)
                found.merge(one)
            else:
                found.add(block)
        return found

    whole = summarise(blocks)
    order = random.Random(data.draw(st.integers(0, 1 << 30)))
    shares: list[list[Any]] = [[] for _ in range(data.draw(st.integers(1, 5)))]
    for block in order.sample(blocks, len(blocks)):
        order.choice(shares).append(block)
    summaries = [summarise(share) for share in shares]
    while len(summaries) > 1:
        order.shuffle(summaries)
        last = summaries.pop()
        summaries[order.randrange(len(summaries))].merge(last)
    assert repr(summaries[0].stats()) == repr(whole.stats())


def test_the_laws_hold_for_blocks_as_they_are(records: list[TensorRecord]) -> None:
    (long,) = [record for record in records if record.name == "long0"]
    array = open_(long).array()
    assert decode.CHUNK % moments.BLOCK == 0
    whole, parts = Summary(array.size), [Summary(array.size) for _ in range(3)]
    whole.add(array)
    for place, begin in enumerate(range(0, array.size, moments.BLOCK)):
        parts[place % 3].add(array[begin : begin + moments.BLOCK])
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    assert parts[2].stats() == whole.stats()
