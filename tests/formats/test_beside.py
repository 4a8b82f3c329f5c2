"""Files beside a model that tell of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from paraminspect.formats.beside import Beside, read_beside
from paraminspect.formats.companions import find_folder
from paraminspect.formats.source import open_source

HONEST = Path(__file__).parents[1] / "honest"


def beside_of(source: str | Path) -> Beside:
    folder = find_folder(open_source(source))
    assert folder is not None
    return read_beside(folder)


def test_the_folder_of_a_trainer(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "trainer_state.json", "training_args.bin", "scheduler.pt"):
        shutil.copy(HONEST / "transformers" / name, tmp_path)
    beside = beside_of(tmp_path)
    state = json.loads((tmp_path / "trainer_state.json").read_text())
    scheduler = torch.load(tmp_path / "scheduler.pt", weights_only=False)
    assert beside.training is not None
    assert (beside.training.epoch, beside.training.step) == (state["epoch"], state["global_step"])
    assert beside.training.learning_rate == scheduler["_last_lr"][0]
    given = beside.training.arguments["training_args"]
    assert isinstance(given, dict)
    assert given["max_steps"] == state["max_steps"]
    assert beside.model["model_type"] == json.loads((tmp_path / "config.json").read_text())["model_type"]
    assert beside.notes == ()


def test_the_folder_of_accelerate(tmp_path: Path) -> None:
    shutil.copytree(HONEST / "accelerate" / "state", tmp_path / "state")
    for pickle in (tmp_path / "state").glob("scheduler*"):
        pickle.unlink()
    beside = beside_of(tmp_path / "state")
    optimizer = torch.load(next((tmp_path / "state").glob("optimizer*")), weights_only=False)
    assert beside.training is not None
    assert beside.training.learning_rates == tuple({group["lr"] for group in optimizer["param_groups"]})


@pytest.mark.parametrize("name", ["config.json", "trainer_state.json", "training_args.bin"])
def test_what_cannot_be_read_is_a_remark(name: str, tmp_path: Path) -> None:
    shutil.copy(HONEST / "safetensors" / "plain.safetensors", tmp_path / "model.safetensors")
    (tmp_path / name).write_bytes(b"{]")
    beside = beside_of(tmp_path)
    assert beside.training is None
    assert beside.model == {}
    (note,) = beside.notes
    assert note.startswith(f"{name} beside the model is not read: ")


def test_a_file_speaks_for_itself(tmp_path: Path) -> None:
    shutil.copy(HONEST / "safetensors" / "plain.safetensors", tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert find_folder(open_source(tmp_path / "model.safetensors")) is None
    assert beside_of(tmp_path).model == {"model_type": "gpt2"}


def test_an_index_that_is_named_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(HONEST / "safetensors" / "plain.safetensors", tmp_path / "model.safetensors")
    names = [record.name for record in open_source(tmp_path / "model.safetensors").tensors]
    index = {"weight_map": dict.fromkeys(names, "model.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    monkeypatch.chdir(tmp_path)
    assert beside_of("model.safetensors.index.json").model == {"model_type": "gpt2"}
