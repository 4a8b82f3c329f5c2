"""What is freed between other tensors is the system's again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import torch
from paraminspect.live.ranks.freed import give_back_what_is_freed

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

if sys.argv[1] == "ask":
    assert give_back_what_is_freed()
torch.ones(30 << 18); torch.ones(30 << 18)  # 30 MiB, freed: from here on glibc takes such from its heap
before = resident()
held = [torch.ones(8 << 18) for _ in range(40)]
del held[::2]
print(resident() - before)
"""


@pytest.mark.skipif(
    not hasattr(os, "confstr_names") or "CS_GNU_LIBC_VERSION" not in os.confstr_names or not os.path.exists("/proc/self/statm"),
    reason="there is no glibc here",
)  # fmt: skip
def test_what_is_freed_is_given_back() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "LD_PRELOAD"))}

    def kept(word: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, word], env=environ, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert kept("ask") + 100 < kept("leave")


def test_an_environment_that_says_otherwise_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from paraminspect.live.ranks.freed import give_back_what_is_freed

    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not give_back_what_is_freed()
