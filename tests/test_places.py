"""`docs/places.md`: what it says to paste is pasted, where the programs and packages are there."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "places.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str) -> list[str]:
    """The fenced blocks below a heading."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    layers = {f"{number}.weight": np.ones(2, "f4") for number in range(120)}
    torch.save({name: torch.tensor(each) for name, each in layers.items()}, tmp_path / "old.pt")
    tied = {name: torch.tensor(each) for name, each in layers.items()} | {"0.weight": torch.zeros(2)}
    torch.save({**tied, "head": tied["1.weight"]}, tmp_path / "model.pt")
    shutil.copy(tmp_path / "model.pt", tmp_path / "new.pt")
    save_file(layers, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_blocks(codes: list[str], **names: Any) -> dict[str, Any]:
    names = {"pi": importlib.import_module("paraminspect"), **names}
    for code in codes:
        exec(code, names)
    return names


def test_the_entry_for_the_catalogue_of_schemas() -> None:
    settings, entry = map(json.loads, blocks("Editors", "json"))
    assert entry.keys() == {"name", "description", "fileMatch", "url"}
    assert entry["url"].endswith("/src/paraminspect/architecture/schema.json")
    assert set(entry["fileMatch"]) & set(settings["yaml.schemas"]["/PATH/schema.json"])


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("less") is None, reason="there is no less here")
def test_less_shows_a_model(folder: Path) -> None:
    (script,) = blocks("Pagers and file managers", "sh")
    (folder / ".lessfilter").write_text(script)
    (folder / ".lessfilter").chmod(0o755)
    (folder / "plain.txt").write_text("as it is\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "HOME": str(folder), "PATH": path, "LESSOPEN": "|~/.lessfilter %s", "LC_ALL": "C.UTF-8"}
    seen = [
        subprocess.run(["less", name], env=environ, capture_output=True, text=True, check=True).stdout
        for name in ("model.safetensors", "plain.txt")
    ]
    assert "120 tensors, 240 parameters" in seen[0]
    assert seen[1] == "as it is\n"


@pytest.mark.extra
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(folder: Path, library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    names = run_blocks([code for code in blocks("Data frames", "python") if f"import {library}" in code])
    if library == "pandas":
        assert list(names["pd"].DataFrame(names["pi"].diff("old.pt", "new.pt").changes)["change"]) == [
            "values",
            "added",
        ]
    else:
        rows = names["pi"].open("model.pt").select(aliases=True).to_dicts()
        frame = names["pl"].DataFrame(rows, infer_schema_length=None)
        assert frame["tied_to"].drop_nulls().to_list() == ["1.weight"]


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracker", ["TensorBoard", "Weights & Biases", "MLflow"])
def test_trackers(folder: Path, tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = blocks("TensorBoard, Weights & Biases, MLflow", "python")
    (code,) = [each for each in others if tracker in each]
    net = torch.nn.Linear(2, 1)
    norm = net.weight.norm().item()
    if tracker == "TensorBoard":
        pytest.importorskip("tensorboard", reason="tensorboard is not installed")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter("runs") as writer:
            run_blocks([first, code], net=net, step=3, writer=writer)
        kept = EventAccumulator("runs")
        kept.Reload()
        assert kept.Scalars("norm/weight")[0].value == pytest.approx(norm)
    elif tracker == "MLflow":
        mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
        pytest.importorskip("sqlalchemy", reason="mlflow has no store here")
        mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
        with mlflow.start_run() as run:
            run_blocks([first, code], net=net, step=3, mlflow=mlflow)
        assert mlflow.get_run(run.info.run_id).data.metrics["norm/weight"] == pytest.approx(norm)
    else:
        wandb = pytest.importorskip("wandb", reason="wandb is not installed")
        monkeypatch.setenv("WANDB_SILENT", "true")
        with wandb.init(project="p", mode="offline", dir=str(folder)) as run:
            run_blocks([first, code], net=net, step=3, wandb=wandb, run=run)
        assert list(folder.glob("wandb/offline-run-*/*.wandb"))
