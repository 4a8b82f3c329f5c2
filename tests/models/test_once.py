"""Each file of a run is parsed once, and a spec planned and described once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from paraminspect.architecture.torch_version import prints_as_told
from tests.making.running import run_here

SPEC = "vars: {n: 2}\nmodel: [{Linear: [$n, 2]}]\ninput: [1, $n]\ninit: ['*=normal']\n"
CONFIG = "vars: {s: 2}\ninit: {wide: ['*=normal(std=s)']}\n"
OWN = "def halves(tensor): return tensor.fill_(0.5)\n"

COUNTED = {
    "paraminspect.architecture.parse:parse_spec": "spec",
    "paraminspect.architecture.parse:parse_rule_sets": "config",
    "paraminspect.architecture.yaml_marks:parse_yaml": "yaml",
    "paraminspect.architecture.expand:plan_model": "plan",
    "paraminspect.live.build.describe:describe_model": "described",
    "paraminspect.architecture.sketch:sketch_records": "described",
    "paraminspect.live.init.functions:load_functions": "own",
    "paraminspect.formats.sniff:read_blob": "file",
}
"""Functions by module and name, and what they are called here."""

RULES = ["--config", "c.yaml", "--rule", "wide", "--rules-file", "own.py", "-D", "n=3", "-D", "s=4"]
LIVE: dict[str, tuple[list[str], bool]] = {
    "list": (["list", "spec.yaml"], False),
    "tree": (["tree", "spec.yaml"], False),
    "show": (["show", "spec.yaml", "*"], True),
    "stats": (["stats", "spec.yaml"], True),
    "shared": (["shared", "spec.yaml", "--equal"], True),
    "diff": (["diff", "spec.yaml", "w.safetensors"], True),
    "check": (["check", "--deep", "spec.yaml"], True),
    "convert": (["convert", "spec.yaml", "-o", "out.safetensors"], True),
    "init": (["init", "spec.yaml", "-o", "out.safetensors"], True),
    "grad": (["grad", "spec.yaml"], True),
}
STORED = ["list", "tree", "show", "stats", "shared", "check", "convert"]


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    Path("c.yaml").write_text(CONFIG)
    Path("own.py").write_text(OWN)
    save_file({"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2)}, "w.safetensors")
    names = {}
    for place, word in COUNTED.items():
        module, name = place.split(":")
        names[getattr(import_module(module), name).__code__] = word
    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (word := names.get(frame.f_code)) is not None:
            found[word] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    yield found
    sys.setprofile(before)


@pytest.mark.parametrize("command", LIVE)
def test_a_spec_and_all_that_belongs_to_it(counts: Counter[str], command: str) -> None:
    line, has_rules = LIVE[command]
    done = run_here(*line, *(RULES if has_rules else ["-D", "n=3"]))
    assert "error" not in done.stderr
    expected = {"spec": 1, "yaml": 1, "plan": 1, "described": 1}
    if command == "tree" and not prints_as_told():
        expected["described"] = 2  # by the table, and by a torch that prints otherwise
    if has_rules:
        expected |= {"config": 1, "yaml": 2, "own": 1}
    if command == "diff":
        expected["file"] = 1
    assert counts == expected


@pytest.mark.parametrize("command", STORED)
def test_a_checkpoint(counts: Counter[str], command: str) -> None:
    line = [word.replace("spec.yaml", "w.safetensors") for word in LIVE[command][0]]
    assert run_here(*line).status == 0
    assert counts == {"file": 1}


def test_weights(counts: Counter[str]) -> None:
    assert run_here("stats", "spec.yaml", "-D", "n=3", "--weights", "w.safetensors").status == 0
    assert counts == {"spec": 1, "yaml": 1, "plan": 1, "described": 1, "file": 1}


def test_a_spec_that_changes_meanwhile_is_built_as_it_was_checked(
    counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from paraminspect.architecture import parse

    real = parse.parse_spec

    def change(*given: Any, **more: Any) -> Any:
        Path("spec.yaml").write_text("model: [{Linear: [7, 7]}]\n")
        return real(*given, **more)

    monkeypatch.setattr(parse, "parse_spec", change)
    assert run_here("list", "spec.yaml", "-c", "shape").stdout == "[2,2]\n[2]\n"
