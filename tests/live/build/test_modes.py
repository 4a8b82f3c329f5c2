"""A mode of ours imports no compiler, and is known to torch as one."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, torch
from paraminspect.live.build.modes import Mode

class Watching(Mode):
    seen = []
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func.name())
        return func(*args, **(kwargs or {}))

with Watching() as mode:
    torch.ones(2) + 1
print(mode.seen, "torch._dynamo" in sys.modules)
"""


def test_what_a_mode_sees_imports_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "['aten::ones', 'aten::add.Tensor'] False\n"
