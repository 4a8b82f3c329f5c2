"""`torch.export` archives and ONNX models through every command that looks into files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
BIAS = np.array([1, -2, 3], np.float32)
PROBE = """
import os, sys
from paraminspect.cli.app import run
run(sys.argv[1:])
os.write(2, " ".join(sorted({name.partition(".")[0] for name in sys.modules})).encode())
"""


def run(*arguments: object, status: int = 0, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "paraminspect", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr.decode()
    return done


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two tensors, by format."""
    folder = tmp_path_factory.mktemp("models")
    linear = torch.nn.Linear(4, 3)
    linear.weight.data, linear.bias.data = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    torch.export.save(torch.export.export(linear, (torch.ones(1, 4),)), folder / "model.pt2")
    tensors = [numpy_helper.from_array(WEIGHT, "weight"), helper.make_tensor("bias", TensorProto.FLOAT, [3], BIAS)]
    narrow = helper.make_tensor("narrow", TensorProto.INT4, [3], [1, -8, 7])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, -1])
    graph = helper.make_graph([], "g", [], [], [*tensors, narrow, shape])
    onnx.save(helper.make_model(graph), folder / "model.onnx")
    torch.save(linear.state_dict(), folder / "model.pt")
    return {name: folder / f"model.{name}" for name in ("pt2", "onnx", "pt")}


FORMATS = ["pt2", "onnx"]


@pytest.mark.parametrize("name", FORMATS)
def test_list_imports_neither_torch_nor_numpy_nor_protobuf(name: str, models: dict[str, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "list", models[name]], capture_output=True, check=True, timeout=60
    )
    assert done.stdout.startswith(b"weight\t[3,4]\tfloat32\t12\t48\t")
    assert not {"torch", "numpy", "onnx", "google", "rich"} & set(done.stderr.decode().split())
    assert "paraminspect" in done.stderr.decode().split()


@pytest.mark.parametrize("name", FORMATS)
def test_values_are_those_of_the_same_model_in_torch(name: str, models: dict[str, Path]) -> None:
    run("diff", models["pt"], models[name], "--select", "weight", "--select", "bias")
    rows = json.loads(run("stats", models[name], "--format", "json").stdout)["tensors"]
    assert [(row["name"], row["min"], row["max"]) for row in rows[:2]] == [("weight", 0, 11), ("bias", -2, 3)]
    shown = json.loads(run("show", models[name], "weight", "--format", "json").stdout)
    assert shown["tensors"][0]["values"] == WEIGHT.tolist()
    assert b"weight" in run("shared", "--equal", models["pt"], models[name]).stdout


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_converted_and_read_back(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    run("convert", models[name], "-o", out, "--verify")
    found = load_file(out)
    assert np.array_equal(found["weight"], WEIGHT)
    assert np.array_equal(found["bias"], BIAS)
    if name == "onnx":
        assert (found["narrow"].dtype, found["narrow"].tolist()) == (np.int8, [1, -8, 7])


@pytest.mark.parametrize("name", FORMATS)
def test_it_comes_from_standard_input(name: str, models: dict[str, Path]) -> None:
    listed = run("list", models[name]).stdout
    assert run("list", "-", given=models[name].read_bytes()).stdout == listed


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_checked(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    run("check", "--deep", models[name])
    cut = tmp_path / "cut"
    data = models[name].read_bytes()
    cut.write_bytes(data[: len(data) // 8])  # before any archive inside, which an older torch makes, is whole
    assert b"\terror\ttruncated\t" in run("check", cut, status=1).stdout
    assert run("list", cut, status=2).stderr.startswith(b"error: ")


@pytest.mark.parametrize("name", FORMATS)
def test_rules_do_not_write_it(name: str, models: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / f"out.{name}"
    done = run("init", models[name], "--rule", "weight=zeros", "-o", out, status=2)
    assert b"what kind of file?" in done.stderr
    assert not out.exists()


def test_rules_apply_to_it_and_write_safetensors(models: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    run("init", models["pt2"], "--rule", "weight=constant(2)", "-o", out)
    found = load_file(out)
    assert found["weight"].tolist() == [[2] * 4] * 3
    assert np.array_equal(found["bias"], BIAS)


def test_a_folder_with_one_such_model_is_that_model(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(models["onnx"].read_bytes())
    assert run("list", tmp_path).stdout == run("list", models["onnx"]).stdout


@pytest.mark.parametrize("command", ["list", "tree", "show", "stats", "shared", "convert", "diff"])
def test_an_array_of_objects_is_left_out_and_said(command: str, tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, a=np.ones(2), b=np.array([{}], object))
    more = {"show": ["a"], "convert": ["-o", tmp_path / "out.safetensors"], "diff": [path]}.get(command, [])
    done = run(command, path, *more)
    assert b"1 array of Python objects is left out, each a pickle that was not run: 'b'" in done.stderr
    assert b"b" not in [row.split(b"\t")[0] for row in done.stdout.splitlines()]


def test_an_array_of_objects_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    rows = [row.split(b"\t")[1:3] for row in run("check", path, status=1).stdout.splitlines()]
    assert rows == [[b"error", b"unreadable"], [b"warning", b"pickle-hidden"]]
