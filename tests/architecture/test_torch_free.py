from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paraminspect import architecture

MODULES = sorted(path.stem for path in Path(next(iter(architecture.__path__))).glob("[a-z]*.py"))
PROBE = "import sys; {}; print([name for name in {} if name in sys.modules])"
HEAVY = ["torch", "numpy", "safetensors", "rich", "typer"]


def loaded(statement: str, names: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement, names)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_reading_a_spec_imports_no_torch() -> None:
    imports = "; ".join(f"import paraminspect.architecture.{name}" for name in MODULES)
    statement = (
        f"{imports}; from paraminspect.architecture.parse import parse_spec; from paraminspect.architecture.expand import plan_model; "
        "plan_model(parse_spec('model: [{Linear: [4, 3]}, Relu]'))"
    )
    assert loaded(statement, HEAVY) == "[]"


def test_recognising_a_spec_imports_no_yaml() -> None:
    assert loaded("import paraminspect.architecture.recognise", [*HEAVY, "yaml"]) == "[]"


@pytest.mark.parametrize("name", ["yaml", "json"])
def test_the_probe_can_fail(name: str) -> None:
    assert loaded(f"import {name}", [name, "torch"]) == f"['{name}']"
