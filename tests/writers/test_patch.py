from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from copy import copy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from paraminspect.errors import CheckpointError, ParamInspectError, SourceError, TruncatedError
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.writers.layout import Layout
from paraminspect.writers.patch import plan_patch
from paraminspect.writers.whole_files import open_stream, open_target
from tests.making.tars import packed_bytes

CORPUS = Path(os.environ.get("PARAMINSPECT_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


def choose(checkpoint: Checkpoint, count: int = 1000) -> list[TensorRecord]:
    """As many tensors as can get new values together."""
    chosen: list[TensorRecord] = []
    for record in checkpoint.tensors:
        if len(chosen) < count:
            try:
                plan_patch(checkpoint, [*chosen, record])
            except ParamInspectError:
                continue
            chosen.append(record)
    return chosen


def new_values(records: Sequence[TensorRecord]) -> list[bytes]:
    """Other bytes; of booleans only zeros and ones."""
    made = []
    for number, record in enumerate(records):
        data = random.Random(number).randbytes(record.nbytes or 0)
        made.append(bytes(byte & 1 for byte in data) if record.dtype == "bool" else data)
    return made


def patch(source: Path, records: Sequence[TensorRecord], target: Path, put: Any, *, force: bool = False) -> Layout:
    layout = plan_patch(open_source(source), records)
    with open_target(layout, str(target), force=force) as sink:
        put(sink, new_values(records))
    return layout


def stored(record: TensorRecord, path: Path) -> bytes:
    """The bytes of a record, read from another file of the same layout."""
    assert record.byte_range is not None
    _, begin, end = record.byte_range
    return path.read_bytes()[begin:end]


def check_patched(source: Path, target: Path, records: Sequence[TensorRecord]) -> None:
    """New values where they belong; every other byte is the old one, but for the CRCs of a zip."""
    old, new = source.read_bytes(), bytearray(target.read_bytes())
    assert len(new) == len(old)
    for record, values in zip(records, new_values(records), strict=True):
        assert record.byte_range is not None
        _, begin, end = record.byte_range
        assert new[begin:end] == values
        new[begin:end] = old[begin:end]
    if zipfile.is_zipfile(source):
        was, now = zipfile.ZipFile(source), zipfile.ZipFile(target)
        if was.testzip() is None:
            assert now.testzip() is None
        crcs = {(before.CRC, after.CRC) for before, after in zip(was.infolist(), now.infolist(), strict=True)}
        for before, after in crcs:
            if before != after:
                new = new.replace(after.to_bytes(4, "little"), before.to_bytes(4, "little"))
    assert bytes(new) == old


def model() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    return {
        "w": torch.randn(33, 5), "tied": base, "again": base, "row": base[1], "column": base[:, 2], "turned": base.T,
        "half": torch.randn(7).half(), "brain": torch.randn(3).bfloat16(), "count": torch.tensor(3),
        "none": torch.zeros(0, 2), "flags": torch.tensor([True, False]), "e4": torch.randn(5).to(torch.float8_e4m3fn),
    }  # fmt: skip


def save_zip(path: Path) -> None:
    torch.save(model(), path)


def save_packed(path: Path) -> None:
    """In a tar, as NeMo has it."""
    torch.save(model(), stream := io.BytesIO())
    path.write_bytes(packed_bytes({"./model_config.yaml": b"a: 1", "./model_weights.ckpt": stream.getvalue()}))


def save_zip_without_crc(path: Path) -> None:
    from torch.serialization import set_crc32_options

    set_crc32_options(False)
    try:
        torch.save(model(), path)
    finally:
        set_crc32_options(True)


def save_repacked(path: Path) -> None:
    """Stored by Python's zipfile: CRC and sizes in the local headers too."""
    torch.save(model(), path.with_name("first"))
    with zipfile.ZipFile(path.with_name("first")) as read, zipfile.ZipFile(path, "w") as written:
        for name in read.namelist():
            written.writestr(name, read.read(name))


def save_legacy(path: Path) -> None:
    kept = {name: tensor for name, tensor in model().items() if name != "e4"}
    torch.save(kept, path, _use_new_zipfile_serialization=False)


def save_safetensors(path: Path) -> None:
    save_file({name: tensor.clone().contiguous() for name, tensor in model().items()}, path, {"step": "3"})


def save_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, w=np.arange(12.0).reshape(3, 4), flags=np.array([True, False]), turned=np.ones((2, 3)).T)


def save_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(12, dtype=np.float32).reshape(3, 4))


