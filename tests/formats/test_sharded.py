"""Folders and indexes. Shards are written and read by safetensors itself; only the joining is ours."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    SourceError,
    TruncatedError,
)
from paraminspect.files import local
from paraminspect.formats import sharded
from paraminspect.formats.folders import read_folder
from paraminspect.formats.sharded import read_index
from paraminspect.records import Checkpoint, TensorRecord
from tests.making.folders import FIRST, INDEX, SECOND, Reader, names, save, write_index


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    save(tmp_path / FIRST, "a", "b", metadata={"format": "pt"})
    save(tmp_path / SECOND, "c")
    write_index(tmp_path, {"c": SECOND, "a": FIRST, "b": FIRST}, metadata={"total_size": 24})
    return tmp_path


# An index.


def test_shards_come_in_the_order_of_the_index(shards: Path) -> None:
    checkpoint = read_index(str(shards / INDEX), Reader())
    assert names(checkpoint) == ["c", "a", "b"]
    assert checkpoint.format == "sharded safetensors"
    assert checkpoint.files == (str(shards / SECOND), str(shards / FIRST))
    assert checkpoint.nbytes == sum(os.path.getsize(shards / name) for name in (FIRST, SECOND))
    assert checkpoint.notes == ()


def test_metadata_is_that_of_the_first_shard(shards: Path) -> None:
    write_index(shards, {"a": FIRST, "b": FIRST, "c": SECOND})
    assert read_index(str(shards / INDEX), Reader()).metadata == {"format": "pt"}


def test_index_of_the_working_directory(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shards)
    assert read_index(INDEX, Reader()).files == (SECOND, FIRST)


def test_folder_and_its_index_give_the_same(shards: Path) -> None:
    assert read_folder(str(shards), Reader()) == read_index(str(shards / INDEX), Reader())


def test_shards_may_lie_in_sub_folders_and_behind_symlinks(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "rev"
    save(tmp_path / "blobs" / "0a1b", "a")
    save(folder / "sub" / "x.safetensors", "b")
    (folder / FIRST).symlink_to("../../blobs/0a1b")
    (tmp_path / "blobs" / "index").write_text(json.dumps({"weight_map": {"a": FIRST, "b": "sub/x.safetensors"}}))
    (folder / INDEX).symlink_to("../../blobs/index")
    assert names(read_folder(str(folder), Reader())) == ["a", "b"]


def test_one_shard_spelled_in_two_ways_is_read_once(tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", "a", "b")
    index = write_index(tmp_path, {"a": "x.safetensors", "b": "./x.safetensors"})
    reader = Reader()
    assert names(read_index(str(index), reader)) == ["a", "b"]
    assert len(reader.opened) == 1


@pytest.mark.parametrize(
    "file",
    [
        "/etc/passwd",
        "../x.safetensors",
        "sub/../../x.safetensors",
        "..",
        "..\\x.safetensors",
        "sub\\..\\..\\x",
        "\\\\server\\x",
        "C:\\x.safetensors",
        "C:x",
        "x\0.safetensors",
        "",
    ],
)
def test_index_that_names_a_file_outside_its_folder_opens_nothing(shards: Path, file: str) -> None:
    save(shards.parent / "x.safetensors", "a")
    write_index(shards, {"c": SECOND, "a": file})
    reader = Reader()
    with pytest.raises(MalformedError, match="index names a file outside its folder: ") as caught:
        read_index(str(shards / INDEX), reader)
    assert reader.opened == []
    assert "\0" not in caught.value.message


@pytest.mark.parametrize("file", [5, None, ["x"], {"x": 1}, True])
def test_index_that_names_no_file(shards: Path, file: object) -> None:
    write_index(shards, {"c": SECOND, "a": file})
    reader = Reader()
    with pytest.raises(MalformedError, match="where a file name is due"):
        read_index(str(shards / INDEX), reader)
    assert reader.opened == []


def test_index_that_names_a_file_no_system_can_have(shards: Path) -> None:
    (shards / INDEX).write_text('{"weight_map": {"a": "\\ud800.safetensors"}}')
    with pytest.raises(MalformedError, match="a file that cannot be") as caught:
        read_index(str(shards / INDEX), Reader())
    caught.value.message.encode()


@pytest.mark.parametrize("file", [INDEX, ".", "sub"])
def test_index_that_names_itself_or_a_folder(shards: Path, file: str) -> None:
    (shards / "sub").mkdir()
    write_index(shards, {"a": file})
    reader = Reader()
    with pytest.raises(MalformedError, match="as a shard, which is no model file"):
        read_index(str(shards / INDEX), reader)
    assert reader.opened == []


def test_missing_shard(shards: Path) -> None:
    (shards / SECOND).unlink()
    with pytest.raises(CheckpointError, match=f"1 of 2 shards is missing: {SECOND}") as caught:
        read_index(str(shards / INDEX), Reader())
    assert caught.value.hint


def test_missing_shards_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "1", "a")
    (tmp_path / "2").symlink_to("nowhere")
    (tmp_path / "4").symlink_to("4")
    index = write_index(tmp_path, {"a": "1", "b": "2", "c": "3", "d": "4"})
    reader = Reader()
    with pytest.raises(CheckpointError, match="3 of 4 shards are missing, the first is 2"):
        read_index(str(index), reader)
    assert reader.opened == []


def test_tensor_that_its_shard_lacks(shards: Path) -> None:
    write_index(shards, {"a": FIRST, "b": FIRST, "c": SECOND, "ghost": FIRST})
    with pytest.raises(MalformedError, match=f"names tensor ghost in shard {FIRST}, which lacks it"):
        read_index(str(shards / INDEX), Reader())


def test_tensor_that_only_another_shard_has(shards: Path) -> None:
    write_index(shards, {"a": FIRST, "b": SECOND, "c": SECOND})
    with pytest.raises(MalformedError, match=f"names tensor b in shard {SECOND}, which lacks it"):
        read_index(str(shards / INDEX), Reader())


def test_tensor_that_the_index_does_not_name_is_kept_and_noted(shards: Path) -> None:
    write_index(shards, {"a": FIRST, "c": SECOND})
    checkpoint = read_index(str(shards / INDEX), Reader())
    assert names(checkpoint) == ["a", "b", "c"]
    assert checkpoint.notes == ("1 tensor not named by the index: b",)


def test_of_two_tensors_of_a_name_the_index_decides(shards: Path) -> None:
    save(shards / SECOND, "b", "c", size=5)
    write_index(shards, {"a": FIRST, "b": SECOND, "c": SECOND})
    checkpoint = read_index(str(shards / INDEX), Reader())
    assert [(tensor.name, tensor.shape) for tensor in checkpoint.tensors] == [("a", (2,)), ("b", (5,)), ("c", (5,))]
    assert checkpoint.notes == ("1 tensor left out, as the index means another shard's: b",)


@pytest.mark.parametrize(
    ("declared", "noted"),
    [(24, False), (24.0, False), (25, True), (0, True), (float("nan"), True), ("24", False), (True, False)],
)
def test_total_size_that_disagrees_is_noted(shards: Path, declared: object, noted: bool) -> None:
    write_index(shards, {"a": FIRST, "b": FIRST, "c": SECOND}, metadata={"total_size": declared})
    notes = read_index(str(shards / INDEX), Reader()).notes
    assert notes == ((f"the index says {declared} bytes of tensors, the shards hold 24",) if noted else ())


@pytest.mark.parametrize("total", [8, 16])
def test_total_size_may_count_a_tied_tensor_once_or_twice(tmp_path: Path, total: int) -> None:
    from paraminspect.records import Storage

    (tmp_path / "1.bin").touch()
    storage = Storage("0", 8)
    tied = [TensorRecord(name, (2,), "float32", 2, 8, storage=storage) for name in ("a", "b")]
    index = write_index(tmp_path, {"a": "1.bin", "b": "1.bin"}, metadata={"total_size": total})
    assert read_index(str(index), lambda path: Checkpoint("torch zip", tied)).notes == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the index is no JSON"),
        ("{", "the index is no JSON"),
        ("[1]", "the index is a JSON list, expected an object"),
        ("3", "the index is a JSON int"),
        ("{}", "the index has no weight_map"),
        ('{"weight_map": []}', "weight_map is not an object"),
        ('{"weight_map": {}}', "weight_map is not an object with entries"),
        ('{"weight_map": {"a": "1", "a": "2"}}', "the index has 'a' twice"),
        ('{"weight_map": ' + "[" * 100_000, "the index is nested too deeply"),
        ('{"weight_map": {"a": ' + "9" * 5000 + "}}", "the index is no JSON"),
    ],
)
def test_index_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(MalformedError, match=message):
        read_folder(str(tmp_path), Reader())


def test_index_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b'{"\xff\xfe": 1}')
    with pytest.raises(MalformedError, match="the index is no JSON"):
        read_folder(str(tmp_path), Reader())


@pytest.mark.parametrize(
    ("constant", "bound", "what"),
    [
        ("MAX_JSON_BYTES", 10, "bytes of index"),
        ("MAX_INDEX_ENTRIES", 1, "entries of index"),
        ("MAX_SHARDS", 1, "shards"),
    ],
)
def test_index_is_bounded(shards: Path, monkeypatch: pytest.MonkeyPatch, constant: str, bound: int, what: str) -> None:
    monkeypatch.setattr(sharded, constant, bound)
    with pytest.raises(LimitExceededError, match=what) as caught:
        read_index(str(shards / INDEX), Reader())
    assert caught.value.limit == bound


def test_index_that_is_missing_or_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the index cannot be opened"):
        read_index(str(tmp_path / INDEX), Reader())
    os.mkfifo(tmp_path / INDEX)
    with pytest.raises(SourceError, match="not a regular file"):
        read_index(str(tmp_path / INDEX), Reader())


def test_error_of_the_first_shard_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "SLOW_READ_S", -1)
    weight_map = {}
    for number in range(20):
        (tmp_path / str(number)).touch()
        weight_map[f"t{number}"] = str(number)
    later = threading.Event()

    def read_file(path: str) -> Checkpoint:
        number = int(os.path.basename(path))
        if number == 3:
            assert later.wait(20)
        if number == 5:
            later.set()
        if number in (3, 5):
            raise TruncatedError(f"shard {number}")
        return Checkpoint("x", [])

    with pytest.raises(TruncatedError, match="shard 3"):
        read_index(str(write_index(tmp_path, weight_map)), read_file)


def test_shards_are_read_side_by_side_but_not_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight_map = {}
    for number in range(14):
        (tmp_path / str(number)).touch()
        weight_map[f"t{number}"] = str(number)
    monkeypatch.setattr(sharded, "SLOW_READ_S", -1)
    monkeypatch.setattr(local, "MAX_READERS", 4)
    together = threading.Barrier(4)

    def read_file(path: str) -> Checkpoint:
        if os.path.basename(path) not in ("0", "1"):  # those are read alone
            together.wait(20)  # broken if fewer than four are ever here at one time
        return Checkpoint("x", [TensorRecord(f"t{os.path.basename(path)}", (), "float32", 1, 4)])

    checkpoint = read_index(str(write_index(tmp_path, weight_map)), read_file)
    assert names(checkpoint) == [f"t{number}" for number in range(14)]


def test_headers_at_hand_are_read_without_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "SLOW_READ_S", 60)
    for number in range(3):
        (tmp_path / str(number)).touch()
    readers = set()

    def read_file(path: str) -> Checkpoint:
        readers.add(threading.get_ident())
        return Checkpoint("x", [TensorRecord(f"t{os.path.basename(path)}", (), "float32", 1, 4)])

    read_index(str(write_index(tmp_path, {f"t{number}": str(number) for number in range(3)})), read_file)
    assert readers == {threading.get_ident()}


def test_notes_of_shards_are_passed_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight_map = {}
    for number in range(6):
        (tmp_path / str(number)).touch()
        weight_map[f"t{number}"] = str(number)

    def read_file(path: str) -> Checkpoint:
        name = os.path.basename(path)
        return Checkpoint("x", [TensorRecord(f"t{name}", (), "float32", 1, 4)], notes=("same", name))

    index = str(write_index(tmp_path, weight_map))
    assert read_index(index, read_file).notes == ("same", "0", "1", "2", "3", "4", "5")
    monkeypatch.setattr(sharded, "MAX_NOTES", 3)
    assert read_index(index, read_file).notes == ("same", "0", "1", "4 more remarks on the shards")


def test_names_of_the_index_are_escaped_in_messages(shards: Path) -> None:
    write_index(shards, {"\x1b[31m\n\u202e": FIRST})
    with pytest.raises(MalformedError) as caught:
        read_index(str(shards / INDEX), Reader())
    assert caught.value.message.isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.sampled_from([FIRST, SECOND]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["weight_map", "metadata", "total_size", "a", "b", "c"]), inner, max_size=4
            )
        ),
    )
)
def test_any_json_gives_records_or_an_explained_error(shards: Path, index: object) -> None:
    (shards / INDEX).write_text(json.dumps(index))
    try:
        checkpoint = read_index(str(shards / INDEX), Reader())
    except ParamInspectError:
        return
    assert set(names(checkpoint)) <= {"a", "b", "c"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_as_index_give_an_explained_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / INDEX).write_bytes(data)
    with pytest.raises(ParamInspectError):
        read_index(str(tmp_path / INDEX), Reader())
