"""What `make compat` looks up and counts; it is run by hand, for it takes the network."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.compat import KINDS, PYTHONS, constraints, count, declared, find, name_of

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_all_that_is_declared_is_looked_up() -> None:
    assert declared() >= {"torch", "numpy", "typer", "rich", "pyyaml", "ml-dtypes", "fsspec", "pillow", "s3fs"}
    assert "paraminspect" not in declared()
    assert "torch" in {name_of(line) for line in constraints()}


def test_the_makefile_runs_it_with_each_kind() -> None:
    assert list(KINDS) == ["lowest", "newest"]
    assert PYTHONS[0].removeprefix("python") == PROJECT["project"]["requires-python"].removeprefix(">=")
    assert "scripts.compat" in (ROOT / "Makefile").read_text()


def test_results_are_counted(tmp_path: Path) -> None:
    cases = "<testcase/><testcase/><testcase><failure/></testcase><testcase><error/></testcase><testcase><skipped/></testcase>"
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    assert count(tmp_path / "report.xml") == "2 passed, 2 failed, 1 skipped"


def test_pyenvs_programs_are_left_out_where_they_run_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims, own = tmp_path / "shims", tmp_path / "versions" / "9.9.1" / "bin"
    for folder, line in ((shims, "exit 127"), (own, "exit 0")):
        folder.mkdir(parents=True)
        (folder / "python9.9").write_text(f"#!/bin/sh\n{line}\n")
        (folder / "python9.9").chmod(0o755)
    monkeypatch.setenv("PATH", str(shims), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find("python9.9") == str(own / "python9.9")
    assert find("python9.8") is None
    assert find(sys.executable) == sys.executable


def test_its_help_takes_nothing_that_is_not_pythons() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "scripts" / "compat.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("usage: ")