def save_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_tensor("w", np.arange(64, dtype=np.float32).reshape(2, 32))
    writer.add_tensor("half", np.arange(5, dtype=np.float16))
    writer.add_tensor("q", np.zeros((2, 34), dtype=np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


SAVED: list[Callable[[Path], None]] = [
    save_zip, save_packed, save_zip_without_crc, save_repacked, save_legacy, save_safetensors, save_npz, save_npy, save_gguf,
]  # fmt: skip


@pytest.mark.parametrize("save", SAVED)
def test_nothing_changes_but_the_values(save: Callable[[Path], None], tmp_path: Path, put: Any) -> None:
    source, target = tmp_path / "old", tmp_path / "new"
    save(source)
    checkpoint = open_source(source)
    records = choose(checkpoint)
    assert any(record.numel for record in records)
    patch(source, records, target, put)
    check_patched(source, target, records)
    assert [record._replace(storage=None) for record in open_source(target).tensors] == [
        record._replace(storage=None) for record in checkpoint.tensors
    ]


def test_torch_sees_the_new_values_and_the_ties(tmp_path: Path, put: Any, raw: Any) -> None:
    save_zip(tmp_path / "old")
    checkpoint = open_source(tmp_path / "old")
    records = [record for record in checkpoint.tensors if record.name in {"w", "tied", "e4"}]
    patch(tmp_path / "old", records, tmp_path / "new", put)
    before, after = (torch.load(tmp_path / name, weights_only=True) for name in ("old", "new"))
    for record, values in zip(records, new_values(records), strict=True):
        assert raw(after[record.name]) == values
    assert after["again"] is after["tied"]
    assert raw(after["turned"]) == raw(after["tied"].T)
    for name in ("half", "brain", "count", "flags"):
        assert torch.equal(after[name], before[name])


def test_part_of_a_storage(tmp_path: Path, put: Any) -> None:
    """One row of a matrix: the CRC is of the whole member, so it is known only when all is there."""
    save_zip(tmp_path / "old")
    records = [record for record in open_source(tmp_path / "old").tensors if record.name == "row"]
    layout = patch(tmp_path / "old", records, tmp_path / "new", put)
    assert not layout.sequential
    check_patched(tmp_path / "old", tmp_path / "new", records)
    with (tmp_path / "streamed").open("wb") as file, open_stream(layout, file.fileno()) as sink:
        put(sink, new_values(records))
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "new").read_bytes()


@pytest.mark.parametrize("save", [save_zip, save_repacked, save_legacy, save_safetensors])
def test_into_a_pipe(save: Callable[[Path], None], tmp_path: Path, put: Any) -> None:
    save(tmp_path / "old")
    records = [record for record in open_source(tmp_path / "old").tensors if record.name in {"w", "half"}]
    layout = patch(tmp_path / "old", records, tmp_path / "new", put)
    assert layout.sequential == (save is not save_repacked)
    with (tmp_path / "streamed").open("wb") as file, open_stream(layout, file.fileno()) as sink:
        put(sink, new_values(records), layout.order)
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "new").read_bytes()


def test_onto_itself(tmp_path: Path, put: Any) -> None:
    save_zip(tmp_path / "m.pt")
    shutil.copy(tmp_path / "m.pt", tmp_path / "old")
    records = choose(open_source(tmp_path / "m.pt"), 1)
    patch(tmp_path / "m.pt", records, tmp_path / "m.pt", put, force=True)
    check_patched(tmp_path / "old", tmp_path / "m.pt", records)


