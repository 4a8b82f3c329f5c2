"""The inert machine, held against pickle itself; hostile pickles are written opcode by opcode."""

from __future__ import annotations

import contextlib
import copyreg
import io
import math
import pickle
import pickletools
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles import machine as pickle_machine
from paraminspect.formats.pickles import opcodes as pickle_opcodes
from paraminspect.formats.pickles import state as pickle_state
from paraminspect.formats.pickles.inert import Global, LongBytes, OddKey, Opaque, describe_key
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pytorch import objects as torch_objects
from paraminspect.formats.pytorch.objects import GlobalTable

PROTOCOLS = range(6)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**2000), 2**2000),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
KEYS = st.one_of(ATOMS, st.tuples(ATOMS, ATOMS))
PLAIN = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.lists(inner, max_size=5).map(tuple), st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=20,
)
LONG = "ä" * 3000  # 6,000 bytes


def read(data: bytes, *, window: int = pickle_state.WINDOW, pids: bool = False) -> object:
    table = GlobalTable()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickle_state, "WINDOW", window)
        return PickleMachine(Blob.from_bytes(data), table.find, (lambda pid: pid) if pids else None).load()


def plain(value: object, data: bytes = b"") -> Any:
    """The Python value that an inert one stands for."""
    match value:
        case dict():
            return {key.value if isinstance(key, OddKey) else key: plain(item, data) for key, item in value.items()}
        case list():
            return [plain(item, data) for item in value]
        case tuple():
            return tuple(plain(item, data) for item in value)
        case LongBytes():
            kept = data[value.begin : value.begin + value.length]
            return kept.decode() if value.text else kept
    return value


def pure_python(value: object, protocol: int) -> bytes:
    stream = io.BytesIO()
    pickle._Pickler(stream, protocol).dump(value)  # type: ignore[attr-defined]
    return stream.getvalue()


WRITERS: dict[str, Callable[[object, int], bytes]] = {
    "C": pickle.dumps,
    "python": pure_python,
    "optimized": lambda value, protocol: pickletools.optimize(pickle.dumps(value, protocol)),
}


# --- equal to pickle --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(value=PLAIN)
@settings(max_examples=40)
def test_plain_data_equal_pickle(protocol: int, writer: str, value: object) -> None:
    data = WRITERS[writer](value, protocol)
    assert repr(plain(read(data))) == repr(value)


