"""What `make compat` looks up and counts; it is run by hand, for it takes the network."""

from __future__ import annotations

import tomllib
from pathlib import Path

from scripts.compat import KINDS, PYTHONS, constraints, count, declared, name_of

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