def test_values_that_do_not_lie_side_by_side(tmp_path: Path) -> None:
    save_zip(tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    message = "'column' cannot be changed where it is: its values do not lie side by side"
    with pytest.raises(CheckpointError, match=message) as caught:
        plan_patch(checkpoint, [record for record in checkpoint.tensors if record.name == "column"])
    assert caught.value.hint == "-o FILE.safetensors writes all tensors into a new file"


@pytest.mark.parametrize("names", [("tied", "again"), ("tied", "row")])
def test_tensors_that_share_bytes(names: tuple[str, ...], tmp_path: Path) -> None:
    save_zip(tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="share bytes"):
        plan_patch(checkpoint, [record for record in checkpoint.tensors if record.name in names])


def test_a_compressed_member(tmp_path: Path) -> None:
    with (tmp_path / "m.npz").open("wb") as file:
        np.savez_compressed(file, w=np.ones(100))
    checkpoint = open_source(tmp_path / "m.npz")
    with pytest.raises(CheckpointError, match=r"'w' cannot be changed where it is: compressed.*\(npz\)"):
        plan_patch(checkpoint, checkpoint.tensors)


def test_a_quantised_tensor(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf")
    checkpoint = open_source(tmp_path / "m.gguf")
    with pytest.raises(CheckpointError, match="'q' is gguf, whose values cannot be replaced"):
        plan_patch(checkpoint, [record for record in checkpoint.tensors if record.name == "q"])


def test_another_byte_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_zip(tmp_path / "m.pt")
    monkeypatch.setattr(sys, "byteorder", "big")
    checkpoint = open_source(tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="stored little-endian"):
        plan_patch(checkpoint, [record for record in checkpoint.tensors if record.name == "w"])
    plan_patch(checkpoint, [record for record in checkpoint.tensors if record.name == "flags"])


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "m")
    checkpoint = open_source(tmp_path / "m")
    os.truncate(tmp_path / "m", 700)
    with pytest.raises(TruncatedError, match="the file at byte 700"):
        plan_patch(checkpoint, checkpoint.tensors)
    (tmp_path / "m").unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        plan_patch(checkpoint, [])


FROM_STDIN = """
import sys
from paraminspect.formats.source import open_source
from paraminspect.errors import ParamInspectError
from paraminspect.writers.whole_files import open_target
from paraminspect.writers.patch import plan_patch
checkpoint = open_source("-")
try:
    layout = plan_patch(checkpoint, checkpoint.tensors[:1])
    with open_target(layout, sys.argv[1]) as sink:
        sink.put(0, 0, b"x" * layout.slots[0].nbytes)
except ParamInspectError as error:
    print(error)
"""


def test_standard_input(tmp_path: Path) -> None:
    save_npy(tmp_path / "m")
    with (tmp_path / "m").open("rb") as file:
        subprocess.run([sys.executable, "-c", FROM_STDIN, tmp_path / "new"], stdin=file, check=True)
    old, new = ((tmp_path / name).read_bytes() for name in ("m", "new"))
    assert new == old[:-48] + b"x" * 48
    ran = subprocess.run(
        [sys.executable, "-c", FROM_STDIN, tmp_path / "other"], input=old, capture_output=True, check=True
    )
    assert ran.stdout == b"standard input is a pipe, which cannot be copied\n"


# --- hostile files ----------------------------------------------------------------------------------------------


@given(
    saved=st.sampled_from(["save_zip", "save_repacked", "save_legacy", "save_safetensors", "save_npz"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255), st.booleans()), max_size=6),
)
def test_damaged_files_are_patched_or_refused(
    saved: str, changes: list[tuple[float, int, bool]], damaged: Callable[[str], bytes], put: Any
) -> None:
    """Bytes at random, half of them in the last 3 KB, where a zip has its directory."""
    data = bytearray(damaged(saved))
    for where, byte, near_end in changes:
        span = min(3000, len(data)) if near_end else len(data)
        data[len(data) - span + int(where * (span - 1))] = byte
    with TemporaryDirectory() as folder:
        source = Path(folder, "old")
        source.write_bytes(data)
        try:
            records = choose(open_source(source), 4)
            patch(source, records, Path(folder, "new"), put)
        except ParamInspectError:
            return
        assert Path(folder, "new").stat().st_size == len(data)
        assert os.listdir(folder).count("new") == 1
        for record, values in zip(records, new_values(records), strict=True):
            assert stored(record, Path(folder, "new")) == values


