"""With the shortcut or opcode by opcode: the same tensors, or the same kind of failure, whatever the bytes."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles import opcodes as pickle_opcodes
from paraminspect.formats.pickles import shortcut as tensor_shortcut
from paraminspect.formats.pickles import state as pickle_state
from paraminspect.formats.pickles.inert import Global, OddKey, Opaque, StorageRef, TensorValue
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pytorch.objects import GlobalTable, storage_ref

MAGIC_PICKLES = 3  # magic number, protocol version, system: before the object of a legacy file


class Counted:
    """A shortcut that counts the tensors it makes."""

    def __init__(self, table: GlobalTable) -> None:
        self.builder = table.shortcut.builder
        self.begin = table.shortcut.begin
        self.forget = table.shortcut.forget
        self.restore = table.shortcut.restore
        self.take_keys = table.shortcut.take_keys
        self._take = table.shortcut.take
        self.tensors = 0

    def take(self, buffer: bytes, position: int, memo: dict[int, object], first: int) -> Any:
        taken = self._take(buffer, position, memo, first)
        if taken is not None:
            self.tensors += len(taken[0]) // 2 + 1
        return taken


def saved(value: object, *, protocol: int = 2, legacy: bool = False) -> bytes:
    """The pickle of the object in what torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    if not legacy:
        with zipfile.ZipFile(stream) as archive:
            return archive.read("archive/data.pkl")
    blob, position = Blob.from_bytes(stream.getvalue()), 0
    for _ in range(MAGIC_PICKLES):
        machine = PickleMachine(blob, GlobalTable().find, begin=position)
        machine.load()
        position = machine.position
    return stream.getvalue()[position:]


def run(data: bytes, *, shortcut: bool) -> tuple[object, int]:
    """The object written out (or the class of the error), and how many tensors the shortcut made."""
    table = GlobalTable()
    counted = Counted(table)
    machine = PickleMachine(Blob.from_bytes(data), table.find, storage_ref, shortcut=counted if shortcut else None)
    try:
        value = machine.load()
    except ParamInspectError as error:
        return type(error), 0
    return written_out(value, {}), counted.tensors if machine._shortcut else 0  # else it was read again without


def written_out(value: object, seen: dict[int, int]) -> object:
    """A value that can be compared; things that are one object get one number."""
    if isinstance(value, tuple):
        return [written_out(item, seen) for item in value]
    if not isinstance(value, dict | list | TensorValue | StorageRef | Opaque | Global | OddKey):
        return type(value).__name__, value
    if id(value) in seen:
        return "again", seen[id(value)]
    if not isinstance(value, StorageRef):
        seen[id(value)] = len(seen)
    if isinstance(value, dict):
        return "dict", [(written_out(key, seen), written_out(item, seen)) for key, item in value.items()]
    if isinstance(value, list):
        return "list", [written_out(item, seen) for item in value]
    if isinstance(value, OddKey):
        return "key", value.text
    slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ()) if name != "build"]
    return type(value).__name__, [(name, written_out(getattr(value, name, None), seen)) for name in slots]


def assert_same(data: bytes) -> int:
    with_shortcut, taken = run(data, shortcut=True)
    without, _ = run(data, shortcut=False)
    assert with_shortcut == without
    return taken


# --- what torch writes ------------------------------------------------------------------------------------------


def many(count: int = 120) -> dict[str, torch.Tensor]:
    """Every rank from 0 to 5, every second one a parameter."""
    tensors = {}
    for i in range(count):
        shape = tuple(range(1, i % 6 + 1))
        tensors[f"layer.{i}.weight"] = torch.empty(shape).requires_grad_(i % 2 == 0)
    return tensors


