"""Folders of torch.distributed.checkpoint, held against its own reader."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, TensorStorageMetadata

from benchmarks.ranks import LENGTH, STEP, metadata_of_ranks
from paraminspect.checks.check import check_source
from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    TruncatedError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats.pytorch import distributed
from paraminspect.formats.pytorch.distributed import read_distributed
from paraminspect.formats.source import open_source
from paraminspect.limits import OPCODES, one_effort
from paraminspect.values.read import read_tensor
from tests.making.distributed import grid, save_in_pieces
from tests.making.newer_torch import ALONE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


def training_state() -> dict[str, Any]:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2).half())
    optimizer = torch.optim.Adam(net[0].parameters())
    net[0](torch.ones(4, 3)).sum().backward()
    optimizer.step()
    return {"model": net.state_dict(), "optim": optimizer.state_dict(), "epoch": 3, "top": torch.ones(2)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dcp.save(training_state(), checkpoint_id=tmp_path, **ALONE)
    return tmp_path


def metadata_of(folder: Path) -> Metadata:
    return dcp.FileSystemReader(folder).read_metadata()


def write(folder: Path, metadata: Metadata) -> None:
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def test_like_torch(folder: Path) -> None:
    checkpoint = open_source(folder)
    wanted = {
        name: (tuple(entry.size), str(entry.properties.dtype)[6:])
        for name, entry in metadata_of(folder).state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    assert checkpoint.format == "torch distributed"
    assert {record.name: (record.shape, record.dtype) for record in checkpoint.tensors} == wanted
    assert len(checkpoint.tensors) == len(wanted)
    assert checkpoint.files == (str(folder / ".metadata"), str(folder / "__0_0.distcp"))
    assert checkpoint.nbytes == sum(path.stat().st_size for path in folder.iterdir())


def test_roles_parts_and_kinds(folder: Path) -> None:
    found = {record.name: (record.role, record.part, record.kind) for record in open_source(folder).tensors}
    assert found["model.0.weight"] == ("model", "model", "tensor")
    assert found["model.1.running_mean"] == ("model", "model", "buffer")
    assert found["optim.state.0.exp_avg"] == ("optimizer", "optim", "tensor")
    assert found["top"] == ("model", "", "tensor")


def test_sizes_are_global_and_in_bytes(folder: Path) -> None:
    records = {record.name: record for record in open_source(folder).tensors}
    assert (records["model.0.weight"].numel, records["model.0.weight"].nbytes) == (6, 24)
    assert (records["model.1.weight"].numel, records["model.1.weight"].nbytes) == (2, 4)
    assert {record.layout for record in records.values()} == {"chunked"}
    assert {record.storage for record in records.values()} == {None}


def test_a_tensor_in_several_pieces_is_one(folder: Path) -> None:
    metadata = metadata_of(folder)
    entry: Any = metadata.state_dict_metadata["model.0.weight"]
    entry.size = torch.Size([4, 3])
    entry.chunks = [ChunkStorageMetadata(torch.Size([row, 0]), torch.Size([2, 3])) for row in (0, 2)]
    write(folder, metadata)
    (shape,) = [record.shape for record in open_source(folder).tensors if record.name == "model.0.weight"]
    assert shape == (4, 3)


def test_entries_that_are_no_tensors_are_counted(folder: Path) -> None:
    others = [
        entry
        for entry in metadata_of(folder).state_dict_metadata.values()
        if not isinstance(entry, TensorStorageMetadata)
    ]
    assert open_source(folder).notes == (f"entries that are no tensors: {len(others)}",)


# --- folders that do not fit ------------------------------------------------------------------------------------


def each_piece(**changes: Any) -> Callable[[Metadata], None]:
    def change(metadata: Metadata) -> None:
        metadata.storage_data = {
            key: dataclasses.replace(piece, **changes) for key, piece in metadata.storage_data.items()
        }

    return change


def changed_tensor(**changes: Any) -> Callable[[Metadata], None]:
    def change(metadata: Metadata) -> None:
        for key, value in changes.items():
            setattr(metadata.state_dict_metadata["top"], key, value)

    return change


def entry(value: Any, name: Any = "top") -> Callable[[Metadata], None]:
    def change(metadata: Metadata) -> None:
        metadata.state_dict_metadata[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            each_piece(relative_path="__7_0.distcp"),
            CheckpointError,
            "'__7_0.distcp' of the checkpoint's 1 files missing",
        ),
        (each_piece(relative_path="../x"), MalformedError, r"outside its folder: '\.\./x'"),
        (each_piece(relative_path="/etc/passwd"), MalformedError, "outside its folder"),
        (each_piece(relative_path="a\\..\\b"), MalformedError, "outside its folder"),
        (each_piece(relative_path="a\0b"), MalformedError, "outside its folder"),
        (each_piece(relative_path=""), MalformedError, "outside its folder"),
        (each_piece(relative_path=None), MalformedError, "outside its folder"),
        (each_piece(offset=-1), MalformedError, "has no range"),
        (each_piece(length=0.5), MalformedError, "has no range"),
        (each_piece(length=10**9), TruncatedError, "the metadata needs 1,000,"),
        (changed_tensor(size=None), MalformedError, "shape"),
        (changed_tensor(size=(-1,)), MalformedError, "negative"),
        (changed_tensor(size=(1,) * 65), LimitExceededError, "dimensions"),
        (changed_tensor(size=(2**40, 2**40)), LimitExceededError, "elements"),
        (changed_tensor(properties=None), MalformedError, "'top' has no dtype"),
        (entry(5), MalformedError, "is no object"),
        (entry(TensorStorageMetadata(None, torch.Size([1]), []), name=5), MalformedError, "is no string"),  # type: ignore[arg-type]
    ],
)
def test_metadata_that_contradicts_itself(
    change: Callable[[Metadata], None], error: type[ParamInspectError], message: str, folder: Path
) -> None:
    metadata = metadata_of(folder)
    change(metadata)
    write(folder, metadata)
    with pytest.raises(error, match=message):
        open_source(folder)


def test_a_pickle_that_is_no_metadata(folder: Path) -> None:
    (folder / ".metadata").write_bytes(pickle.dumps({"state_dict_metadata": {}}))
    with pytest.raises(MalformedError, match="not the metadata"):
        open_source(folder)
    (folder / ".metadata").write_bytes(b"\x80\2cos\nsystem\nU\1x\x85R.")
    with pytest.raises(MalformedError, match=r"not the metadata .*os\.system"):
        open_source(folder)


def test_a_piece_that_was_cut(folder: Path) -> None:
    metadata = metadata_of(folder)
    metadata.storage_data = dict(reversed(metadata.storage_data.items()))  # their order says nothing
    write(folder, metadata)
    open_source(folder)
    piece = folder / "__0_0.distcp"
    piece.write_bytes(piece.read_bytes()[:-1])
    with pytest.raises(TruncatedError, match="__0_0"):
        open_source(folder)


def test_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(metadata_of(folder).state_dict_metadata)
    monkeypatch.setattr(distributed, "MAX_TENSORS", count)
    open_source(folder)
    monkeypatch.setattr(distributed, "MAX_TENSORS", count - 1)
    with pytest.raises(LimitExceededError, match="entries in a distributed checkpoint"):
        open_source(folder)
    monkeypatch.undo()
    monkeypatch.setattr(distributed, "MAX_FILES", 0)
    with pytest.raises(LimitExceededError, match="files of a distributed checkpoint"):
        open_source(folder)


def test_damage(folder: Path) -> None:
    seed = (folder / ".metadata").read_bytes()
    for length in range(0, len(seed), 53):
        with pytest.raises(ParamInspectError):
            read_distributed(Blob.from_bytes(seed[:length]), str(folder))

    @given(st.lists(st.tuples(st.integers(0, len(seed) - 1), st.integers(0, 255)), min_size=1, max_size=3))
    def flipped_bytes_give_records_or_an_error(flips: list[tuple[int, int]]) -> None:
        data = bytearray(seed)
        for position, byte in flips:
            data[position] = byte
        with contextlib.suppress(ParamInspectError):
            read_distributed(Blob.from_bytes(bytes(data)), str(folder))

    flipped_bytes_give_records_or_an_error()


# --- many ranks -------------------------------------------------------------------------------------------------


def many_ranks(folder: Path, tensors: int, ranks: int) -> Path:
    folder.mkdir(exist_ok=True)
    write(folder, metadata_of_ranks(tensors, ranks, by_rank=True))
    for rank in range(ranks):
        with open(folder / f"__{rank}_0.distcp", "wb") as file:
            file.truncate(tensors * STEP + LENGTH)
    return folder


def test_opcodes_and_pieces_of_many_ranks(tmp_path: Path) -> None:
    """Work, not time: a quarter of an opcode for each byte of the metadata, and no more for more ranks."""
    spent = []
    for ranks in (200, 400):
        folder = many_ranks(tmp_path / str(ranks), 10, ranks)
        with one_effort(afresh=True) as effort:
            checkpoint = open_source(folder)
            spent.append(effort.spent(OPCODES))
        pieces = checkpoint.tensors[3].encoding.pieces
        assert len(pieces) == ranks
        assert pieces[7] == ((28, 0), (4, 8), str(folder / "__7_0.distcp"), 3 * STEP, LENGTH, None)
        assert checkpoint.notes == ()
    assert spent[0] < 12 * 10 * 200
    assert spent[1] - spent[0] < 9 * 10 * 200


def test_pieces_are_those_that_torch_reads(tmp_path: Path) -> None:
    metadata = save_in_pieces(tmp_path, {"w": torch.arange(30.0).view(5, 6)}, {"w": grid((5, 6), (3, 2))})
    (record,) = open_source(tmp_path).tensors
    due = {tuple(key.offset or ()): value for key, value in metadata.storage_data.items()}
    assert len(record.encoding.pieces) == len(due)
    for piece in record.encoding.pieces:
        info = due[piece.offsets]
        assert (piece.path, piece.begin, piece.nbytes) == (
            str(tmp_path / info.relative_path), info.offset, info.length,
        )  # fmt: skip
    found = {"w": torch.zeros(5, 6)}
    dcp.load(found, checkpoint_id=tmp_path, **ALONE)
    assert torch.equal(found["w"], torch.from_numpy(read_tensor(record)))


def flawed(folder: Path, change: Callable[[Metadata], Any]) -> Path:
    metadata = save_in_pieces(folder, {"w": torch.arange(30.0).view(5, 6)}, {"w": grid((5, 6), (3, 2))})
    change(metadata)
    write(folder, metadata)
    return folder


FLAWS: dict[str, tuple[Callable[[Metadata], Any], str, str]] = {
    "a chunk is missing": (lambda m: m.state_dict_metadata["w"].chunks.pop(), "hole", "its pieces hold 27 of 30 elements"),
    "no file is known": (lambda m: m.storage_data.popitem(), "hole", "of 1 of its 6 pieces no file is known"),
    "no file is known of any": (lambda m: m.storage_data.clear(), "hole", "of 6 of its 6 pieces no file is known"),
    "no chunk is there": (lambda m: m.state_dict_metadata["w"].chunks.clear(), "hole", "its pieces hold 0 of 30 elements"),
    "two overlap": (
        lambda m: m.state_dict_metadata["w"].chunks.append(ChunkStorageMetadata(torch.Size([1, 1]), torch.Size([1, 2]))),
        "overlap",
        "its pieces overlap",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FLAWS)
def test_holes_and_overlaps_are_said(kind: str, tmp_path: Path) -> None:
    change, code, message = FLAWS[kind]
    folder = flawed(tmp_path, change)
    checkpoint = open_source(folder)
    assert checkpoint.notes == (f"not whole: 'w' ({message})",)
    (finding,) = [each for each in check_source(folder) if each.name == "w"]
    assert (finding.severity, finding.code, finding.message) == ("error", code, message)
    assert not [each for each in check_source(folder) if "not whole" in each.message]
    with pytest.raises(CheckpointError, match=message):
        read_tensor(checkpoint.tensors[0])


def test_one_chunk_listed_twice_is_no_overlap(tmp_path: Path) -> None:
    folder = flawed(tmp_path, lambda m: m.state_dict_metadata["w"].chunks.append(m.state_dict_metadata["w"].chunks[0]))
    checkpoint = open_source(folder)
    assert checkpoint.notes == ()
    assert read_tensor(checkpoint.tensors[0]).tolist() == torch.arange(30.0).view(5, 6).tolist()


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    folder = flawed(tmp_path, lambda _: None)
    (folder / "__4_0.distcp").unlink()
    assert "missing-file" in {each.code for each in check_source(folder)}


def test_one_list_of_chunks_for_many_tensors(tmp_path: Path) -> None:
    """A few bytes each: what is looked at is counted."""
    metadata = metadata_of_ranks(1, 3000)
    (entry,) = metadata.state_dict_metadata.values()
    metadata.state_dict_metadata = {f"w{number}": entry for number in range(4000)}
    for place in metadata.storage_data.values():
        place.relative_path = "one.distcp"
    write(tmp_path, metadata)
    (tmp_path / "one.distcp").write_bytes(bytes(64))
    with pytest.raises(LimitExceededError, match="opcodes"):
        open_source(tmp_path)