@pytest.fixture(scope="session")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The sound files that are damaged."""

    @cache
    def read(saved: str) -> bytes:
        path = tmp_path_factory.mktemp("sound") / "m"
        save: Callable[[Path], None] = globals()[saved]
        save(path)
        return path.read_bytes()

    return read


def test_members_that_overlap(tmp_path: Path, put: Any) -> None:
    """Two entries for the same bytes, as no writer makes them: both CRCs are corrected."""
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        content = io.BytesIO()
        np.save(content, np.arange(9.0))
        archive.writestr("a.npy", content.getvalue())
        twin = copy(archive.infolist()[0])
        twin.filename = "b.npy"
        archive.filelist.append(twin)
    records = [open_source(tmp_path / "m").tensors[0]]
    patch(tmp_path / "m", records, tmp_path / "new", put)
    crcs = {entry.CRC for entry in zipfile.ZipFile(tmp_path / "new").infolist()}
    assert crcs == {zlib.crc32(zipfile.ZipFile(tmp_path / "new").read("a.npy"))}


# --- folders ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Hugging Face folder of two shards, and what else lies in such folders."""
    made = tmp_path / "hf"
    made.mkdir()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    save_file({"a": torch.ones(5), "b": torch.ones(3)}, made / names[0])
    save_file({"c": torch.ones(2)}, made / names[1])
    index = {"metadata": {"total_size": 40}, "weight_map": {"a": names[0], "b": names[0], "c": names[1]}}
    (made / "model.safetensors.index.json").write_text(json.dumps(index))
    (made / "pytorch_model.bin.index.json").write_text("{}")
    for name in ("config.json", "merges.txt", "tokenizer.model", "README.md", "pytorch_model.bin", ".hidden.json"):
        (made / name).write_text(name)
    return made


COPIED = ["config.json", "merges.txt", "tokenizer.model"]
WRITTEN = sorted(
    ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", *COPIED]
)


@pytest.mark.parametrize("named", ["", "model.safetensors.index.json"])
def test_a_folder_of_shards(named: str, folder: Path, tmp_path: Path, put: Any, raw: Any) -> None:
    source = folder / named
    records = [record for record in open_source(source).tensors if record.name == "b"]
    patch(source, records, tmp_path / "out", put)
    assert sorted(os.listdir(tmp_path / "out")) == WRITTEN
    for name in WRITTEN[1:]:
        if name != "model-00001-of-00002.safetensors":
            assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    loaded = load_file(tmp_path / "out" / "model-00001-of-00002.safetensors")
    assert raw(loaded["b"]) == new_values(records)[0]
    assert torch.equal(loaded["a"], torch.ones(5))
    assert len(open_source(tmp_path / "out").tensors) == 3


@pytest.mark.parametrize("named", ["", "model.safetensors.index.json"])
def test_a_folder_onto_itself(named: str, folder: Path, put: Any, raw: Any) -> None:
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()}
    source = folder / named
    records = [record for record in open_source(source).tensors if record.name == "b"]
    with pytest.raises(ParamInspectError, match="there already"):
        patch(source, records, source, put)
    patch(source, records, source, put, force=True)
    after = {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()}
    changed = [name for name in before if after[name] != before[name]]
    assert before.keys() == after.keys()
    assert changed == ["model-00001-of-00002.safetensors"]
    assert raw(load_file(folder / changed[0])["b"]) == new_values(records)[0]


# --- files of strangers -----------------------------------------------------------------------------------------


def corpus_files() -> list[Path]:
    if not (CORPUS / "expected.json").is_file():
        return []
    edge = CORPUS / "edge"
    some = [*(edge / "torch").iterdir(), *(edge / "gguf").iterdir(), *(edge / "np").iterdir()]
    real = [path for path in (CORPUS / "real").rglob("*") if path.is_file()]
    return sorted([*real, *some, *(edge / "safetensors").iterdir(), *(edge / "shards").iterdir(), edge / "dcp" / "ws2"])


@pytest.mark.skipif(not corpus_files(), reason="no corpus: set PARAMINSPECT_CORPUS")
@pytest.mark.parametrize("path", corpus_files(), ids=lambda path: ascii(path.name)[1:-1])
def test_any_file_goes_through(path: Path, tmp_path: Path, put: Any) -> None:
    try:
        checkpoint = open_source(path)
    except ParamInspectError:
        return
    patch(path, [], tmp_path / "same", put)
    if path.is_dir():
        for copy in (tmp_path / "same").iterdir():
            assert copy.read_bytes() == (path / copy.name).read_bytes()
        return
    assert (tmp_path / "same").read_bytes() == path.read_bytes()
    records = choose(checkpoint, 12)
    patch(path, records, tmp_path / "new", put)
    check_patched(path, tmp_path / "new", records)
