"""Folders: which file is read, and what is said of the others."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from paraminspect.errors import CheckpointError, LimitExceededError, SourceError
from paraminspect.files.blob import Blob
from paraminspect.formats import sharded
from paraminspect.formats.folders import read_folder
from paraminspect.formats.gguf import read_gguf
from paraminspect.formats.loaders import LEFTOVER, LOADERS
from paraminspect.records import Checkpoint
from tests.making.folders import FIRST, INDEX, SECOND, Reader, names, save, write_index

EVERY = [name for loader in LOADERS for name in loader.files]
PRECEDENCE = [*EVERY, "other.safetensors.index.json", "other.bin.index.json", "any.safetensors", "any.pt"]


@pytest.mark.parametrize("first", range(len(PRECEDENCE)))
def test_which_file_of_a_folder_is_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setattr(sharded, "MAX_NAMED", len(PRECEDENCE))
    for name in PRECEDENCE[first:]:
        if name.endswith(".json"):
            save(tmp_path / "sub" / name.removesuffix(".json"), f"from {name}")
            write_index(tmp_path, {f"from {name}": "sub/" + name.removesuffix(".json")}, name)
        else:
            save(tmp_path / name, f"from {name}")
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == [f"from {PRECEDENCE[first]}"]
    rest = PRECEDENCE[first + 1 :]
    assert bool(rest) == bool(checkpoint.notes)
    for name in rest:
        assert any(name in note for note in checkpoint.notes)


def test_what_stands_beside_the_model_is_named_with_the_loader(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "w")
    beside = [
        "pytorch_model.bin",
        "model_1.safetensors",
        "model.fp16.safetensors",
        "adapter_model.safetensors",
        "x.gguf",
    ]
    for name in beside:
        (tmp_path / name).touch()
    said = "not read, as transformers loads model.safetensors first: "
    assert read_folder(str(tmp_path), Reader()).notes == (said + ", ".join(sorted(beside)),)


def test_an_index_beside_the_file_that_is_read_stands_for_its_shards(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "w")
    for name in (FIRST, SECOND):
        save(tmp_path / name, name)
    write_index(tmp_path, {FIRST: FIRST, SECOND: SECOND})
    assert read_folder(str(tmp_path), Reader()).notes == (
        f"not read, as transformers loads model.safetensors first: {INDEX}",
    )


def test_files_that_an_index_names_are_not_beside_it(tmp_path: Path) -> None:
    for name in (FIRST, SECOND, "one.safetensors", "other.safetensors"):
        save(tmp_path / name, name)
    write_index(tmp_path, {name: name for name in (FIRST, SECOND, "one.safetensors")})
    assert read_folder(str(tmp_path), Reader()).notes == (
        f"not read, as transformers loads {INDEX} first: other.safetensors",
    )


def test_safetensors_go_before_pickles_and_a_note_says_so(tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", "w")
    (tmp_path / "x.ckpt").touch()
    (tmp_path / "optimizer.pt").touch()
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["w"]
    assert checkpoint.notes == ("not read, as safetensors go first: x.ckpt",)


def test_weights_of_other_frameworks_are_named(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors", "w")
    for name in ("flax_model.msgpack", "tf_model.h5", "rust_model.ot", "config.json", "tokenizer.model"):
        (tmp_path / name).touch()
    assert read_folder(str(tmp_path), Reader()).notes == (
        "not read, as they are of other frameworks: flax_model.msgpack, rust_model.ot, tf_model.h5",
    )


LEFT = [
    *("training_args.bin", "user_content.pt", "optimizer.pt", "optimizer.bin", "optimizer_1.bin", "scheduler.pt"),
    *("scheduler_0.bin", "scaler.pt", "sampler.bin", "sampler_1.bin", "rng_state.pth", "rng_state_11.pth"),
    *("random_states_0.pkl", "dl_state_dict_1.bin", "custom_checkpoint_0.pkl", "distrib_optim.pt", "recipe_state.pt"),
    *("optim.pt", "optimizer_state.pt", "optimizer_state_dict.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"),
    *("bf16_zero_pp_rank_12_mp_rank_00_optim_states.pt", "expp_rank_0_mp_rank_00_optim_states.pt"),
]


@pytest.mark.parametrize("name", LEFT)
def test_what_trainers_keep_beside_a_model_is_never_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"no model file in the folder; .* is a trainer's, not a model") as caught:
        read_folder(str(tmp_path), Reader())
    assert caught.value.hint == f"paraminspect list {tmp_path / name} shows what is in it"
    save(tmp_path / "weights.pt", "w")
    checkpoint = read_folder(str(tmp_path), Reader())
    assert names(checkpoint) == ["w"]
    assert checkpoint.notes == ()


@pytest.mark.parametrize(
    "name", ["optimizers.pt", "my_optimizer.pt", "rng_state_dict_of_model.pt", "scheduler.safetensors.index"]
)
def test_what_is_called_much_like_it_is_a_model(name: str) -> None:
    assert not re.fullmatch(LEFTOVER, name)


@pytest.mark.parametrize(
    "names_there",
    [
        ("consolidated.00.pth", "consolidated.01.pth"),
        ("pytorch_model_fsdp_rank0.bin", "pytorch_model_fsdp_rank1.bin"),
        ("layer_00-model_00-model_states.pt", "layer_01-model_00-model_states.pt"),
        ("layer_00-model_states.pt", "layer_01-model_states.pt"),
        ("mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt"),
    ],
)
def test_parts_that_cannot_be_joined_are_explained(tmp_path: Path, names_there: tuple[str, ...]) -> None:
    save(tmp_path / names_there[0], "w")
    assert names(read_folder(str(tmp_path), Reader())) == ["w"]
    save(tmp_path / names_there[1], "v")
    reader = Reader()
    with pytest.raises(SourceError, match=f"{', '.join(names_there)} are .* one model") as caught:
        read_folder(str(tmp_path), reader)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("name one")
    assert reader.opened == []


@pytest.mark.parametrize("mark", ["model_index.json", "modules.json"])
def test_models_in_folders_that_belong_to_it_are_noted(tmp_path: Path, mark: str) -> None:
    save(tmp_path / "model.safetensors", "w")
    save(tmp_path / "2_Dense" / "model.safetensors", "v")
    (tmp_path / "1_Pooling").mkdir()
    assert read_folder(str(tmp_path), Reader()).notes == ()
    (tmp_path / mark).write_text("{}")
    (note,) = read_folder(str(tmp_path), Reader()).notes
    assert note.endswith("in a folder of its own; not read: 2_Dense")


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


def test_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "missing", "nul\0"):
        with pytest.raises(
            SourceError, match=r"the folder cannot be read|no such file or folder|is a file, not a folder"
        ):
            read_folder(str(tmp_path / name), Reader())


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything, so a mode proves nothing
    with pytest.raises(SourceError, match="no permission to read the folder"):
        read_folder(str(tmp_path), Reader())
