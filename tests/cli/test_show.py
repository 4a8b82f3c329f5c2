"""`paraminspect show` on real files and specs."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.making.live_models import open_live
from tests.making.running import run_apart

Command = tuple[list[str], dict[str, str]]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(30, 40, generator=generator)
    torch.save(
        {"fc.weight": weight, "fc.bias": torch.arange(3.0), "half": weight[:2, :3].bfloat16()}, tmp_path / "m.pt"
    )
    return tmp_path / "m.pt"


def test_values_of_a_file_are_printed_as_torch_prints_them(checkpoint: Path) -> None:
    due = torch.load(checkpoint)
    status, stdout, stderr = run_apart("show", str(checkpoint), "fc.weight", "half")
    assert (status, stderr) == (0, "")
    assert stdout == (
        f"fc.weight  Tensor  float32  [30,40]\n{due['fc.weight']!r}\n\nhalf  Tensor  bfloat16  [2,3]\n{due['half']!r}\n"
    )


def test_markdown_is_the_text_as_a_block_of_code(checkpoint: Path, tmp_path: Path) -> None:
    text = run_apart("show", str(checkpoint), "fc.*")[1]
    assert run_apart("show", str(checkpoint), "fc.*", "-f", "markdown")[1] == f"```\n{text}```\n"
    assert run_apart("show", str(checkpoint), "fc.*", "-o", str(tmp_path / "values.md")) == (0, "", "")
    assert (tmp_path / "values.md").read_text("utf-8") == f"```\n{text}```\n"


def test_slice_and_precision(checkpoint: Path) -> None:
    due = torch.load(checkpoint)["fc.weight"][0, :4]
    stdout = run_apart("show", str(checkpoint), "fc.weight", "--slice", "0,:4", "--precision", "2")[1]
    torch.set_printoptions(precision=2)
    try:
        assert stdout == f"fc.weight  Tensor  float32  [30,40] -> [4]\n{due!r}\n"
    finally:
        torch.set_printoptions(profile="default")


def test_full(checkpoint: Path) -> None:
    stdout = run_apart("show", str(checkpoint), "fc.weight", "--full")[1]
    assert stdout.count(",\n") > 100
    assert "..." not in stdout


def test_standard_input_can_be_shown(checkpoint: Path) -> None:
    status, stdout, _ = run_apart("show", "-", "fc.bias", stdin=checkpoint.read_bytes())
    assert (status, stdout) == (0, "fc.bias  Tensor  float32  [3]\ntensor([0., 1., 2.])\n")


def test_globs_choose_each_tensor_once_in_the_order_asked(checkpoint: Path) -> None:
    stdout = run_apart("show", str(checkpoint), "fc.b*", "*", "--format", "json")[1]
    assert [each["name"] for each in json.loads(stdout)["tensors"]] == ["fc.bias", "fc.weight", "half"]


def test_json_holds_the_values(checkpoint: Path) -> None:
    stdout = run_apart("show", str(checkpoint), "fc.weight", "--slice", "1", "-f", "json")[1]
    found = json.loads(stdout)
    tensor = found["tensors"][0]
    assert (found["schema"], tensor["shape"], tensor["dtype"]) == (1, [40], "float32")
    assert np.array(tensor["values"], np.float32).tolist() == torch.load(checkpoint)["fc.weight"][1].tolist()


def test_npy_goes_to_a_pipe_and_to_a_file(checkpoint: Path, tmp_path: Path) -> None:
    due = torch.load(checkpoint)["fc.weight"].numpy()
    piped = run_apart("show", str(checkpoint), "fc.weight", "-o", "-", "--format", "npy").data
    status, stdout, _ = run_apart("show", str(checkpoint), "fc.weight", "-o", str(tmp_path / "w.npy"))
    assert (np.load(io.BytesIO(piped)) == due).all()
    assert (status, stdout) == (0, "")
    assert (np.load(tmp_path / "w.npy") == due).all()
    assert sorted(os.listdir(tmp_path)) == ["m.pt", "w.npy"]


def test_a_file_that_cannot_be_written_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    status, _, stderr = run_apart("show", str(checkpoint), "fc.bias", "-o", str(tmp_path / "nowhere" / "x.npy"))
    assert status == 2
    assert "x.npy: cannot be written: there is no folder" in stderr


def test_a_file_that_is_there_is_not_overwritten(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("w.npy", "w.json", "w.txt"):
        (tmp_path / name).write_text("old")
        line = ["show", str(checkpoint), "fc.bias", "-o", str(tmp_path / name)]
        status, _, stderr = run_apart(*line)
        assert (status, (tmp_path / name).read_text()) == (2, "old")
        assert "it is there already\n\nhint: --force replaces it" in stderr
        assert run_apart(*line, "--force")[0] == 0
        assert (tmp_path / name).read_bytes() != b"old"
    assert "error: --force without -o" in run_apart("show", str(checkpoint), "fc.bias", "--force")[2]


def test_a_failed_write_leaves_the_old_file(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("old")
    status, _, _ = run_apart(
        "show", str(checkpoint), "fc.weight", "--slice", "99", "-o", str(tmp_path / "x.json"), "--force"
    )
    assert status == 2
    assert (tmp_path / "x.json").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["m.pt", "x.json"]


@pytest.mark.usefixtures("workplace")
def test_values_of_a_spec_are_those_of_the_built_model() -> None:
    built = open_live("configs/mlp.yaml", device="cpu", seed=3).model
    stdout = run_apart("show", "configs/mlp.yaml", "2.weight", "--seed", "3")[1]
    assert stdout == f"2.weight  Parameter  float32  [1,3]\n{built.get_parameter('2.weight').data!r}\n"
    assert stdout != run_apart("show", "configs/mlp.yaml", "2.weight")[1]


@pytest.mark.usefixtures("workplace")
def test_buffers_and_factories() -> None:
    stdout = run_apart("show", "models.py:make", "1.shift", "1.gain", "--arg", "width=2")[1]
    assert stdout == (
        "1.shift  Buffer  float32  [2]\ntensor([0., 0.])\n\n1.gain  Parameter  float32  [2]\ntensor([1., 1.])\n"
    )


def save_mlp(path: Path, change: dict[str, torch.Tensor | None] | None = None, prefix: str = "") -> None:
    state = {
        "0.weight": torch.ones(3, 4), "0.bias": torch.full((3,), 2.0),
        "2.weight": torch.ones(1, 3), "2.bias": torch.ones(1),
    } | (change or {})  # fmt: skip
    torch.save({prefix + name: tensor for name, tensor in state.items() if tensor is not None}, path)


@pytest.mark.parametrize("source", ["configs/mlp.yaml", "models.py:make_mlp"])
def test_weights_are_shown(workplace: Path, source: str) -> None:
    with (workplace / "models.py").open("a") as file:
        file.write("\ndef make_mlp():\n    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))\n")
    save_mlp(workplace / "m.pt")
    status, stdout, stderr = run_apart("show", source, "0.bias", "--weights", "m.pt")
    assert (status, stderr) == (0, "")
    assert stdout == "0.bias  Parameter  float32  [3]\ntensor([2., 2., 2.])\n"


def test_weights_with_a_prefix(workplace: Path) -> None:
    save_mlp(workplace / "m.pt", prefix="module.")
    status, stdout, stderr = run_apart("list", "configs/mlp.yaml", "--weights", "m.pt")
    assert (status, stdout) == (1, "")
    assert "--strip-prefix module." in stderr
    line = ["show", "configs/mlp.yaml", "2.bias", "--weights", "m.pt", "--strip-prefix", "module."]
    status, stdout, stderr = run_apart(*line)
    assert (status, stdout, stderr) == (0, "2.bias  Parameter  float32  [1]\ntensor([1.])\n", "")


@pytest.mark.parametrize("what", [["list"], ["tree"], ["show"]])
def test_weights_that_do_not_fit(workplace: Path, what: list[str]) -> None:
    save_mlp(workplace / "m.pt", {"0.bias": None, "2.weight": torch.ones(3, 1), "extra": torch.ones(2)})
    line = [*what, "configs/mlp.yaml", *(["2.bias"] if what == ["show"] else []), "--weights", "m.pt"]
    status, stdout, stderr = run_apart(*line)
    assert (status, stdout) == (1, "")
    rows = [line.split() for line in stderr.splitlines()[:4]]
    assert rows == [
        ["name", "problem", "expected", "found"],
        ["0.bias", "missing", "[3]"],
        ["2.weight", "shape", "[1,3]", "[3,1]"],
        ["extra", "unexpected", "[2]"],
    ]
    status, stdout, stderr = run_apart(*line, "--allow-mismatch")
    assert status == 0
    assert stdout != ""
    assert "1 missing, 1 of another shape, 1 unexpected, 2 loaded" in stderr


def test_values_that_were_not_loaded_are_said_to_be_initial(workplace: Path) -> None:
    save_mlp(workplace / "m.pt", {"0.bias": None})
    line = ["show", "configs/mlp.yaml", "0.bias", "--weights", "m.pt", "--allow-mismatch"]
    assert "0.bias is not loaded from m.pt: these are its initial values" in run_apart(*line)[2]


def test_missing_weights_file(workplace: Path) -> None:
    status, _, stderr = run_apart("list", "configs/mlp.yaml", "--weights", "nowhere.pt")
    assert (status, stderr) == (2, "error: nowhere.pt: no such file or folder\n")
