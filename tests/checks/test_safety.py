"""Safety in one line, held against what `check` finds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import paraminspect as pi
from paraminspect.checks.codes import CODES as KNOWN
from paraminspect.checks.safety import CODES, LOOK

HONEST = Path(__file__).parents[1] / "honest"


class Runs:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("id",)


class Own:
    """A class of nobody's."""


def test_codes_are_those_of_check() -> None:
    assert KNOWN.keys() >= CODES


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("safetensors/plain.safetensors", "no code: safetensors"),
        ("gguf/tiny.gguf", "no code: gguf"),
        ("onnx/graph.onnx", "no code: onnx"),
        ("torch/state.pt", "pickle, nothing unknown"),
        ("torch/state-legacy.pt", "pickle, nothing unknown"),
        ("torch/state-protocol-4.pkl", "pickle, nothing unknown"),
        ("torch/script.pt", "pickle, nothing unknown"),
        ("torch/dcp", "pickle, nothing unknown"),
        ("lightning/last.ckpt", "pickle, nothing unknown"),
    ],
)
def test_honest_files(name: str, line: str) -> None:
    told = pi.info(HONEST / name)
    assert (told.safety, told.severity) == (line, None)


def test_a_call(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "x": Runs()}, tmp_path / "x.pt")
    told = pi.info(tmp_path / "x.pt")
    assert told.safety == f"pickle: calls {os.system.__module__}.system('id') — {LOOK}"
    assert told.severity == "danger"


def test_the_worst_and_how_many_more(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "a": Own(), "x": Runs(), "y": [Runs()]}, tmp_path / "x.pt")
    told = pi.info(tmp_path / "x.pt")
    assert told.safety.startswith("pickle: calls ")
    torch.save({"w": torch.ones(2), "a": Own()}, tmp_path / "x.pt")
    told = pi.info(tmp_path / "x.pt")
    assert told.safety == f"pickle: rebuilds {Own.__module__}.Own, not torch's own — {LOOK}"
    assert told.severity == "warning"


def test_a_pickle_beside_a_model(tmp_path: Path) -> None:
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "model.safetensors")
    shutil.copy(HONEST / "torch" / "state.pt", tmp_path / "optimizer.pt")
    assert pi.info(tmp_path).safety == "no code: safetensors"
    torch.save({"x": Runs()}, tmp_path / "training_args.bin")
    told = pi.info(tmp_path)
    assert told.safety == (
        f"no code: safetensors; beside it training_args.bin calls {os.system.__module__}.system('id') — {LOOK}"
    )
    assert told.severity == "danger"


def test_what_runs_is_said_of_a_model_of_code(tmp_path: Path) -> None:
    (tmp_path / "build.py").write_text("import torch\ndef make():\n    return torch.nn.Linear(2, 2)\n")
    (tmp_path / "spec.yaml").write_text("model: [{Linear: [2, 2]}]\n")
    assert pi.info(f"{tmp_path / 'build.py'}:make").safety == "runs the factory's code"
    assert pi.info(tmp_path / "spec.yaml").safety == "no code: spec"
    assert pi.info(torch.nn.Linear(2, 2)).safety == "a model in memory"
