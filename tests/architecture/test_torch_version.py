from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from paraminspect.architecture.torch_version import TABLE, prints_as_told
from paraminspect.live.build.live_model import build_spec
from tests.making.running import run_here


def test_the_torch_that_is_installed_is_found() -> None:
    assert prints_as_told() == torch.__version__.startswith(f"{TABLE}.")


@pytest.mark.parametrize(
    ("text", "due"),
    [
        (f"from typing import Optional\n__version__ = '{TABLE}.0+cpu'\ndebug = False\n", True),
        ("__version__ = '2.4.0'\n", False),
        ("__version__ = '2.130.0'\n", False),
        ("nothing\n", False),
    ],
)
def test_its_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, due: bool) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "nowhere"), str(tmp_path)])
    assert prints_as_told() is due


def test_without_torch_the_table_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert prints_as_told()


@pytest.mark.parametrize(("version", "built"), [(TABLE, False), ("2.4", True)])
def test_the_tree_of_another_torch_is_what_that_one_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, built: bool
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(f"__version__ = '{version}.0'\n")
    (tmp_path / "spec.yaml").write_text("model: [{LayerNorm: 4}]\n")
    calls = []
    monkeypatch.setattr(
        "paraminspect.live.build.live_model.build_spec", lambda *a, **k: calls.append(1) or build_spec(*a, **k)
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert run_here("tree", str(tmp_path / "spec.yaml")).status == 0
    assert bool(calls) is built
