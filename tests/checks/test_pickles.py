"""What one pickle would do, as findings: each kind, where it is, and that there are not too many of one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from paraminspect.checks import copies, pickles
from paraminspect.checks.check import check_checkpoint, check_source
from paraminspect.checks.container import Place
from paraminspect.checks.pickles import scan_pickle
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats.source import open_source
from paraminspect.summaries import Finding


def scan(data: bytes) -> list[Finding]:
    return scan_pickle(Blob.from_bytes(data), 0, Place("a.pt", "part", 0, 1000))[1]


def of(code: str, data: bytes) -> Finding:
    (found,) = [finding for finding in scan(data) if finding.code == code]
    return found


def test_a_call_of_what_was_computed() -> None:
    found = of("pickle-computed-call", b"\x80\x02cmy.code\nmake\n)R(K\x01tR.")
    assert (found.severity, found.name, found.offset) == ("danger", "part", 1022)
    assert found.message == "calls my.code.make()(1) at byte 22"


def test_a_state_that_is_set_on_an_import() -> None:
    found = of("pickle-patch", b"\x80\x02cmy.code\nThing\n}X\x01\x00\x00\x00aK\x01sb.")
    assert (found.severity, found.offset) == ("danger", 1027)
    assert found.message == "sets attributes of my.code.Thing with {'a': 1} at byte 27"


@pytest.mark.parametrize("data", [b"\x80\x02}q", b"\x80\x02}\xff.", b"\x80\x02]0000."])
def test_a_pickle_that_breaks_off(data: bytes) -> None:
    assert of("pickle-broken", data).severity == "error"


def test_memory_that_is_asked_for() -> None:
    assert of("pickle-memory", b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.").severity == "danger"


def test_many_of_one_kind_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_TOLD", 2)
    names = b"".join(b"cmy.code\nThing%d\n0" % number for number in range(5))
    messages = [finding.message for finding in scan(b"\x80\x02" + names + b"N.")]
    assert [message for message in messages if "names" in message] == [
        "names my.code.Thing0 at byte 2", "names my.code.Thing1 at byte 19",
    ]  # fmt: skip
    assert messages[-1] == "3 more of this kind"


def test_ties_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ParamInspectError("gone")

    tensors = {"a": torch.ones(2), "b": torch.ones(2)}
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors", {"format": "pt", "b": "a"})
    path = tmp_path / "a.safetensors"
    assert {finding.code for finding in check_source(path)} == {"tie-contradicted"}
    monkeypatch.setattr(copies, "find_in", fail)
    (found,) = check_checkpoint(open_source(path))
    assert (found.code, found.message) == ("not-checked", "gone")
    monkeypatch.setattr(copies, "find_equal_in", fail)
    (found,) = copies.check_copies(open_source(path))
    assert (found.code, found.message) == ("not-checked", "gone")


UNKNOWN = b"cmy.code\nThing\n"
NET = b"cmy.models\nNet\n)\x81"
SPACE = b"cargparse\nNamespace\n)\x81}"


def codes(program: bytes) -> list[tuple[str, str]]:
    return [(finding.severity, finding.code) for finding in scan(b"\x80\x02" + program + b"0N.")]


@pytest.mark.parametrize(
    ("program", "severity"),
    [
        (UNKNOWN, "warning"), (UNKNOWN + b")\x81", "warning"), (UNKNOWN + b")}\x92", "warning"),
        (b"ccopyreg\n_reconstructor\n(" + UNKNOWN + b"c__builtin__\nobject\nNtR", "warning"),
        (b"ccopyreg\n__newobj__\n(" + UNKNOWN + b"tR", "warning"), (b"cfunctools\npartial\n(" + UNKNOWN + b"tR", "warning"),
        (UNKNOWN + b")R", "error"), (b"(imy.code\nThing\n", "error"), (b"(" + UNKNOWN + b"o", "error"),
        (b"ccopyreg\n_reconstructor\n(c__builtin__\ndict\n" + UNKNOWN + b"NtR", "error"),
        (b"ctorch._tensor\n_rebuild_from_type_v2\n(" + UNKNOWN + b"ctorch\nTensor\n)NtR", "error"),
        (b"cnumpy.random._pickle\n__generator_ctor\n(N" + UNKNOWN + b"tR", "error"),
        (b"ctorch.nn.modules.linear\nLinear\n(K\1K\1tR", "error"), (b"ctorch.nn.functional\nrelu\n)R", "error"),
        (SPACE + b"X\x0c\0\0\0__setstate__" + UNKNOWN + b"sbNb", "error"),
        (SPACE + b"X\6\0\0\0append" + UNKNOWN + b"sbNa", "error"),
        (b"c__builtin__\ndict\n(" + SPACE + b"X\4\0\0\0keys" + UNKNOWN + b"sbtR", "error"),
    ],
)  # fmt: skip
def test_the_unknown_is_judged_by_what_is_done_with_it(program: bytes, severity: str) -> None:
    """NEWOBJ and what stands for it make an instance; REDUCE, INST and OBJ, and whatever calls its argument, call."""
    code = "pickle-calls-unknown" if severity == "error" else "pickle-unknown"
    assert codes(program) == [(severity, code)]


@pytest.mark.parametrize(
    "program",
    [
        b"ctorch.nn.modules.linear\nLinear\n)\x81", b"ctorch.nn.functional\nrelu\n", b"c_io\nBytesIO\n)\x81",
        b"c__builtin__\ngetattr\n(ctorch._C\n_VariableFunctionsClass\nX\4\0\0\0relutR", b"c__builtin__\ntype\n(NtR",
        b"c__builtin__\ngetattr\n(ctorch.nn.modules.linear\nLinear\n)\x81X\7\0\0\0forwardtR",
        b"ctransformers.trainer_utils\nIntervalStrategy\n(X\5\0\0\0stepstR", b"cexceptions\nValueError\n)R",
    ],
)  # fmt: skip
def test_what_honest_files_do_is_worth_no_word(program: bytes) -> None:
    assert codes(program) == []


@pytest.mark.parametrize(
    "program",
    [
        b"c__builtin__\ngetattr\n(" + NET + b"X\4\0\0\0loadtR)R", b"c__builtin__\ngetattr\n",
        b"c__builtin__\ngetattr\n(" + NET + b"X\x0b\0\0\0__globals__tR",
        b"c__builtin__\ngetattr\n(" + NET + NET + b"tR", b"c__builtin__\ntype\n(X\1\0\0\0A)}tR",
        b"c__builtin__\niter\n(" + UNKNOWN + b"NtR", b"crandom\nShuffled\n)R", b"ctorch\nTensor.copy\n)R",
    ],
)  # fmt: skip
def test_more_than_that_is_a_danger(program: bytes) -> None:
    assert "danger" in [severity for severity, _ in codes(program)]


class Evil:
    def __reduce__(self) -> object:
        return os.system, ("true",)


@pytest.mark.parametrize("length", [1, 5_000, 70_000])
@pytest.mark.parametrize("outer", range(6))
@pytest.mark.parametrize("inner", range(6))
def test_a_payload_in_a_byte_string_of_any_protocol(inner: int, outer: int, length: int) -> None:
    payload = pickle.dumps(["x" * length, Evil()], inner)
    assert [each.severity for each in scan(pickle.dumps({"a": payload}, outer))][:1] == ["danger"]
