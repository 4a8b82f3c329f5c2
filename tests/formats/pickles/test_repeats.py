"""Taken at once or opcode by opcode: the same objects, whatever the bytes; and few opcodes for each."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex

from benchmarks.ranks import metadata_of_ranks
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles import repeats, state
from paraminspect.formats.pickles.inert import Dtype, Global, OddKey, Opaque, Run
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.repeats import Repeats
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.limits import OPCODES, one_effort


@pytest.fixture(autouse=True)
def in_small_pickles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "WORTHWHILE", 0)


def load(data: bytes, *, at_once: bool) -> tuple[Any, int, int]:
    """What the pickle stands for with every object written out, opcodes spent, and objects taken at once."""
    with one_effort(afresh=True) as effort:
        effort.allow(None, len(data))
        machine = PickleMachine(Blob.from_bytes(data), GlobalTable().find, repeats=Repeats() if at_once else None)
        taken: list[int] = []
        value = written_out(machine.load(), taken)
        return value, effort.spent(OPCODES), sum(taken)


def written_out(value: object, taken: list[int]) -> Any:
    """What can be compared: of a run, each of its objects, as a list that belongs into the list around it."""
    if isinstance(value, Run):
        taken.append(value.count)
        rows = [{key: column[row] for key, column in value.columns.items()} for row in range(value.count)]
        return [(value.class_name, written_out(row, taken), None) for row in rows]
    if isinstance(value, Opaque):
        return value.class_name, written_out(value.state, taken), written_out(value.entries, taken)
    if isinstance(value, dict):
        pairs: list[tuple[object, object]] = []
        for key, item in value.items():
            name = key.value if isinstance(key, OddKey) else key
            keys, items = written_out(name, taken), written_out(item, taken)
            pairs += zip(keys, items, strict=True) if isinstance(key, Run) else [(keys, items)]
        return "dict", [(key, item) for key, item in pairs if item is not None]
    if isinstance(value, list | tuple):
        found: list[object] = []
        for each in value:
            found += written_out(each, taken) if isinstance(each, Run) else [written_out(each, taken)]
        return type(value).__name__, found
    return value.dotted if isinstance(value, Global) else value.name if isinstance(value, Dtype) else value


def assert_same(value: object, *, protocol: int = 4) -> tuple[int, int]:
    """The same both ways; gives opcodes spent, and objects taken at once."""
    data = pickle.dumps(value, protocol)
    found, opcodes, taken = load(data, at_once=True)
    assert found == load(data, at_once=False)[0]
    return opcodes, taken


def chunks(count: int, *, step: int = 1) -> list[ChunkStorageMetadata]:
    return [ChunkStorageMetadata(torch.Size([row * step, 0]), torch.Size([step, 8])) for row in range(count)]


def places(count: int, *, file: str = "__0_0.distcp", step: int = 1) -> dict[MetadataIndex, _StorageInfo]:
    return {
        MetadataIndex(f"w{number}", torch.Size([number, 0]), number): _StorageInfo(file, number * step, 70_000)
        for number in range(count)
    }


@pytest.mark.parametrize("by_rank", [False, True])
@pytest.mark.parametrize("protocol", [4, 5])
def test_metadata_of_many_ranks(by_rank: bool, protocol: int) -> None:
    tensors, ranks = 12, 40
    opcodes, taken = assert_same(metadata_of_ranks(tensors, ranks, by_rank=by_rank), protocol=protocol)
    assert taken > 0.9 * 3 * tensors * ranks
    assert opcodes < 12 * tensors * ranks  # 107 for each piece without


def test_work_does_not_grow_with_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more piece is one object taken in a list, and one in a dictionary; but what a window cuts goes by opcodes."""
    monkeypatch.setattr(state, "FIRST_WINDOW", state.WINDOW)
    few, many = (assert_same({"a": chunks(count), "b": places(count)})[0] for count in (200, 400))
    assert many - few == 400


def test_numbers_of_every_length() -> None:
    for step in (1, 200, 70_000, 1 << 31, 1 << 40, 1 << 61):
        assert assert_same([chunks(4, step=step), places(4, step=step)])[1] == 3 + 2 * 3
    values = [torch.Size([7] * length) for length in (0, 1, 2, 3, 4, 5, 64)]
    assert_same([ChunkStorageMetadata(value, value) for value in values for _ in range(3)])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 64])
