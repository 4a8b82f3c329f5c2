"""What is said of a spec without torch is, byte for byte, what is said with it; and torch is not imported for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paraminspect.architecture import sketch
from paraminspect.architecture.torch_version import prints_as_told
from paraminspect.live.build import live_model
from tests.making.running import Result, modules_after, modules_of, run_here

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
RULE = ("--rule", "*weight=normal(std=1/sqrt(fan_in))", "--rule", "*=zeros")

COMMANDS = (
    ("list", "-f", "json", "--all", "--aliases"),
    ("list",),
    ("tree",),
    ("tree", "-f", "json"),
    ("shared", "-f", "json", "--all"),
    ("info", "-f", "json"),
    ("init", "--dry-run", "--allow-unmatched", "-f", "json", *RULE),
    ("check", "-f", "json"),
    ("report", "--no-values"),
)
FORMATS = ("table", "tsv", "csv", "json", "jsonl", "markdown", "names")


@pytest.fixture
def told_by_torch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command that builds the model, once a spec."""
    built: dict[str, Any] = {}
    original = live_model.build_spec

    def build_spec(spec: Any, plan: Any, **options: Any) -> Any:
        if spec.source not in built:
            built[spec.source] = original(spec, plan, **options)
        return built[spec.source]

    def run(*arguments: str) -> Result:
        with monkeypatch.context() as patch:
            patch.setattr(sketch, "sketch_model", lambda plan: None)
            patch.setattr(live_model, "build_spec", build_spec)
            result = run_here(*arguments)
        assert built
        return result

    return run


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_printed_alike(path: Path, told_by_torch: Callable[..., Result]) -> None:
    for command, *options in COMMANDS:
        arguments = (command, str(path), *options)
        assert run_here(*arguments) == told_by_torch(*arguments), arguments


@pytest.mark.parametrize("name", ["mlp", "vit-b16", "siamese"])
def test_every_format_is_printed_alike(name: str, told_by_torch: Callable[..., Result]) -> None:
    path = next(str(path) for path in CONFIGS if path.stem == name)
    for command in (
        ("list",),
        ("list", "--depth", "1"),
        ("list", "--total"),
        ("shared",),
        ("info",),
        ("init", "--dry-run"),
    ):
        for each in FORMATS:
            arguments = (command[0], path, *command[1:], "-f", each)
            assert run_here(*arguments) == told_by_torch(*arguments), arguments


@pytest.mark.parametrize(
    "options", [*COMMANDS, ("rules",), ("diff", "--only", "shapes"), ("tree", "--module", "0")], ids=" ".join
)
def test_a_spec_of_known_layers_needs_no_torch(options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: [{Linear: [4, 3]}, {BatchNorm1d: 3}, ReLU]\ninit: ['*.weight=normal']\n")
    sources = [path, path] if options[0] == "diff" else [path]
    status, modules = modules_after(options[0], *sources, *options[1:])
    assert status == 0
    heavy = {"torch", "safetensors"} if options[0] in ("report", "diff") else {"torch", "numpy", "rich", "safetensors"}
    if options[0] != "tree" or prints_as_told():
        assert not heavy & modules
    assert "yaml" in modules


ALL = """
import os, sys
from paraminspect.cli.app import run
sys.stdout = sys.__stdout__ = open(os.devnull, "w")
for command in {commands!r}:
    assert run(command) == 0, command
os.environ.update(_PARAMINSPECT_COMPLETE="complete_zsh", _PARAMINSPECT_BEFORE={line!r})
assert run([]) == 0
"""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_config_needs_torch(path: Path) -> None:
    asked = [*COMMANDS, ("init", "--dry-run", "--allow-unmatched")]
    asked += [("rules",)] if "\ninit:" in path.read_text(encoding="utf-8") else []
    commands = [[command, str(path), *options] for command, *options in asked if command != "tree" or prints_as_told()]
    modules = modules_of(ALL.format(commands=commands, line=f"paraminspect show {path} "))
    assert {"yaml", "paraminspect.cli.completion.names"} <= modules
    assert not {"torch", "numpy", "safetensors"} & modules


@pytest.mark.parametrize("rule", ["*=normal", "*weight=normal", "*weight=add(1)"])
@pytest.mark.parametrize("name", ["mlp", "shared_linear", "siamese"])
def test_the_same_values_are_written_whoever_told_the_shapes(
    name: str, rule: str, told_by_torch: Callable[..., Result], tmp_path: Path
) -> None:
    path = next(str(path) for path in CONFIGS if path.stem == name)
    line = ("init", path, "--rule", rule, "--force", "-o", str(tmp_path / "out.safetensors"))
    told = run_here(*line)
    written = (tmp_path / "out.safetensors").read_bytes()
    assert told_by_torch(*line) == told
    assert (tmp_path / "out.safetensors").read_bytes() == written


@pytest.mark.parametrize(("rule", "built"), [("*=normal", False), ("*weight=normal", True), ("*=add(1)", True)])
def test_a_model_all_of_whose_values_come_from_rules_is_not_built(
    rule: str, built: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = live_model.build_spec
    monkeypatch.setattr(live_model, "build_spec", lambda *args, **more: calls.append(args) or real(*args, **more))
    path = tmp_path / "spec.yaml"
    path.write_text("model: [{Linear: [4, 3]}, ReLU]\n")
    assert run_here("init", str(path), "--rule", rule, "-o", str(tmp_path / "o.safetensors")).status == 0
    assert len(calls) == built


def test_a_spec_of_30_000_layers_is_told(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("blocks: {B: {layers: [{Linear: [8, 8]}, {LayerNorm: 8}, GELU]}}\nmodel: [{B: [], repeat: 7500}]\n")
    assert run_here("list", str(path), "--total", "-f", "json").stdout.count('"tensors": 30000') == 1
    status, modules = modules_after("list", path)
    assert status == 0
    assert "torch" not in modules


def test_the_probe_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: [{LazyLinear: 3}]\ninput: [2, 4]\n")
    assert "torch" in modules_after("list", path)[1]


def test_values_of_such_a_spec_are_torchs(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: [{Linear: [4, 3]}]\ninit: ['*.weight=ones']\n")
    shown = run_here("show", str(path), "0.weight", "-f", "json")
    assert shown.status == 0
    assert shown.stdout.count("1.0") == 12
