"""What the commands print: `golden/COMMAND.txt` holds cases, each a command line and what it printed.

A new case is its line, typed where it belongs, then `pytest tests/cli/test_golden.py --update-golden` writes below each
line what is printed now. `COLUMNS=80` before a line means a terminal of that width, without it a pipe. Tabs are shown as
→, escapes as ␛, carriage returns as ␍, a last line without an end as ␄.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paraminspect.cli.app import COMMANDS

FOLDER = Path(__file__).with_name("golden")
REST = "program"
"""The file of command lines without a command that there is."""

NEWER_TYPER = ("Input should be greater than or equal to 0", "-1.0 is not in the range x>=0")
"""What typer says from 0.29 on, in the words of pydantic, and before."""

_VISIBLE = str.maketrans({"\t": "→", "\x1b": "␛", "\r": "␍"})


def read_cases(text: str) -> list[tuple[str, str]]:
    """(line, what it printed), in the order of the file."""
    start, *blocks = re.split(r"(?m)^\$(?: |$)", text)
    assert start == "", "a golden file begins with its first case"
    cases = [block.partition("\n") for block in blocks]
    return [(line, printed.strip("\n")) for line, _, printed in cases]


def write_cases(cases: list[tuple[str, str]]) -> str:
    return "\n".join(f"{f'$ {line}'.strip()}\n{printed}\n" for line, printed in cases)


def split(line: str) -> tuple[list[str], dict[str, str]]:
    """Words, and what stands before them for the environment."""
    words = shlex.split(line)
    environ = dict(word.split("=", 1) for word in words if word.startswith("COLUMNS="))
    return words[len(environ) :], environ


def show(result: Any) -> str:
    parts = [f"[exit {result.status}]"]
    for name, stream in (("stdout", result.stdout), ("stderr", result.stderr)):
        if stream:
            end = "" if stream.endswith("\n") else "␄"
            parts.append(f"[{name}]\n{(stream + end).translate(_VISIBLE).rstrip(chr(10))}")
    return "\n".join(parts)


FILES = {path.stem: read_cases(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.txt"))}
LINES = [(name, line) for name in (*COMMANDS, REST) for line, _ in FILES.get(name, [])]


@pytest.fixture(scope="session")
def printed(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str], str]]:
    """What each case printed in this run, written into the files at its end if that is asked for."""
    seen: dict[tuple[str, str], str] = {}
    yield seen
    if request.config.getoption("--update-golden"):
        for name, cases in FILES.items():
            new = [(line, seen.get((name, line), text)) for line, text in cases]
            (FOLDER / f"{name}.txt").write_text(write_cases(new), "utf-8")


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(("name", "line"), LINES, ids=[line for _, line in LINES])
def test_prints_as_before(
    run: Any, printed: dict[tuple[str, str], str], pytestconfig: pytest.Config, name: str, line: str
) -> None:
    words, environ = split(line)
    shown = show(run(*words, terminal=bool(environ), **environ))
    printed[name, line] = shown.replace(*NEWER_TYPER).replace(Path.cwd().as_uri(), "file:///FOLDER")
    if not pytestconfig.getoption("--update-golden"):
        assert printed[name, line] == dict(FILES[name])[line], "as meant? pytest tests/cli --update-golden"


def test_every_command_has_cases() -> None:
    assert set(FILES) == {*COMMANDS, REST}


@pytest.mark.parametrize("name", FILES)
def test_case_stands_once_and_in_the_file_of_its_command(name: str) -> None:
    lines = [line for line, _ in FILES[name]]
    commands = [next(iter(split(line)[0]), "") for line in lines]
    assert len(set(lines)) == len(lines)
    assert {command if command in COMMANDS else REST for command in commands} == {name}


def test_file_is_written_as_it_was_read() -> None:
    for name, cases in FILES.items():
        assert write_cases(cases) == (FOLDER / f"{name}.txt").read_text("utf-8")


def test_case_may_stand_without_what_it_prints() -> None:
    assert read_cases("$ list a.pt\n$\n[exit 2]\n\n$ tree\n") == [("list a.pt", ""), ("", "[exit 2]"), ("tree", "")]
