"""What is said of a folder in which no model, or no single one, is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paraminspect.errors import SourceError
from paraminspect.formats import folder_hints
from paraminspect.formats.folder_hints import find_below
from paraminspect.formats.folders import read_folder
from tests.making.folders import Reader, names, save, write_index


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
    assert caught.value.hint == f"transformers:{tmp_path} builds the class that a config.json of transformers names"
    (tmp_path / "config.json").rename(tmp_path / "other.json")
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
    assert (
        caught.value.message
        == "no model file in the folder; it is a pipeline of diffusers, each model in a folder of its own"
    )
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


def test_every_model_is_counted_whatever_its_format(tmp_path: Path) -> None:
    for name in ("base.pt", "tuned.safetensors", "finetuned.safetensors", "training.pt", "optimizer.pt"):
        (tmp_path / name).touch()
    with pytest.raises(
        SourceError, match=r"^4 models in the folder: base.pt, finetuned.safetensors, training.pt, tuned.saf"
    ):
        read_folder(str(tmp_path), Reader())


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (["global_step5/mp_rank_00_model_states.pt", "rng_state_0.pth", "latest"], "a checkpoint of DeepSpeed"),
        (["iter_0000001/mp_rank_00/model_optim_rng.pt", "latest_checkpointed_iteration.txt"], "a run of Megatron-LM"),
        (["lightning_logs/version_0/checkpoints/last.ckpt"], "a run of Lightning"),
        (["checkpoint-500/model.safetensors", "checkpoint-1000/model.safetensors"], "a run of a trainer"),
        (["pytorch_model_fsdp_0/.metadata", "optimizer_0/.metadata", "scheduler.bin"], ""),
        (["models--org--name/snapshots/0a/model.safetensors", "models--org--name/refs/main"], ""),
        (["unet/x.safetensors", "model_index.json"], "a pipeline of diffusers"),
    ],
)
def test_a_folder_of_folders_says_what_it_is_and_where_the_models_are(
    tmp_path: Path, there: list[str], what: str
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(SourceError) as caught:
        read_folder(str(tmp_path), Reader())
    assert caught.value.message.startswith("no model file in the folder")
    assert (f"; it is {what}" in caught.value.message) == bool(what)
    folders = [
        os.path.dirname(name) for name in there if "/" in name and not name.startswith("optim") and "refs" not in name
    ]
    assert caught.value.hint == "models are in " + ", ".join(str(tmp_path / folder) for folder in folders)


def test_a_hint_looks_into_so_many_folders_and_no_deeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a" / "b" / "c" / "d" / "model.safetensors", "w")
    with pytest.raises(SourceError) as caught:
        read_folder(str(tmp_path), Reader())
    assert caught.value.hint is None
    assert find_below(str(tmp_path / "a"), ["b"]) == ["b/c/d"]
    monkeypatch.setattr(folder_hints, "MAX_SEARCHED", 2)
    assert find_below(str(tmp_path / "a"), ["b"]) == []
