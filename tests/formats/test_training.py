"""What checkpoints say of their training, as those write them who are named."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from paraminspect.formats.source import open_source
from paraminspect.formats.training import find_training
from paraminspect.summaries import Training

HONEST = Path(__file__).parents[1] / "honest"


def save(value: object, path: Path, **how: Any) -> Training | None:
    torch.save(value, path, **how)
    return find_training(open_source(path).root)


def optimizer(lr: float = 3e-4, *more: float) -> dict[str, Any]:
    """State of one that has taken a step."""
    model = nn.ModuleList([nn.Linear(2, 2) for _ in (lr, *more)])
    groups = [{"params": list(each.parameters()), "lr": rate} for each, rate in zip(model, (lr, *more), strict=True)]
    adam = torch.optim.AdamW(groups)
    sum(each(torch.ones(2)).sum() for each in model).backward()  # type: ignore[union-attr]
    adam.step()
    return adam.state_dict()


@pytest.mark.parametrize(
    ("checkpoint", "epoch", "step"),
    [
        pytest.param({"iter_num": 2000, "optimizer": optimizer()}, None, 2000, id="nanoGPT"),
        pytest.param({"epoch": 12, "optimizer": optimizer()}, 12, None, id="timm"),
        pytest.param({"optimizer": optimizer(), "epochs_run": 2, "steps_run": 500}, 2, 500, id="torchtune"),
        pytest.param(
            {
                "optimizer_history": [{"num_updates": 10}, {"num_updates": 34_500}],
                "extra_state": {"train_iterator": {"epoch": 7}},
                "last_optimizer_state": optimizer(),
            },
            7,
            34_500,
            id="fairseq",
        ),
        pytest.param({"meta": {"epoch": 3, "iter": 90}, "optimizer": optimizer()}, 3, 90, id="mmengine"),
        pytest.param({"iteration": 5, "optimizer": optimizer()}, None, 5, id="detectron2"),
        pytest.param({"global_steps": 8, "optimizer": optimizer()}, None, 8, id="DeepSpeed"),
        pytest.param({"opt": {"state": [], "hypers": [{"lr": 3e-4}]}}, None, None, id="fastai"),
        pytest.param({"optimizer_states": [optimizer()], "epoch": 1, "global_step": 9}, 1, 9, id="lightning"),
        pytest.param({"optim": {"generator": optimizer()}, "step": 4}, None, 4, id="several"),
    ],
)
def test_how_far_it_came(checkpoint: dict[str, Any], epoch: int, step: int, tmp_path: Path) -> None:
    training = save({"model": {"w": torch.ones(2)}, **checkpoint}, tmp_path / "x.pt")
    assert training is not None
    assert (training.epoch, training.step, training.learning_rate) == (epoch, step, 3e-4)


def test_learning_rates_of_groups(tmp_path: Path) -> None:
    training = save({"optimizer": optimizer(1e-3, 1e-4, 1e-3)}, tmp_path / "x.pt")
    assert training is not None
    assert (training.learning_rate, training.learning_rates) == (1e-3, (1e-3, 1e-4))


def test_learning_rate_of_a_scheduler_alone(tmp_path: Path) -> None:
    training = save({"scheduler": {"last_epoch": 3, "_last_lr": [2e-5]}}, tmp_path / "x.pt")
    assert training is not None
    assert training.learning_rate == 2e-5


def test_arguments_stand_under_their_key(tmp_path: Path) -> None:
    training = save(
        {
            "args": argparse.Namespace(lr=0.1, mean=(0.5, 0.5)),
            "config": {"dtype": "bfloat16"},
            "cfg": None,
            "opt": {"epochs": 300},  # of YOLOv5, no optimizer
            "arch": "resnet50",
            "optim": "adamw",  # a word, no state
            "loss": 2.5,
            "best_acc": 0.75,
            "state_dict": {"w": torch.ones(2)},
            "rng_state": torch.zeros(2, dtype=torch.uint8),
            "history": [torch.ones(2)],
        },
        tmp_path / "x.pt",
    )
    assert training is not None
    assert training.arguments == {
        "args": {"lr": 0.1, "mean": [0.5, 0.5]},
        "config": {"dtype": "bfloat16"},
        "opt": {"epochs": 300},
    }
    assert training.state == {"cfg": None, "arch": "resnet50", "optim": "adamw", "loss": 2.5, "best_acc": 0.75}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_legacy_file_says_the_same(zipped: bool, tmp_path: Path) -> None:
    training = save({"epoch": 3, "model": {}}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert training == Training(epoch=3)


@pytest.mark.parametrize("value", [{"w": torch.ones(2)}, nn.Linear(2, 2), torch.ones(2), [torch.ones(2)]], ids=type)
def test_what_is_no_training_checkpoint(value: object, tmp_path: Path) -> None:
    assert save(value, tmp_path / "x.pt") is None


def test_arrays_are_no_state(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": np.ones(3), "stats": {"mean": np.ones(2), "n": 3}, "step": 7}))
    training = find_training(open_source(tmp_path / "x.pkl").root)
    assert training == Training(step=7)


def test_arguments_that_were_saved_alone() -> None:
    training = find_training(open_source(HONEST / "transformers" / "training_args.bin").root)
    assert training is not None
    given = training.arguments["TrainingArguments"]
    assert isinstance(given, dict)
    assert (given["max_steps"], given["optim"]) == (1, "adamw_torch_fused")


def test_what_is_no_number_is_no_epoch(tmp_path: Path) -> None:
    training = save({"epoch": "last", "step": True}, tmp_path / "x.pt")
    assert training is not None
    assert (training.epoch, training.step) == (None, None)
    assert training.state == {"epoch": "last", "step": True}


def test_lightning_itself() -> None:
    training = find_training(open_source(HONEST / "lightning" / "last.ckpt").root)
    whole = torch.load(HONEST / "lightning" / "last.ckpt", weights_only=False, map_location="cpu")
    assert training is not None
    assert training.framework == f"Lightning {whole['pytorch-lightning_version']}"
    assert (training.epoch, training.step) == (whole["epoch"], whole["global_step"])
    assert training.learning_rate == whole["optimizer_states"][0]["param_groups"][0]["lr"]
    assert training.arguments["hyper_parameters"] == dict(whole["hyper_parameters"])


def test_timm_itself() -> None:
    training = find_training(open_source(HONEST / "timm" / "last.pth.tar").root)
    whole = torch.load(HONEST / "timm" / "last.pth.tar", weights_only=False, map_location="cpu")
    assert training is not None
    assert (training.epoch, training.state["arch"]) == (whole["epoch"], whole["arch"])
    assert training.arguments["args"] == vars(whole["args"])
