"""The program as a process: pipes, full disks, Ctrl-C, terminals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.terminal import run_on_terminal

Command = tuple[list[str], dict[str, str]]


def start(command: Command, *arguments: str | Path, environ: dict[str, str] | None = None, **more: Any) -> Any:
    program, base = command
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more
    return subprocess.Popen([*program, *map(str, arguments)], env={**base, **(environ or {})}, **more)


def finish(process: Any) -> tuple[int, bytes, bytes]:
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def hang_up(process: Any) -> tuple[int, bytes]:
    """Close the other end of standard output; returns exit status and standard error."""
    process.stdout.close()
    with process.stderr as stream:
        stderr = stream.read()
    return process.wait(60), stderr


@pytest.mark.parametrize("arguments", [["list"], ["list", "--format", "csv"], ["list", "--format", "json"], ["tree"]])
def test_closed_pipe_is_silent_success(command: Command, large_model: Path, arguments: list[str]) -> None:
    process = start(command, *arguments, large_model)
    first = process.stdout.readline()
    assert (first != b"", *hang_up(process)) == (True, 0, b"")


def test_closed_pipe_before_the_first_byte(command: Command) -> None:
    assert hang_up(start(command, "-h")) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["list"], ["list", "--total"], ["tree", "--depth", "1"], ["list", "-f", "json"]])
def test_full_disk_is_an_error(command: Command, large_model: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        status, _, stderr = finish(start(command, *arguments, large_model, stdout=full))
    assert status == 2
    assert stderr == b"error: cannot write to standard output: no space left on the device\n"


def test_full_disk_for_help(command: Command) -> None:
    with open("/dev/full", "wb") as full:
        status, _, stderr = finish(start(command, "--version", stdout=full))
    assert (status, stderr) == (2, b"error: cannot write to standard output: no space left on the device\n")


def test_closed_standard_output_is_an_error(command: Command, model: Path) -> None:
    process = start(command, "list", model, stdout=None, preexec_fn=lambda: os.close(1))
    status, _, stderr = finish(process)
    assert (status, stderr) == (2, b"error: cannot write to standard output: it is closed\n")


def test_closed_standard_error_changes_nothing(command: Command, model: Path) -> None:
    process = start(command, "list", model, "--total", stderr=None, preexec_fn=lambda: os.close(2))
    assert finish(process)[:2] == (0, b"3\t0\t0\t0\tfloat32\t0\t\n")
    process = start(command, "list", "nowhere", stderr=None, preexec_fn=lambda: os.close(2))
    assert finish(process)[:2] == (2, b"")


def test_interrupt_is_silent_130(command: Command, large_model: Path) -> None:
    process = start(command, "list", large_model)
    process.stdout.readline()  # it is writing now, and blocks as soon as the pipe is full
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130
    assert stderr in {b"", b"\n"}


def test_standard_input(command: Command, model: Path) -> None:
    with open(model, "rb") as stream:
        piped = finish(start(command, "list", "-", "--total", stdin=stream))
    assert piped == (0, b"3\t0\t0\t0\tfloat32\t0\t\n", b"")


def test_traceback_only_on_request(command: Command) -> None:
    status, stdout, plain = finish(start(command, "list", "nowhere"))
    assert (status, stdout) == (2, b"")
    assert plain.startswith(b"error: nowhere: ")
    assert b"Traceback" not in plain
    asked = finish(start(command, "list", "nowhere", environ={"PARAMINSPECT_DEBUG": "1"}))
    assert asked[0] == 2
    assert asked[2].startswith(b"Traceback (most recent call last)")
    assert asked[2].endswith(plain)


def test_pipe_is_utf8_whatever_the_locale(command: Command, tmp_path: Path) -> None:
    header = '{"层":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    environ = {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}
    assert finish(start(command, "list", path, "-f", "names", environ=environ)) == (0, "层\n".encode(), b"")


def test_module_and_installed_command_share_their_name(command: Command) -> None:
    status, stdout, _ = finish(start(command, "list", "-h"))
    assert status == 0
    assert stdout.startswith(b"Usage: paraminspect list [OPTIONS] SOURCE...\n")


def on_terminal(command: Command, columns: int, *arguments: str | Path, **environ: str) -> tuple[int, str]:
    program, base = command
    return run_on_terminal([*program, *arguments], {**base, "TERM": "xterm", **environ}, columns)


def test_nothing_of_what_a_terminal_is_sent_is_lost() -> None:
    lines = "".join(f"{number}\n" for number in range(30_000))
    assert run_on_terminal(["seq", "0", "29999"], {"PATH": os.defpath}, 80) == (0, lines)
    assert run_on_terminal(["sh", "-c", "printf last; exit 3"], {"PATH": os.defpath}, 80) == (3, "last")


@pytest.fixture
def block(tmp_path: Path) -> Path:
    import json

    names = [
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "mlp.gate_proj.weight",
        "mlp.a_rather_long_name.bias",
    ]
    entries = {
        f"model.layers.{layer}.{name}": {"dtype": "BF16", "shape": [0, 4096], "data_offsets": [0, 0]}
        for layer in range(4)
        for name in names
    }
    header = json.dumps(entries).encode()
    path = tmp_path / "block.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


@pytest.mark.parametrize("command_name", ["list", "tree"])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lines_fit_the_terminal(command: Command, block: Path, command_name: str, columns: int) -> None:
    status, text = on_terminal(command, columns, command_name, block, NO_COLOR="1")
    assert status == 0
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text or command_name == "tree"  # names are whole
    assert "16 tensors, 0 parameters" in text


def test_columns_overrides_the_terminal(command: Command, block: Path) -> None:
    _, text = on_terminal(command, 200, "list", block, COLUMNS="60", NO_COLOR="1")
    assert max(map(len, text.splitlines())) <= 60


def test_colour_follows_the_environment(command: Command, block: Path) -> None:
    plain = on_terminal(command, 80, "list", block, NO_COLOR="1")
    coloured = on_terminal(command, 80, "list", block)
    assert "\x1b[" in coloured[1]
    assert "\x1b" not in plain[1]
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured[1]) == plain[1]
    assert on_terminal(command, 80, "list", block, TERM="dumb") == plain
    assert on_terminal(command, 80, "list", block, "--color", "never") == plain
    assert on_terminal(command, 80, "list", block, "--color", "always", NO_COLOR="1") == coloured
