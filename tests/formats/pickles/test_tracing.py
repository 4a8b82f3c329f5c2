"""What a pickle would do, held against Python's own unpickler with stand-ins for all that it looks up."""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import struct
import zipfile
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles import tracing as pickle_trace
from paraminspect.formats.pickles.traced import Trace
from paraminspect.formats.pickles.tracing import trace_pickle

EVIL = b"cposix\nsystem\n"


def trace(data: bytes, begin: int = 0) -> Trace:
    return trace_pickle(Blob.from_bytes(data), begin)


def dangers(data: bytes) -> list[str]:
    return [use.verdict.identity for use in trace(data).uses if use.verdict.level == "danger"]


class StandIn:
    """Takes the place of every class and function, and does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, *args: object, **kwargs: object) -> StandIn:
        return StandIn()


class Recorder(pickle._Unpickler):  # type: ignore[misc,name-defined]
    """Python's unpickler in Python; it imports nothing."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.named: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str) -> Any:
        self.named.append((module, name))
        return StandIn

    def persistent_load(self, pid: object) -> object:
        return StandIn()

    def get_extension(self, code: int) -> None:
        raise ValueError


def named_by_python(data: bytes) -> set[tuple[str, str]]:
    recorder = Recorder(data)
    with contextlib.suppress(Exception):  # whatever comes before it counts
        recorder.load()
    return set(recorder.named)


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


NAMES = ["alpha", "beta", "Gamma"]
GLOBALS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
OPCODES = st.one_of(
    st.sampled_from(
        [bytes([code]) for code in b"()]}0120NRabdelosut.\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94Q"]
    ),
    GLOBALS.map(lambda pair: f"c{pair[0]}\n{pair[1]}\n".encode()),
    GLOBALS.map(lambda pair: f"i{pair[0]}\n{pair[1]}\n".encode()),
    GLOBALS.map(lambda pair: text(pair[0]) + text(pair[1]) + b"\x93"),
    st.sampled_from(NAMES).map(text),
    st.integers(0, 3).map(lambda index: b"q" + bytes([index])),
    st.integers(0, 3).map(lambda index: b"h" + bytes([index])),
    st.integers(0, 255).map(lambda number: b"K" + bytes([number])),
    st.binary(max_size=6).map(lambda data: b"C" + bytes([len(data)]) + data),
)


@settings(max_examples=400)
@given(st.lists(OPCODES, max_size=14).map(b"".join))
@example(text("alpha") + b"q\x00" + text("beta") + b"q\x0100h\x00h\x01\x93.")
@example(text("alpha") + b"2\x93.")
def test_whatever_python_would_look_up_is_told(program: bytes) -> None:
    data = b"\x80\x04" + program
    assert named_by_python(data) <= {(use.module, use.name) for use in trace(data).uses}


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x80\x02", b"\x80\x05", EVIL]))
def test_any_bytes_have_a_trace(data: bytes, head: bytes) -> None:
    found = trace(head + data)
    assert found.error is None or "\n" not in found.error.message
    assert 0 <= found.end <= len(head + data)


CALLS = {
    "REDUCE": EVIL + b"(S'id'\ntR.",
    "INST": b"(S'id'\niposix\nsystem\n.",
    "OBJ": b"(" + EVIL + b"S'id'\no.",
    "NEWOBJ": b"\x80\x02" + EVIL + b"(S'id'\nt\x81.",
    "NEWOBJ_EX": b"\x80\x04" + EVIL + b"(S'id'\nt}\x92.",
    "STACK_GLOBAL": b"\x80\x04" + text("posix") + text("system") + b"\x93(S'id'\ntR.",
}


