"""One budget for a run: shared by all that read, counted once for each file, relative to the bytes that are there."""

from __future__ import annotations

import gc
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

import paraminspect as pi
from fuzz import hostile
from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import LimitExceededError
from paraminspect.files.blob import Blob, open_blob
from paraminspect.files.local import PLACE
from paraminspect.files.threads import side_by_side
from paraminspect.formats import zip_file
from paraminspect.formats.pickles import machine
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.tracing import trace_pickle
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.source import open_source
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.limits import (
    ENTRIES,
    MEMBERS,
    NUMBERS,
    OPCODES,
    SHOWN,
    STRINGS,
    WINDOWS,
    Bound,
    Effort,
    EffortError,
    effort,
    one_effort,
)
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.display import DEFAULTS
from paraminspect.values.shown import Part, parts_as_json, parts_as_text
from tests.making.safetensors_files import raw_safetensors, safetensors_bytes
from tests.making.torch_files import save_tensors
from tests.making.zips import zip_bytes

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


def test_threads_that_read_files_spend_together() -> None:
    with one_effort() as run:
        PLACE.each(lambda count: effort().spend(FEW, count), [1, 2, 3], patience_s=-1)
    assert run.spent(FEW) == 6


HEADERS: dict[str, tuple[str, bytes]] = {
    "safetensors": ("m.safetensors", hostile.named(f"layers.{number}.weight" for number in range(2000))),
    "gguf": ("m.gguf", hostile.gguf([], [hostile._info(f"layers.{number}.weight", (1,)) for number in range(2000)], bytes(32))),
    "onnx": ("m.onnx", hostile.onnx(b"".join(hostile._onnx_tensor(f"layers.{n}.w", b"\x08\x01", b"\x4a\x04" + bytes(4)) for n in range(2000)))),
    "nodes": ("m.onnx", hostile.onnx(b"\x0a\x00" * 20_000)),
    "keys": ("m.gguf", hostile.gguf([hostile._text(f"key {n}") + b"\0\0\0\0\1" for n in range(5000)], [])),
    "arrays": ("m.gguf", hostile.gguf([hostile._text("a") + b"\t\0\0\0" + hostile._array(9, 20_000, hostile._array(0, 0) * 20_000)], [])),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_what_stands_in_headers_is_counted_in_the_sum(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, data = HEADERS[name]
    path = tmp_path / file
    path.write_bytes(data)
    with one_effort() as run:
        open_source(path)
        once = run.spent(ENTRIES)
    assert 14_000 <= once <= 24_000
    limit = Effort.limit
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 5 * once // 2 if bound is ENTRIES else limit(self, bound))
    with one_effort():
        open_source(path)
        open_source(path)
        with pytest.raises(LimitExceededError, match="entries of headers in one run"):
            open_source(path)


def test_a_file_of_many_names_allows_as_much_as_one(tmp_path: Path) -> None:
    first = tmp_path / "0"
    first.write_bytes(bytes(100))
    for number in range(1, 5):
        os.link(first, tmp_path / f"{number}")
        os.symlink(first, tmp_path / f"link {number}")
    with one_effort() as run:
        for path in sorted(tmp_path.iterdir()):
            open_blob(str(path))
    assert run.nbytes == 100


@pytest.fixture
def few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Effort.limit
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 100_000 if bound is NUMBERS else limit(self, bound))


@pytest.fixture
def views(tmp_path: Path) -> Path:
    whole = torch.arange(2000.0)
    return save_tensors(tmp_path / "views.pt", {f"{end}": whole[:end] for end in range(1, 2000, 100)})


@pytest.mark.parametrize("ask", [pi.stats, lambda path: pi.diff(path, path), lambda path: list(pi.open(path).stats())])
@pytest.mark.usefixtures("few_numbers")
def test_views_of_the_same_bytes_are_numbers_of_their_own(views: Path, ask: Callable[[Path], object]) -> None:
    with one_effort() as run:
        with pytest.raises(LimitExceededError, match="numbers read of tensors in one run; the limit is 100,000"):
            ask(views)
        assert 80_000 < run.spent(NUMBERS) <= 100_000


@pytest.mark.usefixtures("few_numbers")
def test_what_check_could_not_do_is_a_finding(views: Path) -> None:
    assert [finding.code for finding in pi.check(views, deep=True) if "numbers read" in finding.message] == ["limit"]


@pytest.mark.usefixtures("few_numbers")
def test_tensors_of_no_numbers_cost_their_opening(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_bytes({f"{i}": ("U8", [1], b"1") for i in range(20)}))
    with pytest.raises(LimitExceededError, match="numbers read"):
        pi.stats(path)


@pytest.mark.parametrize(
    "form",
    [
        lambda parts: parts_as_text(parts, DEFAULTS),
        lambda parts: parts_as_json(parts, Checkpoint("safetensors", ()), ""),
    ],
)
def test_numbers_shown_are_few_of_small_files(
    form: Callable[[list[Part]], Iterable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Effort.limit
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 5000 if bound is SHOWN else limit(self, bound))
    part = Part(TensorRecord("w", (2000,), "float32", 2000, 8000), np.ones(2000, np.float32), (2000,))
    with one_effort(), pytest.raises(LimitExceededError, match="6,000 numbers shown in one run; the limit is 5,000"):
        list(form([part] * 3))


def test_what_was_opened_before_the_run_allows_as_much(tmp_path: Path) -> None:
    path, size = tmp_path / "m.safetensors", NUMBERS.free + 1
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    path.write_bytes(raw_safetensors(header))
    os.truncate(path, path.stat().st_size + size)
    model = pi.open(path)
    assert model["a"].numpy().size == model.stats()["a"].count == size
    assert pi.diff(model, path).unchanged == 1


def test_each_call_of_the_library_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_bytes({"a": ("U8", [4], b"1234")}))
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 20_000)
    model = pi.open(path)
    for _ in range(5):
        assert pi.stats(path)["a"].count == pi.stats(model)["a"].count == model["a"].stats().count == 4
        assert not pi.diff(path, model).changes


