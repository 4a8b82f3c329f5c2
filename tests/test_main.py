"""The entry point: Ctrl-C at any line of it ends the process with 130 and says nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from paraminspect.cli.output import Output
from paraminspect.files import system

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


MOMENTS = """
import json, os, signal, sys

import paraminspect.__main__ as program

sys.argv[:] = ["paraminspect", "stats", "m.pt", "m.pt"]
from paraminspect.cli.commands import stats
from paraminspect.values import collecting, tabled


def end_at(left, number):
    taken = 0

    def trace(frame, event, _):
        nonlocal taken
        if "paraminspect" not in frame.f_code.co_filename:
            return None
        taken += event == "line"
        if taken == left:
            sys.settrace(None)
            os.kill(os.getpid(), number)
        return trace

    sys.settrace(trace)
    program.main()


found = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
    for left in range(40, 40_000, 6_000):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            end_at(left, number)
        os.close(writing)
        with open(reading, "rb") as said:
            text = said.read().decode()
        found.append([int(number), left, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text])
print(json.dumps(found))
"""


def test_a_signal_at_any_moment_is_no_bug(tmp_path: Path) -> None:
    torch.save({f"{number}.weight": torch.ones(3) for number in range(20)}, tmp_path / "m.pt")
    command = [sys.executable, "-c", MOMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {text for *_, text in found} == {""}
    for number, _, status, _ in found:
        assert status in ((0,) if number == signal.SIGPIPE else (0, 128 + number))
    assert sum(status != 0 for _, _, status, _ in found) > len(found) // 3, "it ran"


def test_what_fails_of_the_end_is_not_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(system, "_ENDED", [signal.SIGTERM])
    with pytest.raises(KeyboardInterrupt):
        Output().error(RuntimeError("generator didn't stop after throw()"))
    monkeypatch.setattr(system, "_ENDED", [])
    Output().error(RuntimeError("another"))
    assert capsys.readouterr().err.startswith("error: internal error: RuntimeError: another")