def with_shared(count: int = 120) -> dict[str, torch.Tensor]:
    base = torch.empty(1000)
    pieces = {f"view.{i}": base[i : i + 10 * i].reshape(-1, 10)[:, ::2].t() for i in range(1, count // 2)}
    return {**pieces, **{f"alias.{i}": piece for i, piece in enumerate(pieces.values())}}


STATES: dict[str, Any] = {
    "ranks": many(),
    "shared": with_shared(),  # in a zip the key comes from the memo, which goes opcode by opcode
    "tied": {**(tied := many()), "head": tied["layer.101.weight"][:]},
    "big": {f"big.{i}": torch.empty(1).expand(10**9 + i, 70_000) for i in range(60)},
    "ema": {"model": (model := many()), "ema": {name: tensor.clone() for name, tensor in model.items()}},
    "long names": {f"{'n' * (i * 5)}.{i}": torch.empty(i) for i in range(120)},
    "list": list(many().values()),
}
TAKEN_AT_LEAST = {"ranks": 80, "shared": 0, "tied": 80, "big": 20, "ema": 160, "long names": 30, "list": 80}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", STATES)
def test_what_torch_saves_is_the_same_either_way(name: str, protocol: int, legacy: bool) -> None:
    taken = assert_same(saved(STATES[name], protocol=protocol, legacy=legacy))
    assert taken >= TAKEN_AT_LEAST[name]


KEYS = sorted(str(number) for number in range(2_500))


@pytest.mark.parametrize(
    "keys", [KEYS, [*KEYS[:500], "a", *KEYS[500:]], [*KEYS, KEYS[400]]], ids=["all", "odd", "again"]
)
def test_keys_of_a_list_are_the_same_either_way(keys: list[str]) -> None:
    data = pickle.dumps(keys, 2)
    assert_same(data)
    counted = Counted(table := GlobalTable())
    machine = PickleMachine(Blob.from_bytes(data), table.find, shortcut=counted)
    assert machine.load() == keys
    assert machine._taken > 1_000


@pytest.mark.parametrize("change", [b"X\2\0\0\0" + b"123", b"X\3\0\0\0" + b"12", b"X\3\0\0\0" + b"12\xff"])
def test_keys_that_are_not_what_they_say(change: bytes) -> None:
    data = pickle.dumps(KEYS, 2)
    assert_same(data.replace(b"X\3\0\0\0" + b"600", change))


def test_what_was_left_out_is_there_again_for_a_get() -> None:
    keys = pickle.dumps(KEYS, 2).removesuffix(b"e.")
    assert_same(keys + get(1400) + get(1650) + get(1400) + b"e.")
    assert_same(keys + b"\x8c\3new" + put(1400) + b"0" + get(1400) + get(1401) + get(1400) + b"e.")  # stored anew
    assert_same(keys + get(2600) + b"e.")


@pytest.mark.parametrize("protocol", [4, 5])
def test_other_protocols_go_opcode_by_opcode(protocol: int) -> None:
    assert assert_same(saved(many(), protocol=protocol)) == 0


@pytest.mark.parametrize("window", [1, 300, 1000, 4096])
def test_windows_do_not_matter(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(many())
    whole, _ = run(data, shortcut=False)
    monkeypatch.setattr(pickle_state, "WINDOW", window)
    assert run(data, shortcut=True)[0] == whole


def test_a_full_cache_is_forgotten_without_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_shortcut, "MAX_REMEMBERED", 2)
    assert assert_same(saved(many())) >= 80


def test_a_limit_on_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_opcodes, "MAX_TENSORS", 40)
    with pytest.raises(ParamInspectError, match="tensors in one pickle; the limit is 40"):
        run_or_raise(saved(many()))


def run_or_raise(data: bytes) -> object:
    table = GlobalTable()
    return PickleMachine(Blob.from_bytes(data), table.find, storage_ref, shortcut=table.shortcut).load()


# --- what nobody writes: programs of tensors, names and memo tricks ---------------------------------------------

HEAD = (
    b"\x80\2" + b"X\7\0\0\0storageq\0ctorch\nFloatStorage\nq\1X\3\0\0\0cpuq\2"
    b"ccollections\nOrderedDict\nq\3ctorch._utils\n_rebuild_tensor_v2\nq\4ctorch\nLongStorage\nq\5Nq\6"
)
STORAGE, FLOAT, CPU, ORDERED, BUILDER, LONG, FIRST = 0, 1, 2, 3, 4, 5, 7


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index % 2**32)


def get(index: int) -> bytes:
    return b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)


def name(text: str, index: int) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode() + put(index)


def rebuild(
    first: int,
    *,
    tag: int = STORAGE,
    kind: int = FLOAT,
    location: int = CPU,
    hooks: int = ORDERED,
    key: bytes = b"0",
    length: int | None = None,
    numel: bytes = b"K\x08",
    offset: bytes = b"K\0",
    shape: bytes = b"K\2\x85",
    stride: bytes = b"K\1\x85",
    skip: int | None = None,
) -> bytes:
    """Arguments and call for the builder on the stack, with memo indices from `first`; `skip` shifts one of them."""
    indices = iter(range(first, first + 20))
    shifted = [next(indices) + (i == skip) for i in range(10)]
    puts = iter(put(index) for index in shifted)
    length = len(key) if length is None else length
    return (
        b"((" + get(tag) + get(kind) + b"X" + struct.pack("<I", length) + key + next(puts)
        + get(location) + numel + b"t" + next(puts) + b"Q" + offset
        + shape + (b"" if shape == b")" else next(puts)) + stride + (b"" if stride == b")" else next(puts))
        + b"\x89" + get(hooks) + b")R" + next(puts) + b"t" + next(puts) + b"R" + next(puts)
    )  # fmt: skip


