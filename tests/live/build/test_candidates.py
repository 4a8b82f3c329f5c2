"""What in a file can be meant as a model is told without running it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from paraminspect.live.build.candidates import find_candidates, find_module_file
from tests.making.running import run_here

CODE = """
raise SystemExit("it was run")
import torch
from torch import nn
from torch.utils.data import Dataset

class Data(Dataset): pass
class Net(nn.Module):
    def __init__(self, width, depth=2): super().__init__()
class Small(Net):
    def __init__(self): super().__init__(2)
class Same(Net): pass
class _Hidden(nn.Module): pass
class Loop(Loop): pass

def make(): return Small()
def wide(width, *, depth, act="relu") -> nn.Module: return build(width)
def later():
    if True:
        model = nn.Sequential(nn.Linear(2, 2))
        model.eval()
    return model
def train(data): return 3
def inner():
    def make(): return Small()
    return 1
def _private(): return Small()
def relu(x): return nn.functional.relu(x)

net = Small()
other: nn.Module = nn.Linear(2, 2)
_cache = nn.Linear(2, 2)
size = int(3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("raise SystemExit('it was run')\n")
    (tmp_path / "pkg" / "model.py").write_text(CODE)
    (tmp_path / "plain.py").write_text("def main(): pass\ndef run(x): pass\n")
    return tmp_path


def test_what_makes_a_model(folder: Path) -> None:
    assert [each.text() for each in find_candidates("pkg/model.py")] == [
        "make", "later", "net", "other", "Small",
        "wide --arg width=.. --arg depth=..", "Net --arg width=..", "Same --arg width=..",
    ]  # fmt: skip
    assert [each.text() for each in find_candidates("plain.py")] == ["main", "run --arg x=.."]
    assert find_candidates("missing.py") == []


@pytest.mark.parametrize("source", ["pkg.model", "pkg/model.py"])
@pytest.mark.parametrize("words", [["list"], []])
def test_a_module_alone(folder: Path, source: str, words: list[str]) -> None:
    done = run_here(*words, source)
    assert (done.status, done.stdout) == (2, "")
    assert f"{source} is Python; which function or class makes the model?" in done.stderr
    assert (
        f"hint: write {source}:make; it also has later, net, other, Small, wide --arg width=.. --arg depth=.."
        in done.stderr
    )


def test_a_call(folder: Path) -> None:
    for source in ("plain.py:main(x=3)", "plain:main()"):
        done = run_here("list", source)
        assert "arguments are given by --arg" in done.stderr
        assert f"hint: {source.partition('(')[0]} --arg NAME=VALUE" in done.stderr


def test_modules_are_found_without_being_run(folder: Path) -> None:
    assert find_module_file("pkg.model") == str(folder / "pkg" / "model.py")
    assert find_module_file("plain") == str(folder / "plain.py")
    assert find_module_file("torch") is None  # none of the working directory
    assert Path(find_module_file("email.mime.text") or "").name == "text.py"
    assert "email.mime.text" not in sys.modules or find_module_file("email.mime.nothing") is None
    for name in ("pkg.nothing", "model.pt", "a..b", "1.2", "weights.bin"):
        assert find_module_file(name) is None


@pytest.mark.parametrize("name", ["missing.safetensors", "pkg.nothing", "nothing"])
def test_what_is_no_module_is_a_file_that_is_not_there(folder: Path, name: str) -> None:
    assert "no such file" in run_here("list", name).stderr