@given(PLAIN, st.sampled_from(PROTOCOLS), st.integers(1, 70))
def test_windows_do_not_change_the_value(value: object, protocol: int, window: int) -> None:
    data = pickle.dumps([value, value], protocol)
    assert repr(plain(read(data, window=window), data)) == repr([value, value])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_of_several_windows(protocol: int) -> None:
    value = [{f"key{i}": [i, i * 1000, -(2**40), 0.5, "x" * (i % 300)]} for i in range(500)]
    data = pickle.dumps(value, protocol)
    assert plain(read(data, window=4096)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_and_cyclic_containers_stay_so(protocol: int) -> None:
    shared: list[object] = []
    shared.append({"self": shared})
    value: Any = read(pickle.dumps([shared, shared], protocol))
    assert value[0] is value[1]
    assert value[0][0]["self"] is value[0]


@pytest.mark.parametrize(
    "data", [b"S'a\\n\\x41\\101\\0\\'\\\\\"'\n.", b'S"it\'s"\n.', b"T\3\0\0\0abc.", b"U\2\xc3\xa4."]
)
def test_python_2_strings(data: bytes) -> None:
    assert read(data) == pickle.loads(data, encoding="utf-8")


def test_unknown_escapes_and_other_bytes_of_python_2_are_kept() -> None:
    assert read(b"S'\\d\\9'\n.") == "\\d\\9"
    assert read(b"U\1\xff.") == "\xff"


@pytest.mark.parametrize(("data", "value"), [(b"I01\n.", True), (b"I00\n.", False), (b"I-7\n.", -7), (b"L12L\n.", 12)])
def test_numbers_in_lines(data: bytes, value: int) -> None:
    assert read(data) is value or read(data) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_lone_surrogates_become_visible_text(value: str, protocol: int) -> None:
    text = read(pickle.dumps(value, protocol))
    assert text == value.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sets_and_nan(protocol: int) -> None:
    value: Any = read(pickle.dumps([{1}, frozenset({2}), math.nan], protocol))
    assert [list(item) for item in value[:2]] == [[1], [2]]
    assert math.isnan(value[2])


# --- long strings and keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [64, 1 << 20])
@pytest.mark.parametrize(
    ("value", "protocol"),
    [(LONG, 1), (LONG, 3), (LONG, 4), (b"\0" * 5000, 3), (b"\0" * 5000, 4), (bytearray(range(256)) * 20, 5)],
)
def test_only_the_place_of_a_long_string_is_kept(value: Any, protocol: int, window: int) -> None:
    data = pickle.dumps(["a", value, "b"], protocol)
    result: Any = read(data, window=window)
    assert isinstance(result[1], LongBytes)
    assert result[1].text is isinstance(value, str)
    assert plain(result, data) == ["a", value, "b"]


@pytest.mark.parametrize("opcode", [b"X", b"B", b"T", b"\x8d", b"\x8e", b"\x96"])
def test_a_long_string_past_the_end(opcode: bytes) -> None:
    size = struct.pack("<I" if opcode in b"XBT" else "<Q", 5000)
    with pytest.raises(TruncatedError):
        read(opcode + size + b"x" * 4999)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_long_key_is_kept(protocol: int) -> None:
    assert read(pickle.dumps({LONG: 1, "b": 2}, protocol)) == {LONG: 1, "b": 2}


@pytest.mark.parametrize("key", [1, -5, True, None, 2.5, (), (1,), (1, "a", (None, b"x")), b"\xff", 2**70, 1j])
def test_keys_are_called_by_their_repr(key: object) -> None:
    assert describe_key(key).text == repr(key)


def test_a_repeated_key_counts_once_and_unknown_objects_are_never_equal() -> None:
    a_global = b"cm\nC\n"
    value: Any = read(b"}(K\1K\2K\1K\3" + a_global + b"K\4" + a_global + b"K\5(" + a_global + b"tK\6u.")
    assert [(key.text, item) for key, item in value.items()] == [("1", 3), ("m.C", 4), ("m.C", 5), ("(m.C,)", 6)]


def test_a_key_of_many_parts_is_cut_short() -> None:
    key: tuple[object, ...] = tuple(range(5000))
    for _ in range(100):
        key = (key, key)
    assert len(describe_key(key).text) < 1000
    assert len(describe_key(("x" * 10**6,) * 500).text) < 10**5
    assert describe_key(key) != describe_key(key)


def test_keys_without_a_text_of_their_own_do_not_collide() -> None:
    keys = [describe_key(Global("m", "n")) for _ in range(50)]
    assert len({hash(key) for key in keys}) > 40


# --- bounds -----------------------------------------------------------------------------------------------------

FIFTY = b"}q\0(" + b"".join(b"U\2%02dN" % i for i in range(50)) + b"u"
COPY_DICT, MERGE_STATE, ENCODE = b"ccollections\nOrderedDict\nq\1", b"cm\nC\n)\x81", b"c_codecs\nencode\nq\1"
LONG_TEXT = pickle.dumps(LONG, 1)[:-1]
LONG_TUPLE = b"(" + b"K\0" * 90 + b"tq\0"
LIMITS = [
    ("MAX_PICKLE_OPS", 10, b"N" * 9 + b".", b"N" * 10 + b".", "opcodes"),
    ("MAX_PICKLE_OBJECTS", 5, b"]" * 5 + b".", b"]" * 6 + b".", "objects"),
    ("MAX_PICKLE_OBJECTS", 5, b"}(" + b"K\1N" * 4 + b"u.", b"}(" + b"K\1N" * 5 + b"u.", "objects"),
    ("MAX_PICKLE_MEMO", 3, b"Nq\1q\2q\3.", b"Nq\1q\2q\3q\4.", "memo entries"),
    ("MAX_PICKLE_TEXT", 126, b"X\3\0\0\0abcU\3abc.", b"X\3\0\0\0abcU\4abcd.", "bytes of strings"),
    ("MAX_PICKLE_TEXT", 126, b"Vabc\nVabc\n.", b"Vabc\nVabcd\n.", "bytes of strings"),
    ("MAX_PICKLE_TEXT", 126, b"\x8a\3abc\x8a\3abc.", b"\x8a\3abc\x8a\4abcd.", "bytes of strings"),
    ("MAX_INTEGER_BYTES", 4, b"\x8a\4abcd.", b"\x8a\5abcde.", "bytes in one integer"),
    ("MAX_INTEGER_BYTES", 4, b"I1234\n.", b"L12345L\n.", "digits"),
    ("MAX_NAME_BYTES", 6000, pickle.dumps({LONG: 1}), pickle.dumps({LONG + "x": 1}), "bytes in one dictionary key"),
    ("LONGEST_LINE", 5, b"I12345\n.", b"I123456\n.", "bytes in one line"),
    ("MAX_PICKLE_TEXT", 12_150, LONG_TEXT + b"}(h\0Nh\0Nu.", LONG_TEXT + b"}(h\0Nh\0Nh\0Nu.", "bytes of strings"),
    # arguments that are copied count each time: a dictionary of 50 entries, text of 50 characters
    ("MAX_PICKLE_OBJECTS", 150, FIFTY + COPY_DICT + b"h\1h\0\x85R" * 2 + b".",
     FIFTY + COPY_DICT + b"h\1h\0\x85R" * 3 + b".", "objects"),
    ("MAX_PICKLE_OBJECTS", 200, FIFTY + MERGE_STATE + b"h\0b" * 2 + b".",
     FIFTY + MERGE_STATE + b"h\0b" * 3 + b".", "objects"),
    ("MAX_PICKLE_TEXT", 500, b"U\x32" + b"x" * 50 + b"q\0" + ENCODE + b"h\1h\0\x85R" * 2 + b".",
     b"U\x32" + b"x" * 50 + b"q\0" + ENCODE + b"h\1h\0\x85R" * 3 + b".", "bytes of strings"),
    # a key of 90 parts counts for some 130 objects
    ("MAX_PICKLE_OBJECTS", 200, LONG_TUPLE + b"}(h\0Nu.", LONG_TUPLE + b"}(" + b"h\0N" * 3 + b"u.", "objects"),
]  # fmt: skip


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case[0])
def test_limits(case: tuple[str, int, bytes, bytes, str], monkeypatch: pytest.MonkeyPatch) -> None:
    limit, value, within, beyond, message = case
    home = next(each for each in (pickle_machine, pickle_state, pickle_opcodes) if hasattr(each, limit))
    monkeypatch.setattr(home, limit, value)
    read(within)
    with pytest.raises(LimitExceededError, match=message):
        read(beyond)