PLAIN_TENSOR = rebuild(FIRST + 1)
NEXT = FIRST + 8  # behind a name and a tensor
ONE = b"}(" + name("a", FIRST) + get(BUILDER) + PLAIN_TENSOR
TWO = ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1)
LAST = NEXT + 8
AGAIN = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize(
    "program",
    [
        ONE + b"u.",
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + get(NEXT) + b"Nu.",  # a name of the shortcut, again
        ONE + name("b", NEXT) + get(NEXT - 1) + b"u.",  # the tensor, again
        ONE + name("b", NEXT) + get(FIRST + 3) + b"u.",  # its shape, which was left out
        ONE + name("b", NEXT) + get(FIRST + 5) + b"u.",  # its hooks
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1, location=FIRST + 1) + b"u.",  # the key as location
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1, tag=FIRST) + b"u.",
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1, kind=CPU) + b"u.",
        ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1, hooks=BUILDER) + b"u.",
        # what the memo held is overwritten
        ONE + b"\x8c\4evil" + put(STORAGE) + b"0" + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + get(LONG) + put(FLOAT) + b"0" + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + get(LONG) + put(BUILDER) + b"0" + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + get(LONG) + put(ORDERED) + b"0" + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + b"\x8c\4evil" + put(NEXT - 1) + b"0" + name("b", NEXT) + get(NEXT - 1) + b"u.",
        ONE + name("b", STORAGE) + get(BUILDER) + rebuild(NEXT) + b"u.",
        ONE + name("b", STORAGE) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + name("b", NEXT) + get(LONG) + rebuild(NEXT + 1) + b"u.",
        ONE + name("b", NEXT) + get(ORDERED) + rebuild(NEXT + 1) + b"u.",
        TWO + get(LONG) + put(BUILDER) + b"0" + name("c", LAST) + AGAIN + rebuild(LAST + 1)
        + name("d", LAST + 8) + get(BUILDER) + rebuild(LAST + 9) + b"u.",
        # other stacks, other keys
        ONE + b"2u.",
        ONE + b"0Nu.",
        ONE + name("a", NEXT) + get(BUILDER) + rebuild(NEXT + 1, shape=b"K\1\x85") + b"u.",
        ONE + name("b", NEXT) + get(BUILDER) + b"2" + rebuild(NEXT + 1) + b"0u.",
        ONE + b"\x94" + name("b", 900) + b"Nu.",  # MEMOIZE counts the entries
        ONE + b"\x94" + name("b", NEXT) + get(FIRST + 3) + b"u.",
        b"(" + put(2) + ONE + b"u.",  # a MARK as the location
        ONE + name("b" * 256, NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + name("b" * 257, NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",
        ONE + b"X\1\0\0\0\xff" + put(NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.",  # not UTF-8
        *(
            b"}(" + name("a", FIRST) + get(BUILDER) + changed + b"u."
            for changed in [
                *(rebuild(FIRST + 1, skip=i) for i in range(7)),
                rebuild(FIRST),
                rebuild(FIRST + 2),
                rebuild(2**32 - 4),
                rebuild(FIRST + 1, location=6),
                rebuild(FIRST + 1, location=250),  # never stored
                rebuild(FIRST + 1, location=FIRST + 1),
                rebuild(FIRST + 1, key=b"12", length=1),
                rebuild(FIRST + 1, key=b"1" * 20),
                rebuild(FIRST + 1, key=b"1" * 21),
                rebuild(FIRST + 1, key=b""),
                rebuild(FIRST + 1, numel=b"K\1"),
                rebuild(FIRST + 1, numel=b"J\xff\xff\xff\xff"),
                rebuild(FIRST + 1, numel=b"J\xff\xff\xff\xff", shape=b"K\0\x85"),
                rebuild(FIRST + 1, numel=b"K\x08N"),
                rebuild(FIRST + 1, offset=b"J\xff\xff\xff\xff"),
                rebuild(FIRST + 1, offset=b"K\7"),
                rebuild(FIRST + 1, offset=b"M\7\7", shape=b"K\0\x85"),
                rebuild(FIRST + 1, shape=b"J\xfe\xff\xff\xff\x85"),
                rebuild(FIRST + 1, stride=b"J\xfe\xff\xff\xff\x85"),
                rebuild(FIRST + 1, stride=b"K\1K\1\x86"),
                rebuild(FIRST + 1, stride=b"K\7\x85"),
                rebuild(FIRST + 1, stride=b"K\x08\x85"),
                rebuild(FIRST + 1, shape=b"K\0\x85", stride=b"J\xff\xff\xff\x7f\x85"),
                rebuild(FIRST + 1, shape=b")", stride=b")"),
                rebuild(FIRST + 1, shape=b")", stride=b")", offset=b"K\x08"),
                rebuild(FIRST + 1, shape=b"(" + b"K\1" * 16 + b"t", stride=b"(" + b"K\1" * 16 + b"t"),
                rebuild(FIRST + 1, shape=b"(" + b"K\1" * 17 + b"t", stride=b"(" + b"K\1" * 17 + b"t"),
                rebuild(FIRST + 1, shape=b"(" + b"J\xff\xff\xff\x7f" * 3 + b"t", stride=b"K\0K\0K\0\x87"),
                rebuild(FIRST + 1, shape=b"(" + b"J\xff\xff\xff\x7f" * 3 + b"t", stride=b"K\0K\0K\0\x87",
                       numel=b"J\xff\xff\xff\xff"),
            ]
        ),
    ],
)  # fmt: skip
def test_programs_nobody_writes(program: bytes) -> None:
    assert_same(HEAD + program)


@pytest.mark.parametrize("skip", range(7))
def test_memo_indices_out_of_turn(skip: int) -> None:
    for index in range(FIRST, NEXT + 2):
        assert_same(HEAD + b"](" + name("a", FIRST) + get(BUILDER) + rebuild(FIRST + 1, skip=skip) + get(index) + b"e.")
        assert_same(HEAD + ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1, skip=skip) + get(index + 8) + b"t.")


