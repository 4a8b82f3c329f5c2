"""Where torch is wanted and is not there, or does not start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paraminspect.architecture.torch_version import TABLE
from paraminspect.live.torch_missing import INSTALL, explain_missing
from tests.making.newer_torch import since
from tests.making.running import Result, run_apart

NEEDY = [
    ["list", "built.yaml"],
    ["show", "net.yaml", "0.bias"],
    ["grad", "net.yaml"],
    ["cost", "net.py:make"],
    ["info", "transformers:net"],
    ["report", "net.yaml", "-o", "net.html"],
    ["diff", "net.npz", "net.yaml"],
    ["init", "net.npz", "--rule", "*=ones"],
    ["rules", "--rules-file", "net.py"],
]
"""One of each kind of source and of work that takes torch."""

FAULTS = {
    "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')": "is not installed",
    "raise OSError('libcudart.so.12: cannot open shared object file\\nand more')": (
        "cannot be imported: libcudart.so.12: cannot open shared object file"
    ),
    "import torch_of_another_python": "cannot be imported: No module named 'torch_of_another_python'",
}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose `torch` fails."""
    (tmp_path / "net.yaml").write_text("model: [{Linear: [2, 2]}]\ninit: ['*=ones']\n")
    (tmp_path / "built.yaml").write_text("model: [{Transformer: {d_model: 4, nhead: 2, dim_feedforward: 4}}]\n")
    (tmp_path / "net.py").write_text("import torch\ndef make(): return torch.nn.Linear(2, 2)\n")
    np.savez(tmp_path / "net.npz", a=np.ones(2))
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "config.json").write_text('{"architectures": ["GPT2Model"], "model_type": "gpt2"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_bare(bare: Path, *words: str, fault: str = next(iter(FAULTS))) -> Result:
    (bare / "without").mkdir(exist_ok=True)
    (bare / "without" / "torch.py").write_text(fault)
    return run_apart(*words, PYTHONPATH=f"{bare / 'without'}:{Path(__file__).parents[2] / 'src'}")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("words", NEEDY, ids=lambda words: words[0])
def test_one_line_says_so_and_the_next_how_to_get_it(words: list[str], fault: str, bare: Path) -> None:
    done = run_bare(bare, *words, fault=fault)
    assert done.status == 2
    assert done.stdout == ""
    line, rest = done.stderr.split("\n", 1)
    assert line.startswith("error: ")
    assert line.endswith(f"this takes torch, which {FAULTS[fault]}")
    assert rest == f"\nhint: {INSTALL}\n"


@pytest.mark.parametrize(
    "words",
    [["list", "net.npz"], ["stats", "net.npz"], ["check", "net.npz"], ["report", "net.npz", "-o", "net.html"], ["-h"],
     ["convert", "net.npz", "-o", "net.pt"], ["rules"], ["rules", "net.yaml"], ["help", "specs"],
     ["--show-completion", "zsh"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_what_needs_none_works(words: list[str], bare: Path) -> None:
    done = run_bare(bare, *words, fault="raise AssertionError('torch was imported')")
    assert (done.status, "torch was imported" in done.stderr) == (0, False)


PROGRAM = """
import sys
sys.modules["torch"] = None
import paraminspect as p
for take in (p.open, p.backward, p.cost, lambda source: p.plan_init("net.npz", ["*=ones"])):
    try:
        take("net.yaml")
    except p.ParamInspectError as error:
        print(error)
"""


def test_a_program_is_told_too(bare: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=bare, capture_output=True, text=True, check=True)
    line = "this takes torch, which is not installed"
    assert done.stdout.splitlines() == [f"net.yaml: {line}"] * 3 + [line]


def test_other_errors_are_not_taken_for_it() -> None:
    assert explain_missing(None) is None
    for error in (ModuleNotFoundError("x", name="torchvision"), OSError("disk full"), ValueError("torch")):
        assert explain_missing(error) is None


@pytest.mark.parametrize("command", ["list", pytest.param("tree", marks=since(TABLE)), "shared", "info", "rules"])
def test_layers_that_are_known_are_told_all_the_same(command: str, bare: Path) -> None:
    done = run_bare(bare, command, "net.yaml")
    assert done.status == 0, done.stderr
    assert bool(done.stdout) == (command != "shared")  # nothing is tied
