"""The environment without torch, and which tests run there: `make test-without-torch` runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from scripts.without_torch import count, make_environment

ROOT = Path(__file__).resolve().parent.parent

TESTS = """
import importlib
import pytest
from tests.making.running import run_here

def test_free():
    import numpy, paraminspect

def test_own():
    import torch

def test_live():
    importlib.import_module("paraminspect.live.build.layers")

def test_of_another_library():
    import safetensors.torch

def test_program_is_told():
    from paraminspect import ParamInspectError, plan_init
    import numpy as np
    np.savez("a.npz", a=np.ones(2))
    with pytest.raises(ParamInspectError, match="this takes torch"):
        plan_init("a.npz", ["*=ones"])

@pytest.mark.torch
def test_marked():
    pass

def test_command(tmp_path):
    (tmp_path / "a.yaml").write_text("model: [{Linear: [2, 2]}]")
    assert run_here("grad", str(tmp_path / "a.yaml")).status == 0

def test_bug(monkeypatch):
    def read(*_): raise ModuleNotFoundError(name="torch")
    monkeypatch.setattr("paraminspect.formats.open_source", read)
    assert run_here("list", "a.npz").status == 0
"""


def test_only_tests_that_take_torch_are_skipped(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "venv")
    (tmp_path / "test_it.py").write_text(TESTS)
    words = [str(python), "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [*words, str(tmp_path / "test_it.py"), f"--junitxml={report}", "-p", "no:cacheprovider"],
        cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    results = {case.get("name"): [part.tag for part in case] for case in ElementTree.parse(report).iter("testcase")}
    assert results == {
        "test_free": [], "test_program_is_told": [], "test_bug": ["failure"], "test_own": ["skipped"],
        "test_live": ["skipped"], "test_of_another_library": ["skipped"], "test_marked": ["skipped"],
        "test_command": ["skipped"],
    }, done.stdout  # fmt: skip
    assert done.returncode == 1
    assert count(report).total() == 2
