"""Files beside a model that tell of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from paraminspect.formats.beside import read_beside
from paraminspect.formats.source import open_source

HONEST = Path(__file__).parents[1] / "honest"


def test_the_folder_of_a_trainer(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "trainer_state.json", "training_args.bin", "scheduler.pt"):
        shutil.copy(HONEST / "transformers" / name, tmp_path)
    beside = read_beside(open_source(tmp_path))
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
    beside = read_beside(open_source(tmp_path / "state"))
    optimizer = torch.load(next((tmp_path / "state").glob("optimizer*")), weights_only=False)
    assert beside.training is not None
    assert beside.training.learning_rates == tuple({group["lr"] for group in optimizer["param_groups"]})


@pytest.mark.parametrize("name", ["config.json", "trainer_state.json", "training_args.bin"])
def test_what_cannot_be_read_is_a_remark(name: str, tmp_path: Path) -> None:
    shutil.copy(HONEST / "safetensors" / "plain.safetensors", tmp_path / "model.safetensors")
    (tmp_path / name).write_bytes(b"{]")
    beside = read_beside(open_source(tmp_path))
    assert beside.training is None
    assert beside.model == {}
    (note,) = beside.notes
    assert note.startswith(f"{name} beside the model is not read: ")


def test_a_file_speaks_for_itself(tmp_path: Path) -> None:
    shutil.copy(HONEST / "safetensors" / "plain.safetensors", tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert read_beside(open_source(tmp_path / "model.safetensors")).model == {}
    assert read_beside(open_source(tmp_path)).model == {"model_type": "gpt2"}
