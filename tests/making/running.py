"""The program, run in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import paraminspect
from tests.making.without_torch import skip_if_live

Command = tuple[list[str], dict[str, str]]
"""How to start the program as a process of its own, and with what environment."""

PATIENCE_S = 120


class Result(NamedTuple):
    status: int
    stdout: str
    stderr: str

    @property
    def data(self) -> bytes:
        """Standard output where it is no text."""
        return self.stdout.encode(errors="surrogateescape")


class Stream(io.TextIOWrapper):
    """What sys.stdout is, on memory: a pipe, or a terminal."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def run_here(*arguments: str, terminal: bool = False, encoding: str = "utf-8", **environ: str) -> Result:
    """One command line in this process; what it prints is not shown."""
    from paraminspect.cli import app

    stdout, stderr = Stream(terminal, encoding), Stream(terminal)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PARAMINSPECT_DEBUG"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", **environ}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        status = app.run(arguments)
    skip_if_live(arguments, stderr.text())
    return Result(status, stdout.text(), stderr.text())


def program() -> Command:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    source = str(Path(paraminspect.__file__).parents[1])
    return [sys.executable, "-m", "paraminspect"], {**keep, "PYTHONPATH": source}


def run_apart(*arguments: object, stdin: bytes = b"", **environ: str) -> Result:
    """One command line as a process, with pipes."""
    words, base = program()
    done = subprocess.run(
        [*words, *map(str, arguments)],
        input=stdin, env={**base, **environ}, capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode())


_COMMAND = """
import json, os, sys
{before}
from paraminspect.cli import app
status = app.run({arguments!r})
os.write(2, json.dumps([status, sorted(sys.modules)]).encode())
"""
_CODE = """
import json, os, sys
{code}
os.write(2, json.dumps([0, sorted(sys.modules)]).encode())
"""


def modules_after(*arguments: object, before: str = "", **environ: str) -> tuple[int, set[str]]:
    """Exit status of a command line in a process of its own, and what was imported there at its end."""
    return _ask(_COMMAND.format(before=before, arguments=list(map(str, arguments))), environ)


def modules_of(code: str, *arguments: object) -> set[str]:
    """What a process has imported after this code."""
    return _ask(_CODE.format(code=code), {}, *map(str, arguments))[1]


def _ask(code: str, environ: dict[str, str], *arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**program()[1], **environ}, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    status, modules = json.loads(said[said.rindex("[", 0, said.rindex('["')) :])  # before it, remarks
    return status, set(modules)


def close_buckets(systems: dict[str, Any]) -> None:
    """Close the connections to object stores of the S3 kind."""
    for system in systems.values():
        system.close_session(system.loop, system._s3creator)
    systems.clear()


def end_fsspec() -> None:
    """End the thread of fsspec and those that it started: tests ask whether this process has one thread."""
    import asyncio

    from fsspec import asyn

    loop, thread = asyn.loop[0], asyn.iothread[0]
    if loop is None or thread is None:
        return
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(timeout=30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=30)
    loop.close()
    asyn.loop[0] = asyn.iothread[0] = None