def test_memo_entries_behind_a_run_keep_their_numbers(length: int) -> None:
    name = "x" * 9
    many = [ChunkStorageMetadata(torch.Size([7] * length), torch.Size([7] * length)) for _ in range(9)]
    assert assert_same([many, name, name])[1] == 8
    files = [f"file{n}" for n in range(3)]
    several = {MetadataIndex(f"w{n}", [n] * length, n): _StorageInfo(files[n // 3], n, n) for n in range(9)}
    assert assert_same([several, name, name, list(several.values())[4].relative_path])[1] == 2 * (len(several) - 1)


@pytest.mark.parametrize("old", [b"\x8c\2w5\x94", b"\x8c\5file1\x94"])
def test_a_name_that_is_not_as_long_as_it_says(old: bytes) -> None:
    names = [f"file{n}" for n in range(3)]
    data = pickle.dumps({MetadataIndex(f"w{n}", [n], n): _StorageInfo(names[n // 3], n, n) for n in range(9)}, 4)
    for length in (old[1] - 1, old[1] + 1):
        changed = data.replace(old, old[:1] + bytes([length]) + old[2:])
        assert changed != data
        assert load_or_fail(changed, at_once=True) == load_or_fail(changed, at_once=False)


def test_names() -> None:
    assert assert_same({**places(80, file="one"), MetadataIndex("é" * 9): _StorageInfo("two", 1, 2)})[1] == 2 * 79
    long = {MetadataIndex("x" * 300 + str(n), torch.Size([1])): _StorageInfo("y", n, n) for n in range(4)}
    assert_same(long)
    files = {MetadataIndex("x", torch.Size([n]), n): _StorageInfo(f"file{n // 3}", n, n) for n in range(90)}
    assert assert_same(files)[1] == 2 * 89


def test_a_memo_entry_of_one_that_was_taken() -> None:
    """Its opcodes are interpreted after all, once."""
    many = chunks(50)
    opcodes, taken = assert_same([many, many[30].offsets, many[31].sizes, many[30].offsets, [chunks(3)]])
    assert taken == 49 + 2
    assert opcodes < 49 * 40 + 400


def test_an_object_that_was_taken_and_may_change() -> None:
    """Read again, opcode by opcode: it must be the same object wherever it stands."""
    many, many_places = chunks(50), places(50)
    assert assert_same([many, many[30], many[0]])[1] == 0
    assert assert_same([many_places, list(many_places), list(many_places.values())])[1] == 0
    data = pickle.dumps([many, many[30], "end"], 4)
    changed = data.replace(b"\x8c\3end\x94", b"N}\x8c\1x\x94K\1s\x86b0N")  # its state is set once more
    assert load(changed, at_once=True)[::2] == (load(changed, at_once=False)[0], 0)


def test_opcodes_that_tell_the_last_one_apart() -> None:
    """They would take a whole run."""
    data = pickle.dumps([chunks(9), chunks(9)], 4)
    begin = data.rindex(b"ube")
    for other in (
        b"\x85e",
        b"0e",
        b"\x94e",
        b"2e",
        b"000e",
        b"NNs0e",
        b"\x86e",
        b"\x87e",
        b"N\x87e",
        b"a]e",
        b"Rbe",
        b"}be",
        b"(NNue",
        b"Nae",
        b"q\xffeh\xff",
    ):
        changed = data[:begin] + b"ub" + other + data[begin + 3 :]
        assert load_or_fail(changed, at_once=True) == load_or_fail(changed, at_once=False), other


def load_or_fail(data: bytes, *, at_once: bool) -> object:
    try:
        return load(data, at_once=at_once)[0]
    except (ParamInspectError, RecursionError) as error:
        return type(error)


def test_opcodes_that_number_memo_entries_themselves() -> None:
    """As no pickler writes them between MEMOIZE: read again, opcode by opcode."""
    data = pickle.dumps([chunks(9), "text", chunks(9)], 4)
    text = b"\x8c\4text\x94"
    assert text in data
    for index in (0, 40, 100):
        changed = data.replace(text, b"\x8c\4textq" + bytes([index]))
        changed = changed[:2] + b"\x95" + struct.pack("<Q", len(changed) - 11) + changed[11:]
        assert load(changed, at_once=True)[::2] == (load(changed, at_once=False)[0], 0)


def test_objects_that_are_keys_and_values() -> None:
    """Of one class: those that follow each other are no list of values."""
    two = [ChunkStorageMetadata(torch.Size([1]), torch.Size([2])) for _ in range(6)]
    raw = pickle.dumps(two, 4)
    as_dictionary = raw.replace(b"]\x94(", b"}\x94(").replace(b"ube.", b"ubu.")
    found, _, taken = load(as_dictionary, at_once=True)
    assert found[0] == "dict"
    assert found == load(as_dictionary, at_once=False)[0]
    assert taken == 0


def test_what_never_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [x for n in range(100) for x in (*chunks(1), n)]
    looked = []
    learn = Repeats._learn
    monkeypatch.setattr(Repeats, "_learn", lambda self, *given: looked.append(1) or learn(self, *given))
    assert assert_same(odd)[1] == 0
    assert len(looked) <= repeats.MAX_FAILURES


SEED = pickle.dumps({"a": chunks(9), "b": places(9), "c": chunks(3)}, 4)


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes(flips: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for position, byte in flips:
        data[position] = byte
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "WORTHWHILE", 0)
        assert load_or_fail(bytes(data), at_once=True) == load_or_fail(bytes(data), at_once=False)