def test_reading_again_counts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_state, "MAX_PICKLE_TEXT", 1200)
    text = b"U\xf0" + b"x" * 240 + b"0"
    value, taken = run(HEAD + text + ONE + b"u" + get(FIRST + 3) + b"0.", shortcut=True)
    assert taken == 0
    assert value is not LimitExceededError


def test_the_programs_above_reach_the_shortcut() -> None:
    assert assert_same(HEAD + ONE + name("b", NEXT) + get(BUILDER) + rebuild(NEXT + 1) + b"u.") == 2


def test_a_location_that_was_never_stored_is_an_error() -> None:
    with pytest.raises(MalformedError, match="memo entry 250"):
        run_or_raise(HEAD + get(BUILDER) + rebuild(FIRST, location=250) + b".")


INDICES = st.integers(0, 40) | st.sampled_from([255, 256, 2**32 - 1])
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "tag": INDICES,
        "kind": INDICES,
        "location": INDICES,
        "hooks": INDICES,
        "skip": st.integers(0, 7),
        "shape": st.sampled_from(
            [b")", b"K\2\x85", b"K\1K\1\x86", b"(K\1K\1K\1K\1t", b"J\xff\xff\xff\xff\x85", b"K\0\x85"]
        ),
        "stride": st.sampled_from([b")", b"K\1\x85", b"K\1K\1\x86", b"(K\1K\1K\1K\1t", b"K\7\x85"]),
        "numel": st.sampled_from([b"K\x08", b"K\0", b"M\0\1", b"J\xff\xff\xff\xff", b"K\x08N"]),
    },
)
STEPS = st.one_of(
    st.tuples(st.just("tensor"), CHOICES),
    st.tuples(st.just("tensor"), st.just({})),
    st.tuples(st.just("named"), CHOICES | st.just({})),
    st.tuples(st.just("get"), INDICES),
    st.tuples(st.just("put"), INDICES),
    st.tuples(st.just("raw"), st.sampled_from([b"0", b"2", b"(", b"t", b"}", b"]", b"N", b"s", b"a", b"\x94", b"u", b")"])),
)  # fmt: skip


@given(st.lists(STEPS, max_size=12), st.integers(0, 3))
@settings(max_examples=400)
@example([("tensor", {}), ("named", {"location": FIRST + 1})], 0)
def test_random_programs(steps: list[tuple[str, Any]], gap: int) -> None:
    program, first = HEAD + b"](", FIRST + gap
    for step, argument in steps:
        if step in ("tensor", "named"):
            if step == "named":
                program += name("x", first)
                first += 1
            program += get(BUILDER) + rebuild(first, **argument)
            first += 5 + (argument.get("shape") != b")") + (argument.get("stride") != b")")
        elif step == "raw":
            program += argument
        else:
            program += get(argument) if step == "get" else put(argument)
            first = max(first, argument + 1) if step == "put" and argument < 256 else first
    assert_same(program + b"e.")
    assert_same(program + b"t.")


SEED = saved({**many(44), **with_shared(20)})


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=200)
def test_flipped_bytes(flips: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for position, byte in flips:
        data[position] = byte
    assert_same(bytes(data))


@pytest.mark.parametrize("length", range(0, len(SEED), 97))
def test_cut_short(length: int) -> None:
    assert_same(SEED[:length])
