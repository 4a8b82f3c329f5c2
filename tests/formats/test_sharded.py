"""Folders and indexes. Shards are written and read by safetensors itself; only the joining is ours."""

from __future__ import annotations

import json
import os
import threading
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    SourceError,
    TruncatedError,
)
from paraminspect.files import local
from paraminspect.files.blob import Blob
from paraminspect.formats import sharded
from paraminspect.formats.gguf import read_gguf
from paraminspect.formats.sharded import read_folder, read_index
from paraminspect.records import Checkpoint, TensorRecord

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


class Reader:
    """The `read_file` that is handed in; it remembers what it was asked to open."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, path: str) -> Checkpoint:
        self.opened.append(path)
        tensors = []
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118 (no mapping)
                shape = tuple(file.get_slice(name).get_shape())
                tensors.append(TensorRecord(name, shape, "float32", prod(shape), 4 * prod(shape)))
        return Checkpoint("safetensors", tensors, metadata, nbytes=os.path.getsize(path), files=(path,))


def save(path: Path, *names: str, metadata: dict[str, str] | None = None, size: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(size, np.float32) for name in names}, path, metadata)


def write_index(folder: Path, weight_map: Any, name: str = INDEX, **more: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"weight_map": weight_map, **more}))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    save(tmp_path / FIRST, "a", "b", metadata={"format": "pt"})
    save(tmp_path / SECOND, "c")
    write_index(tmp_path, {"c": SECOND, "a": FIRST, "b": FIRST}, metadata={"total_size": 24})
    return tmp_path


def names(checkpoint: Checkpoint) -> list[str]:
    return [tensor.name for tensor in checkpoint.tensors]


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
    for number in range(13):
        (tmp_path / str(number)).touch()
        weight_map[f"t{number}"] = str(number)
    monkeypatch.setattr(sharded, "SLOW_READ_S", -1)
    monkeypatch.setattr(local, "MAX_READERS", 4)
    together = threading.Barrier(4)

    def read_file(path: str) -> Checkpoint:
        if not path.endswith(os.path.join(str(tmp_path), "0")):  # the first one is read alone
            together.wait(20)  # broken if fewer than four are ever here at one time
        return Checkpoint("x", [TensorRecord(f"t{os.path.basename(path)}", (), "float32", 1, 4)])

    checkpoint = read_index(str(write_index(tmp_path, weight_map)), read_file)
    assert names(checkpoint) == [f"t{number}" for number in range(13)]


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_as_index_give_an_explained_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / INDEX).write_bytes(data)
    with pytest.raises(ParamInspectError):
        read_index(str(tmp_path / INDEX), Reader())


# A folder.

PRECEDENCE = [
    "model.safetensors.index.json",
    "other.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "other.bin.index.json",
    "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "any.safetensors",
    "any.pt",
]


@pytest.mark.parametrize("first", range(len(PRECEDENCE)))
def test_which_file_of_a_folder_is_the_model(tmp_path: Path, first: int) -> None:
    for name in PRECEDENCE[first:]:
        if name.endswith(".json"):
            save(tmp_path / "sub" / name.removesuffix(".json"), f"from {name}")
            write_index(tmp_path, {f"from {name}": "sub/" + name.removesuffix(".json")}, name)
        else:
            save(tmp_path / name, f"from {name}")
    assert names(read_folder(str(tmp_path), Reader())) == [f"from {PRECEDENCE[first]}"]


@pytest.mark.parametrize("extension", ["safetensors", "bin", "pt", "pth", "ckpt", "gguf", "npz", "jit", "pkl", "PT"])
def test_the_only_model_file_is_taken_whatever_it_is_called(tmp_path: Path, extension: str) -> None:
    folder = tmp_path / "x.pt"
    save(folder / f"some name.{extension}", "w")
    (folder / "config.json").write_text("{}")
    (folder / "README.md").touch()
    (folder / "._other.pt").touch()
    checkpoint = read_folder(str(folder), Reader())
    assert names(checkpoint) == ["w"]
    assert checkpoint.format == "safetensors"
    assert checkpoint.notes == ()


def test_safetensors_go_before_pickles_and_a_note_says_so(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "w")
    for name in ("pytorch_model.bin", "optimizer.pt", "training_args.bin", "rng_state_0.pth", "flax_model.msgpack"):
        (tmp_path / name).touch()
    assert read_folder(str(tmp_path), Reader()).notes == ("not read, as safetensors go first: pytorch_model.bin",)
    (tmp_path / "model.safetensors").rename(tmp_path / "x.safetensors")
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "x.ckpt")
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["w"]
    assert checkpoint.notes == ("not read, as safetensors go first: x.ckpt",)


@pytest.mark.parametrize("beside", ["optimizer.pt", "scheduler.bin", "training_args.bin", "random_states_0.pkl"])
def test_what_trainers_write_beside_a_model_does_not_count(tmp_path: Path, beside: str) -> None:
    (tmp_path / beside).touch()
    save(tmp_path / "weights.pt", "w")
    assert names(read_folder(str(tmp_path), Reader())) == ["w"]


def test_optimizer_alone_is_what_there_is(tmp_path: Path) -> None:
    save(tmp_path / "optimizer.pt", "exp_avg")
    assert names(read_folder(str(tmp_path), Reader())) == ["exp_avg"]


@pytest.mark.parametrize("extension", ["safetensors", "fp16.safetensors", "bin"])
def test_shards_without_an_index_are_joined_by_their_names(tmp_path: Path, extension: str) -> None:
    for number, name in ((2, "b"), (1, "a"), (3, "c")):
        save(tmp_path / f"m-{number:05}-of-00003.{extension}", name)
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["a", "b", "c"]
    assert checkpoint.format == "sharded safetensors"
    assert checkpoint.notes == ()


def test_shard_missing_without_an_index(tmp_path: Path) -> None:
    save(tmp_path / "m-00002-of-00003.safetensors", "b")
    with pytest.raises(CheckpointError, match=r"2 of 3 shards are missing, the first is m-00001-of-00003\.safetensors"):
        read_folder(str(tmp_path), Reader())


def test_shard_numbers_are_bounded(tmp_path: Path) -> None:
    save(tmp_path / "m-00001-of-99999.safetensors", "b")
    with pytest.raises(LimitExceededError, match="99,999 shards"):
        read_folder(str(tmp_path), Reader())


@pytest.mark.parametrize(
    "name", ["m-00003-of-00002.safetensors", "m-00000-of-00002.safetensors", "m-00000-of-00000.bin"]
)
def test_number_that_no_shard_has_is_a_name_like_any(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, "w")
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["w"]


def test_name_in_two_shards_without_an_index_is_noted(tmp_path: Path) -> None:
    save(tmp_path / "m-00001-of-00002.safetensors", "a", "b")
    save(tmp_path / "m-00002-of-00002.safetensors", "b")
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["a", "b", "b"]
    assert checkpoint.notes == ("1 tensor in more than one shard: b",)


def test_gguf_splits_are_joined_and_their_notes_dropped(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    for number in range(5):
        writer.add_tensor(f"blk.{number}.weight", np.full((2, 3), number, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(os.listdir(tmp_path))
    assert parts == [f"m-{number:05}-of-00003.gguf" for number in (1, 2, 3)]

    def read_file(path: str) -> Checkpoint:
        return read_gguf(Blob.from_bytes(Path(path).read_bytes(), path))

    assert read_file(str(tmp_path / parts[1])).notes == ("part 2 of 3: the other tensors are in other files",)
    checkpoint = read_folder(str(tmp_path), read_file)
    assert names(checkpoint) == [f"blk.{number}.weight" for number in range(5)]
    assert checkpoint.format == "sharded gguf"
    assert checkpoint.notes == ()
    assert checkpoint.metadata["general.architecture"] == "llama"
    assert {tensor.storage.path for tensor in checkpoint.tensors if tensor.storage} == {
        str(tmp_path / part) for part in parts
    }


def test_several_models_are_named_and_none_is_opened(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.gguf").touch()
    reader = Reader()
    with pytest.raises(SourceError) as caught:
        read_folder(str(tmp_path), reader)
    assert caught.value.message == "7 models in the folder: 0.gguf, 1.gguf, 2.gguf, 3.gguf, 4.gguf and 2 more"
    assert caught.value.hint == f"name one: {tmp_path / '0.gguf'}"
    assert reader.opened == []


@pytest.mark.parametrize(
    "names_there", [("a.safetensors", "b.gguf"), ("a.pt", "b.pt"), ("a.safetensors", "b.safetensors")]
)
def test_two_models_are_too_many(tmp_path: Path, names_there: tuple[str, str]) -> None:
    for name in names_there:
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match="2 models in the folder"):
        read_folder(str(tmp_path), Reader())


def test_two_sets_of_shards_are_two_models(tmp_path: Path) -> None:
    for stem in ("m", "m.fp16"):
        for number in (1, 2):
            (tmp_path / f"{stem}-{number:05}-of-00002.safetensors").touch()
    with pytest.raises(SourceError, match=r"2 models in the folder: m-\*-of-00002\.safetensors, m\.fp16-\*-of-00002"):
        read_folder(str(tmp_path), Reader())


def test_two_indexes_are_two_models(tmp_path: Path) -> None:
    for name in ("x.safetensors.index.json", "x.fp16.safetensors.index.json"):
        write_index(tmp_path, {"w": "w"}, name)
    with pytest.raises(SourceError, match=r"2 models in the folder: x\.fp16\.safetensors\.index\.json, x\.safetensors"):
        read_folder(str(tmp_path), Reader())


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the folder is empty"):
        read_folder(str(tmp_path), Reader())


def test_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub").mkdir()
    with pytest.raises(SourceError, match="no model file in the folder") as caught:
        read_folder(str(tmp_path), Reader())
    assert caught.value.hint is None


def test_models_in_sub_folders_are_named_not_read(tmp_path: Path) -> None:
    save(tmp_path / "unet" / "diffusion_pytorch_model.safetensors", "u")
    save(tmp_path / "vae" / "x.gguf", "v")
    save(tmp_path / ".cache" / "x.safetensors", "c")
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    reader = Reader()
    with pytest.raises(SourceError) as caught:
        read_folder(str(tmp_path), reader)
    assert caught.value.hint == f"models are in {tmp_path / 'unet'}, {tmp_path / 'vae'}"
    assert reader.opened == []


def test_folder_of_the_hugging_face_cache_names_its_snapshots(tmp_path: Path) -> None:
    save(tmp_path / "snapshots" / "0a1b" / "model.safetensors", "w")
    (tmp_path / "blobs").mkdir()
    with pytest.raises(SourceError) as caught:
        read_folder(str(tmp_path), Reader())
    assert caught.value.hint == f"models are in {tmp_path / 'snapshots' / '0a1b'}"


def test_folder_with_a_symlink_to_itself(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceError, match="no model file in the folder"):
        read_folder(str(tmp_path), Reader())
    save(tmp_path / "model.safetensors", "w")
    assert names(read_folder(str(tmp_path), Reader())) == ["w"]


def test_distributed_checkpoint_without_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "__0_0.distcp").touch()
    with pytest.raises(SourceError, match=r"the \.metadata file of the distributed checkpoint is missing"):
        read_folder(str(tmp_path), Reader())


def test_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "missing", "nul\0"):
        with pytest.raises(SourceError, match=r"the folder cannot be read|no such file or folder"):
            read_folder(str(tmp_path / name), Reader())


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything, so a mode proves nothing
    with pytest.raises(SourceError, match="no permission to read the folder"):
        read_folder(str(tmp_path), Reader())
