"""The entry point: Ctrl-C at any line of it ends the process with 130 and says nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys

left = int(sys.argv.pop(1))
taken = 0


def trace(frame, event, _):
    global taken
    if not frame.f_code.co_filename.endswith("__main__.py"):
        return None
    taken += event == "line"
    if taken == left:
        sys.settrace(None)
        raise KeyboardInterrupt
    return trace


sys.settrace(trace)
from paraminspect.__main__ import main

main()
"""

HOOKED = 7
"""Lines of the module until it can keep quiet: its docstring, an import, two definitions."""


def interrupted_at(line: int) -> tuple[int, str]:
    command = [sys.executable, "-c", PROBE, str(line), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("line", range(HOOKED, 46, 3))
def test_an_interrupt_is_quiet(line: int) -> None:
    assert interrupted_at(line) in ((130, ""), (0, ""))


def test_an_interrupt_ends_the_run() -> None:
    assert [interrupted_at(line) for line in (12, 16)] == [(130, "")] * 2


def test_without_one_it_runs() -> None:
    assert interrupted_at(-1) == (0, "")
