from __future__ import annotations

from pathlib import Path

import pytest

from paraminspect import architecture
from tests.making.running import modules_of

MODULES = sorted(path.stem for path in Path(next(iter(architecture.__path__))).glob("[a-z]*.py"))
HEAVY = {"torch", "numpy", "safetensors", "rich", "typer"}


def test_reading_a_spec_imports_no_torch() -> None:
    imports = "; ".join(f"import paraminspect.architecture.{name}" for name in MODULES)
    statement = (
        f"{imports}; from paraminspect.architecture.parse import parse_spec; from paraminspect.architecture.expand import plan_model; "
        "plan_model(parse_spec('model: [{Linear: [4, 3]}, Relu]'))"
    )
    assert not HEAVY & modules_of(statement)


def test_recognising_a_spec_imports_no_yaml() -> None:
    assert not {*HEAVY, "yaml"} & modules_of("import paraminspect.architecture.recognise")


@pytest.mark.parametrize("name", ["yaml", "csv"])
def test_the_probe_can_fail(name: str) -> None:
    assert {name, "torch"} & modules_of(f"import {name}") == {name}
