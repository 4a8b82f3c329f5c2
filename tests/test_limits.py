"""One budget for a run: shared by all that read, counted once for each file, relative to the bytes that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraminspect.errors import LimitExceededError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.threads import side_by_side
from paraminspect.formats.pickles import machine
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.limits import OPCODES, Bound, Effort, EffortError, effort, one_effort

FEW = Bound("things", 10, 2)


def load(blob: Blob) -> object:
    return PickleMachine(blob, GlobalTable().find).load()


def test_what_is_too_much_is_refused_with_limit_and_actual_and_not_added() -> None:
    run = Effort()
    run.spend(FEW, 8)
    with pytest.raises(EffortError, match=r"11 things; the limit is 10") as caught:
        run.spend(FEW, 3)
    assert (caught.value.limit, caught.value.actual) == (10, 11)
    run.spend(FEW, 2)
    assert (run.spent(FEW), run.left(FEW)) == (10, 0)


def test_a_file_allows_more_and_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    with one_effort() as run:
        for _ in range(3):
            blob = open_blob(str(path))
        blob.part(10, 20)
        Blob.from_bytes(bytes(50))
        assert (run.nbytes, run.limit(FEW)) == (100, 210)


def test_a_run_in_a_run_is_part_of_it_unless_it_begins_afresh() -> None:
    with one_effort() as outer:
        with one_effort() as inner:
            assert inner is outer
        with one_effort(afresh=True) as other:
            assert other is not outer
            assert effort() is other
        assert effort() is outer
    assert effort() is not outer


def test_threads_spend_together() -> None:
    with one_effort() as run:
        side_by_side(lambda count: effort().spend(FEW, count), [1, 2, 3])
    assert run.spent(FEW) == 6


def test_all_pickles_of_a_run_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pickle = b"N" * 30 + b"."
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 100)
    with one_effort() as run:
        for _ in range(3):
            load(Blob.from_bytes(pickle))
        assert run.spent(OPCODES) == 93
        with pytest.raises(EffortError, match="opcodes of pickles in one run; the limit is 100"):
            load(Blob.from_bytes(pickle))
        assert run.spent(OPCODES) <= 100


def test_a_pickle_in_a_file_may_have_an_opcode_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_PICKLE_OPS", 10)
    path = tmp_path / "file"
    path.write_bytes(b"N" * 30 + b".")
    with one_effort():
        assert load(open_blob(str(path))) is None
    with one_effort(), pytest.raises(LimitExceededError, match="opcodes in one pickle; the limit is 10"):
        load(Blob.from_bytes(path.read_bytes()))  # as of a member that was inflated