@pytest.mark.parametrize("opcode", CALLS)
def test_a_call_is_told_with_its_offset_and_arguments(opcode: str) -> None:
    data = CALLS[opcode]
    (use,) = trace(data).uses
    assert (use.verdict.identity, use.preview, use.calls + use.rebuilt) == ("posix.system", "('id')", 1)
    assert bool(use.rebuilt) is opcode.startswith("NEWOBJ")
    where = {name: at for op, _, at in pickletools.genops(data) for name in [op.name]}
    named = "STACK_GLOBAL" if opcode == "STACK_GLOBAL" else "INST" if opcode == "INST" else "GLOBAL"
    assert use.offset == where[named]
    assert use.called == where["REDUCE" if opcode == "STACK_GLOBAL" else opcode]


HIDING = {
    "in a dictionary key": b"}" + EVIL + b"(S'id'\ntRI1\ns.",
    "in a persistent id": EVIL + b"(S'id'\ntRQ.",
    "popped again": EVIL + b"(S'id'\ntR0N.",
    "before a wrong opcode": EVIL + b"(S'id'\ntR\xff",
    "before the end": EVIL + b"(S'id'\ntR",
    "behind a tensor that does not fit": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R0" + EVIL + b"(S'id'\ntR.",
    "behind a strange persistent id": b"\x80\x02I7\nQ0" + EVIL + b"(S'id'\ntR.",
    "as the state of an object": b"\x80\x02cargparse\nNamespace\n)R}S'__setstate__'\n" + EVIL + b"sbS'id'\nb.",
    "as an argument only": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(" + EVIL + b"cargparse\nNamespace\n)NtR.",
    "in another spelling": b"\x80\x04" + text("torch") + text("serialization.os.system") + b"\x93(S'id'\ntR.",
    "by the extension registry of another one": b"\x80\x02" + EVIL + b"0\x82\x01.",
}


@pytest.mark.parametrize("place", HIDING)
def test_a_danger_is_found_wherever_it_stands(place: str) -> None:
    assert dangers(HIDING[place])


def test_names_of_python_2_are_what_an_old_pickle_means() -> None:
    assert dangers(b"c__builtin__\neval\n(S'1'\ntR.") == ["builtins.eval"]
    assert dangers(b"\x80\x02ccommands\ngetoutput\n(S'id'\ntR.") == ["subprocess.getoutput"]


def test_a_call_of_what_was_computed() -> None:
    data = b"\x80\x02cfunctools\npartial\n(cmy.code\nrun\ntR)R."
    found = trace(data)
    assert found.computed == [(len(data) - 2, "functools.partial(my.code.run)()")]
    assert [use.verdict.identity for use in found.uses] == ["my.code.run"]


def test_a_state_set_on_an_imported_class() -> None:
    found = trace(b"\x80\x02cmy.code\nThing\n}S'run'\nI1\nsb.")
    assert [text for _, text in found.patched] == ["my.code.Thing with {'run': 1}"]


def test_an_unknown_function_that_is_handed_a_dangerous_one() -> None:
    first, _ = trace(b"\x80\x02cmy.code\ncall_it\n(" + EVIL + b"S'id'\ntR.").uses
    assert first.suspicion == "is handed posix.system, which it may call"


def test_memory_that_a_safe_name_allocates() -> None:
    (use,) = trace(b"\x80\x02c__builtin__\nbytearray\n(I99999999999\ntR.").uses
    assert use.suspicion == "allocates as much memory as it says"
    assert not trace(b"\x80\x02c__builtin__\nbytearray\n(I99\ntR.").uses


@pytest.mark.parametrize("protocol", range(6))
def test_bytes_that_are_a_pickle(protocol: int) -> None:
    inner = pickle.dumps({"a": 1}, 4)
    found = trace(pickle.dumps([b"\x01\x02\x03\x04\x05", inner], protocol))
    assert [data for _, data in found.nested] == [inner]


@pytest.mark.parametrize("length", [10, 5_000, 100_000, 3_000_000])
@pytest.mark.parametrize("protocol", range(6))
def test_bytes_that_are_a_pickle_of_any_length(protocol: int, length: int) -> None:
    inner = pickle.dumps(["x" * length, {"a": 1}], 2)
    found = trace(pickle.dumps([inner, None], protocol))
    ((_, data),) = found.nested
    assert found.value == [data, None]
    assert isinstance(data, bytes) is (length == 10)
    assert found.error is None


@pytest.mark.parametrize("quote", [b"'", b'"'])
@pytest.mark.parametrize("written", [b"\\x80\\x02", b"\\200\\002", b"\x80\\x02"])
def test_a_long_string_of_python_2_that_is_a_pickle(quote: bytes, written: bytes) -> None:
    inner = b"X\x88\x13\0\0" + b"y" * 5000 + b"cposix\\nsystem\\n."
    found = trace(b"(lp0\nS" + quote + written + inner + quote + b"\np1\na.")
    ((_, data),) = found.nested
    assert not isinstance(data, bytes)
    assert data.unfold(quote + written + inner).startswith(b"\x80\x02X")


def test_the_end_is_where_the_next_pickle_begins() -> None:
    first, second = pickle.dumps([1, 2]), pickle.dumps({"a": None})
    assert trace(first + second).end == len(first)
    assert trace(first + second, len(first)).value == {"a": None}


def test_a_call_is_counted_every_time() -> None:
    once = EVIL + b"(S'id'\ntR0"
    (use,) = trace(once * 3 + b"N.").uses
    assert (use.calls, use.offset) == (3, 0)


def test_more_different_names_than_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_trace, "MAX_USES", 3)
    data = b"".join(f"cmy.code\nThing{i}\n0".encode() for i in range(5)) + EVIL + b"."
    found = trace(data)
    assert [use.name for use in found.uses] == ["Thing0", "Thing1", "Thing2", "system"]
    assert found.untold == 2


