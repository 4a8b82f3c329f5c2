from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from paraminspect import rules

MODULES = sorted(path.stem for path in Path(next(iter(rules.__path__))).glob("[a-z]*.py"))
HEAVY = ["torch", "numpy", "safetensors", "rich", "typer", "yaml"]
PROBE = "import sys; {}; print([name for name in {} if name in sys.modules])"


def loaded(statement: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement, HEAVY)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_rules_are_parsed_and_planned_without_torch() -> None:
    imports = "; ".join(f"import paraminspect.rules.{name}" for name in MODULES)
    statement = (
        f"{imports}; from paraminspect import parse_rule, InitPlan, InitStep; "
        "from paraminspect.rules.steps import plan_rules; from paraminspect.rules.targets import Target; "
        "plan_rules([Target('w', (4, 2), 'float32')], [parse_rule('*=xavier_normal(gain=relu, chunks=2)')])"
    )
    assert len(MODULES) >= 7
    assert loaded(statement) == "[]"


def test_the_probe_can_fail() -> None:
    assert loaded("from paraminspect import apply_init") == "['torch', 'numpy']"
