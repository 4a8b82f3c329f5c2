"""Command lines run in this process on made-up checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from paraminspect import formats
from paraminspect.cli import progress
from paraminspect.errors import SourceError, TruncatedError
from paraminspect.formats.source import open_source as open_file
from paraminspect.records import Checkpoint
from tests.making.checkpoints import CHECKPOINTS
from tests.making.running import Command, Result, program, run_here
from tests.making.safetensors_files import save_shapes
from tests.making.small_files import CODE, FILES, HOSTILE, SPECS


def open_stub(source: str) -> Checkpoint:
    if source in FILES:
        return open_file(source)
    if source == "broken.pt":
        raise TruncatedError("the file ends at byte 7", hint="fetch it again", source=source)
    if source == "bug.pt":
        raise ZeroDivisionError("division by zero")
    if source == "deep.pt":
        raise RecursionError
    if source == "big.pt":
        raise MemoryError
    if source not in CHECKPOINTS and os.path.exists(source):
        return open_file(source)
    if source not in CHECKPOINTS:
        raise SourceError("no such file or folder", source=source)
    return CHECKPOINTS[source]()._replace(source=source)


CONFIGS = Path(__file__).parents[2] / "configs"
HONEST = Path(__file__).parents[1] / "honest"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a command line: specs that are wrong, a Python file, and `configs`."""
    for name, text in {**SPECS, **CODE}.items():
        (tmp_path / name).write_text(text, "utf-8")
    for name, make in FILES.items():
        (tmp_path / name).write_bytes(make())
    for name, data in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "configs").symlink_to(CONFIGS)
    (tmp_path / "honest").symlink_to(HONEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line: `run("list", "gpt2.safetensors", terminal=True, COLUMNS="60")`. It shows no progress."""
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 600)

    def run_line(*arguments: str, terminal: bool = False, encoding: str = "utf-8", **environ: str) -> Result:
        monkeypatch.setattr(formats, "open_source", open_stub)
        return run_here(*arguments, terminal=terminal, encoding=encoding, **environ)

    return run_line


@pytest.fixture
def command() -> Command:
    return program()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a few tensors."""
    return save_shapes(tmp_path / "model.safetensors", {f"h.{i}.weight": [i, 0] for i in range(3)})


@pytest.fixture
def large_model(tmp_path: Path) -> Path:
    """A model that prints more text than a pipe holds, in every format."""
    return save_shapes(tmp_path / "large.safetensors", {f"layers.{i}.weight": [i, 0] for i in range(10_000)})
