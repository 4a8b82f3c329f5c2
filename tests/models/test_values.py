"""Every command that asks for values sees the same ones: those that `convert` writes, whatever the source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from paraminspect.live.grad import run as running
from tests.making.running import run_here

Values = dict[str, list[float]]

LAYERS = "model: [{Linear: [3, 2]}, {Linear: [2, 2]}]\ninput: [1, 3]\n"
RULES = "['*.weight=normal(std=3)', '*.bias=uniform(5, 6)']"
FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
"""

SOURCES = {
    "list": "list.yaml",
    "default": "sets.yaml",
    "named": "sets.yaml",
    "factory": "build.py:make",
    "checkpoint": "stored.safetensors",
}
OPTIONS = {"named": ["--rule", "small"]}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.yaml").write_text(f"{LAYERS}init: {RULES}\n")
    Path("sets.yaml").write_text(f"{LAYERS}init: {{default: {RULES}, small: ['*=normal(std=0.1)']}}\n")
    Path("build.py").write_text(FACTORY)
    names = {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (2, 2), "1.bias": (2,)}
    save_file({name: torch.randn(shape) for name, shape in names.items()}, "stored.safetensors")


def answer(*line: str, status: int = 0) -> str:
    done = run_here(*line)
    assert (done.status, "error" in done.stderr) == (status, False), done.stderr
    return done.stdout


def means(values: dict[str, torch.Tensor]) -> Any:
    return {name: pytest.approx(float(tensor.double().mean()), rel=1e-6) for name, tensor in values.items()}


def shown(source: str, options: list[str]) -> bool:
    rows = json.loads(answer("show", source, "*", "-f", "json", *options))["tensors"]
    return all(torch.equal(torch.tensor(row["values"]), expected()[row["name"]]) for row in rows) and len(rows) == 4


def expected() -> dict[str, torch.Tensor]:
    return load_file("expected.safetensors")


def counted(source: str, options: list[str]) -> bool:
    rows = json.loads(answer("stats", source, "-f", "json", *options))["tensors"]
    return {row["name"]: row["mean"] for row in rows} == means(expected())


def compared(source: str, options: list[str]) -> bool:
    return answer("diff", source, "expected.safetensors", *options) == ""


def found_equal(source: str, options: list[str]) -> bool:
    done = run_here("shared", source, "expected.safetensors", "--equal", *options)
    return "4 of 4 tensors of expected.safetensors are byte-identical" in done.stderr


def initialised(source: str, options: list[str]) -> bool:
    rules = [] if source.endswith("yaml") else ["--rule", "*=keep"]
    answer("init", source, "-o", "init.safetensors", *rules, *options)
    return run_here("diff", "init.safetensors", "expected.safetensors").status == 0


COMMANDS: dict[str, Callable[[str, list[str]], bool]] = {
    "show": shown,
    "stats": counted,
    "diff": compared,
    "shared": found_equal,
    "init": initialised,
}


CASES = [(name, False) for name in SOURCES] + [(name, True) for name in ("list", "default", "factory")]
"""A checkpoint has no rules to leave out, and --rule NAME asks for some."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "no_init"), CASES)
def test_all_commands_see_the_same_values(name: str, command: str, *, no_init: bool) -> None:
    source, options = SOURCES[name], list(OPTIONS.get(name, []))
    options += ["--no-init"] if no_init else []
    answer("convert", source, "-o", "expected.safetensors", *options)
    mean = float(expected()["0.bias"].mean())
    assert (mean > 4) == (name in ("list", "default") and not no_init)
    assert COMMANDS[command](source, options)


@pytest.mark.parametrize("name", ["list", "default", "named", "factory"])
@pytest.mark.parametrize("no_init", [False, True], ids=["rules", "no-init"])
def test_gradients_are_taken_of_the_same_values(name: str, monkeypatch: pytest.MonkeyPatch, *, no_init: bool) -> None:
    options = [*OPTIONS.get(name, []), *(["--no-init"] if no_init else [])]
    answer("convert", SOURCES[name], "-o", "expected.safetensors", *options)
    seen: dict[str, torch.Tensor] = {}
    real = running.backward_report

    def watch(model: torch.nn.Module, *given: Any, **more: Any) -> Any:
        seen.update({key: value.detach().clone() for key, value in model.state_dict().items()})
        return real(model, *given, **more)

    monkeypatch.setattr(running, "backward_report", watch)
    answer("grad", SOURCES[name], *options, *(["-i", "1,3"] if name == "factory" else []))
    assert {key: value.tolist() for key, value in seen.items()} == {
        key: value.tolist() for key, value in expected().items()
    }


def test_findings_are_of_the_same_values() -> None:
    Path("spec.yaml").write_text(f"{LAYERS}init: ['1.weight=constant(3)']\n")
    assert answer("check", "--deep", "spec.yaml", "-c", "code,name") == "constant\t1.weight\n"
    assert answer("check", "--deep", "spec.yaml", "-c", "code,name", "--no-init") == ""


def test_weights_are_not_initialised_anew_but_what_they_leave_out_is() -> None:
    save_file({"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2), "1.weight": torch.ones(2, 2)}, "w.safetensors")
    loaded = ["list.yaml", "--weights", "w.safetensors", "--allow-mismatch"]
    answer("convert", *loaded, "-o", "out.safetensors")
    values = load_file("out.safetensors")
    assert all(torch.equal(values[name], tensor) for name, tensor in load_file("w.safetensors").items())
    assert values["1.bias"].min() >= 5  # as its rule says
    answer("convert", *loaded, "--rule", "0.bias=constant(7)", "-o", "out.safetensors", "--force")
    assert load_file("out.safetensors")["0.bias"].tolist() == [7, 7]
    assert torch.equal(load_file("out.safetensors")["0.weight"], torch.ones(2, 3))
