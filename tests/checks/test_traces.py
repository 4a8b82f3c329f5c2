"""Pickles that are traced once: the findings and the tensors are those of a run that traces them as often as it is asked."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.checks import check, traces
from paraminspect.checks.check import check_stored
from paraminspect.checks.traces import HEAD, Traces, trace_once
from paraminspect.files.blob import Blob
from paraminspect.formats.once import making_once
from paraminspect.formats.pickles.inert import StorageRef
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.traced import Trace
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.limits import OPCODES, STRINGS, WINDOWS, Effort, one_effort
from tests.making.distributed import grid, save_in_pieces
from tests.making.zips import zip_bytes

MADE = Path(__file__).parents[1] / "honest" / "torch"
HONEST = {"a.weight": torch.zeros(3, 2), "a.bias": torch.ones(2)[1:], "step": 3}
RUNS = b"\x80\x02cos\nsystem\nX\2\0\0\0id\x85R."


def saved(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def with_pickle(data: bytes, pickled: bytes) -> bytes:
    """An archive with another pickle."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zip_bytes(
            [(each, pickled if each.endswith("data.pkl") else archive.read(each)) for each in archive.namelist()]
        )


def pickled_of(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(next(each for each in archive.namelist() if each.endswith("data.pkl")))


def describe(path: Path) -> tuple[object, ...]:
    found, checkpoint = check_stored(str(path), deep=False)
    if checkpoint is None:
        return found, None
    tensors = [(each.name, each.dtype, each.shape, each.stride, each.offset, each.role) for each in checkpoint.tensors]
    return found, tensors, checkpoint.notes


def both(path: Path, data: bytes) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """What is said of a file by a run that traces once, and by one that does not."""
    path.write_bytes(data)
    once = describe(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "making_once", lambda _: nullcontext())
        return once, describe(path)


def legacy(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def retyped() -> bytes:
    """A storage that is used under two types."""
    data = saved({"a": torch.zeros(6), "b": torch.ones(6, dtype=torch.int32)})
    return with_pickle(data, pickled_of(data).replace(b"X\1\0\0\x001", b"X\1\0\0\x000"))


SHARED = torch.zeros(6)
ODD: dict[str, bytes] = {
    "honest": saved(HONEST),
    "ordered": saved(OrderedDict(HONEST)),
    "one storage": saved({"a": SHARED, "b": SHARED[2:], "c": SHARED.view(2, 3)}),
    "retyped": retyped(),
    "getattr": with_pickle(saved(HONEST), b"\x80\x02}X\1\0\0\0ac__builtin__\ngetattr\n(N" + b"X\1\0\0\0btRs."),
    "runs": with_pickle(saved(HONEST), RUNS),
    "no storage": with_pickle(saved(HONEST), b"\x80\x02}X\1\0\0\0a(X\7\0\0\0storageX\1\0\0\0btQs."),
    "not the arguments": with_pickle(saved(HONEST), b"\x80\x02}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n(K\1tRs."),
    "items of a global": with_pickle(saved(HONEST), b"\x80\x02cos\nenviron\nX\1\0\0\0aK\1s."),
    "items of a number": with_pickle(saved(HONEST), b"\x80\x02K\1K\2K\3s."),
    "cut": with_pickle(saved(HONEST), pickled_of(saved(HONEST))[:-9]),
    "a pickle inside": saved({"a": torch.zeros(1), "b": RUNS}),
    "an array": saved({"a": torch.zeros(1), "b": [torch.float16, torch.Size([2])]}),
    "legacy": legacy(HONEST),
    "legacy, one storage": legacy({"a": SHARED, "b": SHARED[2:], "c": SHARED.view(2, 3)}),
    "legacy that runs": legacy(HONEST).replace(b"X\4\0\0\0stepq", b"cos\nsystem\nq"),
    "legacy that is cut": legacy(HONEST)[:-40],
    "scripted": (MADE / "script.pt").read_bytes(),
    "a run of pieces": with_pickle(saved(HONEST), pickle.dumps([Counter(range(9))] * 99)),
}


@pytest.mark.parametrize("name", ODD)
def test_the_verdict_and_the_tensors_are_the_same(name: str, tmp_path: Path) -> None:
    once, twice = both(tmp_path / "model.pt", ODD[name])
    assert once == twice


@settings(max_examples=60)
@given(st.data())
def test_they_are_the_same_of_a_changed_pickle(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([ODD["honest"], ODD["one storage"], ODD["getattr"]]))
    pickled = bytearray(pickled_of(whole))
    for _ in range(data.draw(st.integers(1, 3))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(
            st.sampled_from(b"RQtsu.0(N}]ahK\x85\x94c\0\1")
        )
    once, twice = both(tmp_path_factory.mktemp("a") / "model.pt", with_pickle(whole, bytes(pickled)))
    assert once == twice


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many pickles were traced since."""
    traced: list[int] = []

    def counting(blob: Blob, begin: int = 0, declare: Callable[[StorageRef], None] | None = None) -> Trace:
        traced.append(blob.size)
        return trace_pickle(blob, begin, declare)

    monkeypatch.setattr(traces, "trace_pickle", counting)
    return lambda: len(traced)


def test_a_pickle_is_traced_once_for_the_reader_and_the_verdict(tmp_path: Path, count: Callable[[], int]) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(zip_bytes([("a/data.pkl", pickle.dumps({"step": 3}, 2)), ("a/version", b"3\n")]))
    check_stored(str(path), deep=False)
    assert count() == 1


@pytest.mark.parametrize("name", ["one storage", "legacy", "scripted"])
def test_of_every_format_of_torch(
    name: str, tmp_path: Path, count: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    load = PickleMachine.load
    monkeypatch.setattr(PickleMachine, "load", lambda self: loaded.append(1) or load(self))
    path = tmp_path / "model.pt"
    path.write_bytes(ODD[name])
    check_stored(str(path), deep=False)
    assert len(loaded) == count() + (name == "legacy")  # whose magic number tells what it is


def test_of_the_metadata_of_a_distributed_checkpoint(tmp_path: Path) -> None:
    save_in_pieces(tmp_path, {"w": torch.ones(400, 2)}, {"w": grid((400, 2), (200, 1))})
    once = describe(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "making_once", lambda _: nullcontext())
        assert once == describe(tmp_path)


def test_a_long_pickle_is_known_by_all_of_its_bytes(count: Callable[[], int]) -> None:
    data = pickle.dumps([str(number) for number in range(3000)], 2)
    assert len(data) > 2 * HEAD
    with one_effort(), making_once(Traces()):
        for each in (data, data, data.replace(b"2999", b"2998")):
            trace(each)
    assert count() == 2


def test_a_value_is_handed_out_once() -> None:
    """Who has it may change it."""
    blob = Blob.from_bytes(pickle.dumps({"a": 1}, 2))
    with one_effort(), making_once(made := Traces()):
        assert made.load(blob, 0, takes_runs=False) is not None
        assert made.load(blob, 0, takes_runs=False) is None


def trace(data: bytes) -> list[str]:
    told: list[str] = []
    trace_once(Blob.from_bytes(data), 0, lambda each: told.append(each.key))
    return told


def test_equal_pickles_are_traced_once_and_tell_their_storages_each_time(count: Callable[[], int]) -> None:
    data = pickled_of(ODD["honest"])
    with one_effort(), making_once(Traces()):
        assert trace(data) == trace(data) == ["0", "1"]
        assert count() == 1
        trace(data + b"0")
    assert count() == 2


def test_each_time_counts_as_work() -> None:
    data = pickled_of(ODD["a pickle inside"])
    with one_effort() as run, making_once(Traces()):
        trace(data)
        before = {bound: run.spent(bound) for bound in (OPCODES, WINDOWS, STRINGS)}
        trace(data)
        assert {bound: run.spent(bound) for bound in before} == {bound: 2 * count for bound, count in before.items()}
        assert all(before.values())


def test_where_too_little_is_left_it_is_traced_anew(monkeypatch: pytest.MonkeyPatch, count: Callable[[], int]) -> None:
    data = b"\x80\x02" + b"N0" * 50 + b"N."
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 150 if bound is OPCODES else 1 << 20)
    with one_effort() as run, making_once(Traces()):
        trace(data)
        trace(data)
        assert count() == 2
        assert run.is_spent


@pytest.mark.parametrize("bound", ["MAX_KEPT", "MAX_KEPT_BYTES"])
def test_what_is_kept_is_bounded(bound: str, monkeypatch: pytest.MonkeyPatch, count: Callable[[], int]) -> None:
    first, second = (pickle.dumps(number, 2) for number in (1, 2))
    monkeypatch.setattr(traces, bound, 1 if bound == "MAX_KEPT" else len(first))
    with one_effort(), making_once(Traces()):
        for data in (first, first, second, second, first):
            trace(data)
    assert count() == 3