def test_a_limit_on_different_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_objects, "MAX_GLOBALS", 4)
    same = b"cm\nC\n" * 9
    read(same + b"cm\nA\ncm\nB\n.")
    with pytest.raises(LimitExceededError, match="different globals"):
        read(same + b"cm\nA\ncm\nB\ncm\nD\n.")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", TruncatedError, "ends at byte 0"),
        (b"N", TruncatedError, "ends at byte 1"),
        (b"]q", TruncatedError, "ends at byte 2"),
        (b"J\1\0\0", TruncatedError, "ends at byte 4"),
        (b"X\5\0\0\0abcd", TruncatedError, "inside a pickle"),
        (b"Vabc", TruncatedError, "inside a pickle"),
        (b"\x8e" + b"\xff" * 8 + b"..", TruncatedError, "inside a pickle"),
        (b"\x95\0\0", TruncatedError, "inside a pickle"),
        (b"0N.", MalformedError, "no value on the stack"),
        (b"NN\x87..", MalformedError, "no value on the stack"),
        (b"Nt.", MalformedError, "no MARK"),
        (b"(q\0.", MalformedError, "MARK is used as a value"),
        (b"(2.", MalformedError, "MARK is used as a value"),
        (b"h\7.", MalformedError, "memo entry 7 at byte 2 was never stored"),
        (b"K\1NNs.", MalformedError, "no dictionary"),
        (b"K\1Na.", MalformedError, "no list"),
        (b"}(Nu.", MalformedError, "a key without a value"),
        (b"}]Ns.", MalformedError, "list as a dictionary key"),
        (b"}}Ns.", MalformedError, "dict as a dictionary key"),
        (b"K\1K\2\x93.", MalformedError, "not named by strings"),
        (b"(o.", MalformedError, "OBJ without a class"),
        (b"NQ.", MalformedError, "persistent id"),
        (b"\x80\x63N.", MalformedError, "protocol 99"),
        (b"\x97.", MalformedError, "out-of-band buffer"),
        (b"\xfe.", MalformedError, "0xfe at byte 0 is not a pickle opcode"),
        (b"Ixyz\n.", MalformedError, "bad argument of opcode 0x49"),
        (b"Fxyz\n.", MalformedError, "bad argument of opcode 0x46"),
        (b"Sabc\n.", MalformedError, "a string without quotes"),
        (b"T\0\0\0\x80.", MalformedError, "negative length"),
        (b"\x8b\xff\xff\xff\xff.", LimitExceededError, "bytes in one integer"),
        (b"c" + b"x" * 70_000 + b"\n.", LimitExceededError, "bytes in one line"),
    ],
)
def test_pickles_that_no_unpickler_accepts(data: bytes, error: type[ParamInspectError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_prefix_is_truncated(protocol: int) -> None:
    data = pickle.dumps([{"a": 1.5, "b": ["text", 70000, -3]}, b"bytes", 2**100], protocol)
    for length in range(len(data)):
        with pytest.raises((TruncatedError, MalformedError)):
            read(data[:length])


SEEDS = [pickle.dumps(v, p) for v in ([{"a": (1, 2.0, b"x"), None: "ä" * 99}], {1, 2}, OSError(5)) for p in PROTOCOLS]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_flipped_bytes_give_a_value_or_an_error(seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for position, byte in flips:
        data[position % len(data)] = byte
    read_or_refuse(bytes(data))


OPCODES = [
    opcode.code.encode("latin-1") + argument
    for opcode in pickletools.opcodes
    for argument in ((b"",) if opcode.arg is None else (b"\1\0\0\0a\n", b"\0\0\0\0\0\0\0\0", b"a\nb\n", b"1\n"))
]


@given(st.lists(st.sampled_from(OPCODES), max_size=40).map(b"".join) | st.binary(max_size=100))
@settings(max_examples=300)
def test_any_bytes_give_a_value_or_an_error(data: bytes) -> None:
    read_or_refuse(data + b".")


def read_or_refuse(data: bytes) -> None:
    with contextlib.suppress(ParamInspectError):
        read(data, pids=True)


def test_deep_nesting_does_not_recurse() -> None:
    value: Any = read(b")" + b"\x85" * 50_000 + b".")
    for _ in range(50_000):
        (value,) = value
    assert value == ()


# --- nothing runs -----------------------------------------------------------------------------------------------

RUN, CLASS, NAMES = b"ccanary\nrun\n", b"ccanary\nC\n", b"\x8c\6canaryq\0\x8c\3runq\1"
PAYLOADS = {
    "GLOBAL": RUN + b".",
    "REDUCE": RUN + b")R.",
    "INST": b"(icanary\nrun\n.",
    "OBJ": b"(" + CLASS + b"o.",
    "NEWOBJ": CLASS + b")\x81.",
    "NEWOBJ_EX": CLASS + b")}\x92.",
    "BUILD": CLASS + b")\x81}b.",
    "STACK_GLOBAL through the memo": NAMES + b"U\5decoyU\1x00h\0h\1\x93)R.",
    "STACK_GLOBAL through DUP": b"\x8c\6canary\x8c\3run20\x93)R.",
    "EXT1": b"\x82\xf0)R.",
    "EXT2": b"\x83\xf0\0)R.",
    "EXT4": b"\x84\xf0\0\0\0)R.",
    "a dictionary key": b"}" + RUN + b")RNs.",
    "before an error": RUN + b")R0\xff",
    "without an end": RUN + b")R",
}  # fmt: skip


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists once the module `canary` is imported or something of it called."""
    egg = tmp_path / "egg"
    touch = f"open({str(egg)!r}, 'w').close()"
    (tmp_path / "canary.py").write_text(
        f"{touch}\ndef run(*args):\n    {touch}\nclass C:\n    def __setstate__(self, state):\n        {touch}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    copyreg.add_extension("canary", "run", 0xF0)
    yield egg
    copyreg.remove_extension("canary", "run", 0xF0)
    copyreg._extension_cache.pop(0xF0, None)  # type: ignore[attr-defined]
    sys.modules.pop("canary", None)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_is_imported_or_called(payload: str, canary: Path) -> None:
    read_or_refuse(PAYLOADS[payload])
    assert "canary" not in sys.modules
    assert not canary.exists()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_canary_notices_pickle(payload: str, canary: Path) -> None:
    with contextlib.suppress(pickle.UnpicklingError, EOFError, TypeError):
        pickle.loads(PAYLOADS[payload])
    assert canary.exists()


def test_objects_keep_what_they_were_made_with() -> None:
    value: Any = read(b"cm\nC\nq\0K\1\x85\x81}U\1aK\2sb}U\1bK\3sb(U\1cK\4u(K\5K\6e.")
    assert isinstance(value, Opaque)
    assert isinstance(value.func, Global)
    assert (value.class_name, value.args, value.state) == ("m.C", (1,), {"a": 2, "b": 3})
    assert (value.entries, value.items) == ({"c": 4}, [5, 6])