def test_a_traced_pickle_leaves_no_ring_behind() -> None:
    blob = Blob.from_bytes(b"\x80\x02cos\nsystem\n)R.")
    trace_pickle(blob)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            assert trace_pickle(blob).uses
        assert gc.collect() < 20
    finally:
        gc.enable()


def test_each_pickle_of_a_row_is_read_through_a_window() -> None:
    row = b"\x80\x02N." * 100
    with one_effort() as run:
        scan_part(Blob.from_bytes(row), Place())
        assert 100 * len(row) // 2 < run.spent(WINDOWS) < 300 * len(row)


def test_strings_that_may_be_pickles_are_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 10 if bound is STRINGS else 1 << 30)
    data = b"\x80\x03](" + b"C\x04\x80\x03N." * 30 + b"e."
    with one_effort():
        found = scan_part(Blob.from_bytes(data), Place())
    assert [each.message for each in found] == ["20 more strings that may be pickles are not looked at"]


def test_what_is_unpacked_is_counted() -> None:
    with one_effort() as run:
        scan_part(Blob.from_bytes(zlib.compress(bytes(5000))), Place())
        assert run.spent(MEMBERS) == 5000


def test_what_is_held_of_a_member_is_relative_to_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_file, "FREE_INFLATED", 1000)
    directory = read_zip_directory(
        Blob.from_bytes(zip_bytes({"a": bytes(100_000), "b": bytes(900)}, zipfile.ZIP_DEFLATED))
    )
    assert directory.read(directory.entries["b"]) == bytes(900)
    with pytest.raises(LimitExceededError, match="bytes in 'a'"):
        directory.read(directory.entries["a"])
    assert sum(map(len, directory.stream(directory.entries["a"]))) == 100_000


def test_all_pickles_of_a_run_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pickle = b"N" * 30 + b"."
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 100 if bound is OPCODES else 1 << 30)
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
