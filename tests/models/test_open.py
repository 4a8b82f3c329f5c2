"""Opening a source, beside what the tests of its values and of a single parse cover."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize("words", [["list", "net.yaml"], ["grad", "net.yaml"], ["init", "net.npz", "--rule", "*=ones"]])
def test_without_torch_one_line_says_so(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("model: [{Linear: [2, 2]}]\n")
    np.savez(tmp_path / "net.npz", a=np.ones(2))
    code = f"import sys; sys.modules['torch'] = None; from paraminspect.cli.app import run; sys.exit(run({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {words[1]}: this takes torch, which is not installed\n\nhint: pip install torch\n"
