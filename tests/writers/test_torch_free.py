from __future__ import annotations

from pathlib import Path

import pytest

from paraminspect import writers
from tests.making.running import modules_of

MODULES = sorted(path.stem for path in Path(next(iter(writers.__path__))).glob("[a-z]*.py"))
HEAVY = {"torch", "numpy", "safetensors", "rich", "typer", "pickle", "zipfile"}
WRITE = """
import sys
from paraminspect.writers.whole_files import open_target
from paraminspect.writers.layout import OutTensor
with open_target(plan([OutTensor("a", "float32", (2,))], {}), sys.argv[1]) as sink: sink.put(0, 0, bytes(8))
"""


def test_writing_imports_neither_torch_nor_numpy(tmp_path: Path) -> None:
    imports = "; ".join(f"import paraminspect.writers.{name}" for name in MODULES)
    write = f"{imports}\nfrom paraminspect.writers.safetensors import plan_safetensors as plan{WRITE}"
    assert not HEAVY & modules_of(write, tmp_path / "m")
    assert (tmp_path / "m").stat().st_size > 8


@pytest.mark.parametrize("name", ["numpy", "zipfile"])
def test_the_probe_can_fail(name: str) -> None:
    assert name in HEAVY & modules_of(f"import {name}")