def test_more_opcodes_than_a_pickle_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_trace, "MAX_PICKLE_OPS", 10)
    assert isinstance(trace(b"N0" * 10 + b"N.").error, LimitExceededError)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_writes_names_nothing_worth_a_word(protocol: int) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.LSTM(3, 2))
    stream = io.BytesIO()
    state = {"model": model.state_dict(), "whole": model, "rng": torch.get_rng_state(), "size": torch.Size([1])}
    torch.save({**state, "device": torch.device("cpu"), "dtype": torch.bfloat16}, stream, pickle_protocol=protocol)
    archive = zipfile.ZipFile(stream)
    (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
    found = trace(archive.read(name))
    assert found.error is None
    assert [use.verdict.identity for use in found.uses] == []
    assert not found.computed
    assert not found.patched


def test_a_tensor_read_by_the_shortcut_is_followed_by_what_is_told() -> None:
    stream = io.BytesIO()
    torch.save({f"layer.{i}.weight": torch.ones(2) for i in range(20)}, stream)
    archive = zipfile.ZipFile(stream)
    (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
    data = archive.read(name)
    key = b"X" + struct.pack("<I", 1) + b"e"
    evil = data[:-2] + key + EVIL + b"(S'id'\ntRu."
    assert dangers(evil) == ["posix.system"]


def test_bytes_to_load_that_the_pickle_computes() -> None:
    (use,) = trace(b"\x80\x02ctorch.storage\n_load_from_bytes\n(cargparse\nNamespace\n)RtR.").uses
    assert use.suspicion == "loads bytes that the pickle computes"


def test_nothing_is_left_behind() -> None:
    """A command collects no cycles, and a checkpoint has a pickle for each of a million pieces."""
    import gc

    class Seen(Blob):
        pass

    for data in (pickle.dumps({"a": [1, 2]}), b"not a pickle", pickle.dumps("cut")[:-1], b"\x80\x02}(K\x01u."):
        blob = Blob.from_bytes(data)
        blob.__class__ = Seen
        gc.disable()
        try:
            trace_pickle(blob)
            del blob
            left = [each for each in gc.get_objects() if type(each) is Seen]
        finally:
            gc.enable()
        assert left == [], data
