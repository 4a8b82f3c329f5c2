"""What `--input` and `--input-file` say, in every command that takes them: what arrives in the model's forward."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.making.running import run_here

ECHO = '''
import torch
from torch import nn

def tell(value):
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype)[6:]}{list(value.shape)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {tell(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + "(" + ", ".join(map(tell, value)) + ")"
    return repr(value)

class Echo(nn.Module):
    """Says what it is called with."""
    def __init__(self):
        super().__init__()
        self.lazy = nn.LazyLinear(2)
    def forward(self, *args, **kwargs):
        print("got", *map(tell, args), *[f"{name}={tell(each)}" for name, each in kwargs.items()])
        device = next((p.device for p in self.parameters()), "cpu")
        return self.lazy(torch.ones(1, 3, device=device)).sum()

class Strict(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
    def forward(self, input_ids, mask=None):
        return super().forward(input_ids)

def one(): return torch.ones(2, 3)
def args(): return torch.ones(1), "two"
def named(): return {"x": [torch.ones(1)], "mode": "loss"}
def nothing(): pass
def fails(): raise ValueError("no data")
def numbered(step): return {"step": step}
ready = {"x": torch.zeros(5)}
'''

KINDS = {
    "sizes": (["-i", "2,4"], "float32[2, 4]"),
    "scalar": (["-i", "[]"], "float32[]"),
    "mapping": (["-i", "{shape: [3], dtype: int64, high: 9}"], "int64[3]"),
    "filled": (["-i", "{shape: [], fill: 2}"], "float32[]"),
    "array": (["-i", "x.npy"], "float32[2, 3]"),
    "named": (["-i", "x=2", "-i", "3"], "float32[3] x=float32[2]"),
    "names of a file": (["-i", "two.safetensors"], "batch={ids: int64[3]} mask=float32[3]"),
    "one of a file": (["-i", "mask=two.safetensors"], "mask=float32[3]"),
    "dictionary": (["-i", "b.ids=2", "-i", "b.mode=!x"], "b={ids: float32[2], mode: 'x'}"),
    "list": (["-i", "images.1=2", "-i", "images.0=3"], "images=list(float32[3], float32[2])"),
    "list of dictionaries": (["-i", "t.0.boxes=2,4", "-i", "t.0.n=!1"], "t=list({boxes: float32[2, 4], n: 1})"),
    "text": (["-i", "mode=!loss"], "mode='loss'"),
    "text of digits": (["-i", "mode=!'3'"], "mode='3'"),
    "boolean": (["-i", "flag=!true"], "flag=True"),
    "none": (["-i", "x=!null"], "x=None"),
    "numbers": (["-i", "!3", "-i", "!1e-3"], "3 0.001"),
    "values": (["-i", "x=![1, [a, 2.5]]"], "x=list(1, list('a', 2.5))"),
    "code": (["--input-file", "echo.py:one"], "float32[2, 3]"),
    "code: a tuple": (["--input-file", "echo.py:args"], "float32[1] 'two'"),
    "code: a dictionary": (["--input-file", "echo.py:named"], "x=list(float32[1]) mode='loss'"),
    "code: a value": (["--input-file", "echo.py:ready"], "x=float32[5]"),
    "code: a step": (["--input-file", "echo.py:numbered"], "step=0"),
    "code and more": (["--input-file", "echo.py:named", "-i", "mode=!x", "-i", "y=1"], "x=list(float32[1]) mode='x' y=float32[1]"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("echo.py").write_text(ECHO)
    np.save("x.npy", np.ones((2, 3), np.float32))
    save_file({"batch.ids": np.arange(3), "mask": np.ones(3, np.float32)}, "two.safetensors")


@pytest.mark.parametrize("command", ["list", "tree", "init", "grad"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_arrives(command: str, kind: str) -> None:
    words, due = KINDS[kind]
    more = ["--rule", "*=zeros"] if command == "init" else []
    done = run_here(command, "echo.py:Echo", *words, *more)
    assert done.status == 0, done.stderr
    assert {line for line in done.stderr.splitlines() if line.startswith("got")} == {f"got {due}"}
    assert "[2,3]" in done.stdout or "Linear(in_features=3, out_features=2" in done.stdout


MISTAKES = {
    "no such argument": (["-i", "inputs_id=2,4"], "unknown argument inputs_id", "did you mean input_ids?"),
    "too many": (["-i", "2,4", "-i", "1", "-i", "1"], "too many positional arguments", "input_ids, mask"),
    "twice": (["-i", "2,4", "-i", "input_ids=2,4"], "multiple values for argument 'input_ids'", ""),
    "left out": (["-i", "mask=2"], "missing a required argument: 'input_ids'", ""),
    "key": (["-i", "{shap: [2]}"], "unknown key 'shap'", "did you mean shape?"),
    "no input": ([], "a factory says no input", "--input 2,4"),
    "no such function": (["--input-file", "echo.py:nmaed"], "echo.py has no nmaed", "did you mean named?"),
    "returns nothing": (["--input-file", "echo.py:nothing"], "echo.py:nothing returned nothing", ""),
    "fails": (["--input-file", "echo.py:fails"], "--input-file echo.py:fails: ValueError: no data (echo.py:", ""),
    "no such file": (["--input-file", "ecko.py:one"], "ecko.py: no such file", "did you mean echo.py?"),
    "shape": (["-i", "2,5"], "forward fails at the model (Strict) with input [2,5]", "it takes 4 in dimension 1: [2,4]"),
}  # fmt: skip


@pytest.mark.parametrize("words", [["tree", "--with-shapes"], ["grad"]], ids=" ".join)
@pytest.mark.parametrize("kind", MISTAKES)
def test_what_is_wrong_is_said(words: list[str], kind: str) -> None:
    given, message, hint = MISTAKES[kind]
    done = run_here(*words, "echo.py:Strict", *given)
    assert (done.status, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[0]
    assert hint in done.stderr


@pytest.mark.parametrize("command", ["list", "tree", "init", "grad"])
def test_a_spec_takes_them_in_the_place_of_its_own(command: str) -> None:
    Path("lazy.yaml").write_text("model: [{LazyLinear: 2}]\n")
    more = ["--rule", "*=zeros"] if command == "init" else []
    assert run_here(command, "lazy.yaml", *more).status == 2
    for words in (["-i", "7,3"], ["-i", "input=7,3"], ["-i", "x.npy"], ["--input-file", "echo.py:one"]):
        done = run_here(command, "lazy.yaml", *words, *more)
        assert done.status == 0, done.stderr
        assert "[2,3]" in done.stdout or "Linear(in_features=3, out_features=2" in done.stdout


def test_a_checkpoint_has_no_forward() -> None:
    for command in ("list", "tree"):
        done = run_here(command, "two.safetensors", "-i", "2,4")
        assert done.status == 2
        assert "--input has no meaning for a checkpoint" in done.stderr


def test_shapes_are_those_of_torch_on_the_meta_device() -> None:
    Path("big.py").write_text(
        "from torch import nn\ndef net(): return nn.Sequential(nn.Linear(10**6, 10**6), nn.Flatten(0))\n"
    )
    done = run_here("tree", "big.py:net", "-i", "2,1000000", "--format", "json")
    assert json.loads(done.stdout)["tree"]["outputs"] == [[2 * 10**6]]


def test_batches_of_code_differ_with_the_step() -> None:
    Path("drawn.py").write_text("import torch\ndef batch(): return torch.rand(2, 4)\n")
    done = run_here("grad", "echo.py:Strict", "--input-file", "drawn.py:batch", "--steps", "2", "-f", "json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["parameters"]}
    assert rows["weight"]["norm_std"] > 0
    again = run_here("grad", "echo.py:Strict", "--input-file", "drawn.py:batch", "--steps", "2", "-f", "json")
    assert again.stdout == done.stdout
