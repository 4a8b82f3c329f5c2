"""Pickles that a run has traced: their value is what reading them gives, and where the trace may not tell, they are read."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from paraminspect.checks.traces import Traces
from paraminspect.errors import MalformedError
from paraminspect.files.blob import Blob
from paraminspect.formats.once import making_once
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pytorch.first_use import FirstUses
from paraminspect.formats.pytorch.load import load_pickle, load_records
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.limits import one_effort

STORAGE = b"(X\7\0\0\0storagectorch\n%s\nX\1\0\0\x000X\3\0\0\0cpuK\x04tQ"
FLOATS, INTEGERS = STORAGE % b"FloatStorage", STORAGE % b"IntStorage"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """What loaded pickles since: a tracing machine or a plain one."""
    by: list[type] = []
    load = PickleMachine.load
    monkeypatch.setattr(PickleMachine, "load", lambda self: by.append(type(self)) or load(self))
    return by


def test_the_value_and_the_end_are_those_of_the_trace(read: list[type]) -> None:
    blob, table = Blob.from_bytes(b"\0\0" + pickle.dumps({"a": [1, print]}, 2) + b"behind"), GlobalTable()
    with one_effort(), making_once(Traces()):
        value, end = load_pickle(blob, table, begin=2)
    assert PickleMachine not in read
    assert isinstance(value, dict)
    assert (list(value), end) == (["a"], blob.size - 6)
    assert table.foreign == [("builtins", "print")]


@pytest.mark.parametrize("second", [FLOATS, INTEGERS])
def test_storages_are_those_of_their_first_use_in_all_pickles(second: bytes, read: list[type]) -> None:
    blob, uses, table = (
        Blob.from_bytes(b"\x80\x02" + FLOATS + b"." + b"\x80\x02" + second + b"."),
        FirstUses(),
        GlobalTable(),
    )
    with one_effort(), making_once(Traces()):
        first, end = load_pickle(blob, table, uses)
        again, _ = load_pickle(blob, table, uses, begin=end)
    assert isinstance(first, StorageRef)
    assert again is first
    assert bool(list(uses.notes())) == (second is INTEGERS)
    assert read.count(PickleMachine) == 1


@pytest.mark.parametrize("pid", [FLOATS, b"(X\6\0\0\0moduleca\nb\nX\0\0\0\0X\0\0\0\0tQ"])
@pytest.mark.parametrize("traced", [True, False])
def test_records_refer_to_no_storage(pid: bytes, traced: bool) -> None:
    blob = Blob.from_bytes(b"\x80\x02" + pid + b".")
    known: Any = making_once(Traces()) if traced else one_effort()
    with one_effort(), known, pytest.raises(MalformedError, match="a persistent id"):
        load_records(blob, GlobalTable())
