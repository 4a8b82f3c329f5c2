from __future__ import annotations

from pathlib import Path

import pytest

from paraminspect import rules
from tests.making.running import modules_of

MODULES = sorted(path.stem for path in Path(next(iter(rules.__path__))).glob("[a-z]*.py"))
HEAVY = {"torch", "numpy", "safetensors", "rich", "typer", "yaml"}


def test_rules_are_parsed_and_planned_without_torch() -> None:
    imports = "; ".join(f"import paraminspect.rules.{name}" for name in MODULES)
    statement = (
        f"{imports}; from paraminspect import parse_rule, InitPlan, InitStep; "
        "from paraminspect.rules.steps import plan_rules; from paraminspect.rules.targets import Target; "
        "plan_rules([Target('w', (4, 2), 'float32')], [parse_rule('*=xavier_normal(gain=relu, chunks=2)')])"
    )
    assert len(MODULES) >= 7
    assert not HEAVY & modules_of(statement)


@pytest.mark.torch
def test_the_probe_can_fail() -> None:
    assert HEAVY & modules_of("import paraminspect.live.init.apply") >= {"torch", "numpy"}
