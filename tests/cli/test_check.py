"""`check` as a command: exit statuses, streams, formats, several sources."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from paraminspect.checks.codes import CODES, SEVERITIES
from paraminspect.render.sarif import render_sarif

Command = tuple[list[str], dict[str, str]]

pytestmark = pytest.mark.usefixtures("workplace")

EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."


@pytest.fixture(autouse=True)
def files(workplace: Path) -> None:
    (workplace / "evil.pkl").write_bytes(EVIL)
    torch.save({"a.weight": torch.ones(2)}, workplace / "good.pt")
    torch.save(torch.nn.Identity(), workplace / "empty.pt")
    safetensors.torch.save_file({"a": torch.ones(2)}, workplace / "cut.safetensors")
    (workplace / "cut.safetensors").write_bytes((workplace / "cut.safetensors").read_bytes()[:-1])
    (workplace / "unknown.pt").write_bytes(b"\x80\x02cmy.code\nThing\n.")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["good.pt"], 0),
        (["evil.pkl"], 1),
        (["cut.safetensors"], 1),
        (["unknown.pt"], 0),
        (["unknown.pt", "--fail-on", "warning"], 1),
        (["cut.safetensors", "--fail-on", "danger"], 0),
        (["evil.pkl", "--fail-on", "danger"], 1),
        (["evil.pkl", "--fail-on", "never"], 0),
        (["evil.pkl", "--ignore", "pickle-danger"], 0),
        (["nowhere.pt"], 2),
        (["nowhere.pt", "evil.pkl"], 2),
        (["good.pt", "evil.pkl"], 1),
        (["good.pt", "--rule", "*=zeros"], 2),
        (["good.pt", "-D", "a=1"], 2),
        (["configs/mlp.yaml"], 0),
        (["configs/my_model.py:MyModel", "--fail-on", "warning"], 1),
        (["configs/mlp.yaml", "--deep", "--rule", "*=zeros", "--fail-on", "warning"], 1),
        (["good.pt", "--deep"], 0),
    ],
    ids=str,
)
def test_exit_status(arguments: list[str], status: int, run: Any) -> None:
    assert run("check", *arguments).status == status
    quiet = run("check", "-q", *arguments)
    assert (quiet.status, quiet.stdout) == (status, "")
    assert bool(quiet.stderr) is (status == 2)


def test_rows(run: Any) -> None:
    result = run("check", "evil.pkl", "--header")
    header, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == ["source", "severity", "code", "name", "message", "hint"]
    assert rows[0][:4] == ["evil.pkl", "danger", "pickle-danger", ""]
    assert rows[0][4] == "calls posix.system('id') at byte 24: runs commands and touches files"
    assert run("check", "good.pt").stdout == ""


def test_json(run: Any) -> None:
    document = json.loads(run("check", "evil.pkl", "-f", "json").stdout)
    assert list(document["findings"][0]) == ["source", "severity", "code", "name", "message", "hint"]
    assert document["worst"] == "danger"
    assert document["totals"] == {"info": 0, "warning": 1, "error": 0, "danger": 1}
    several = json.loads(run("check", "evil.pkl", "good.pt", "-f", "json").stdout)
    assert [(each["source"], each["worst"]) for each in several["sources"]] == [
        ("evil.pkl", "danger"),
        ("good.pt", None),
    ]
    assert json.loads(run("check", "nowhere.pt", "-f", "json").stdout or "null") is None


def test_sarif_says_where_and_how_bad(run: Any) -> None:
    document = json.loads(run("check", "evil.pkl", "unknown.pt", "-f", "sarif").stdout)
    assert document["version"] == "2.1.0"
    (run_,) = document["runs"]
    rules = run_["tool"]["driver"]["rules"]
    assert run_["tool"]["driver"]["name"] == "paraminspect"
    assert {rule["id"] for rule in rules} <= set(CODES)
    for result in run_["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"note", "warning", "error"}
        assert result["message"]["text"]
    first = run_["results"][0]
    physical = first["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "evil.pkl", "uriBaseId": "%SRCROOT%"}
    assert EVIL[physical["region"]["byteOffset"]] == ord("R")
    assert first["properties"] == {"severity": "danger"}


def test_sarif_of_nothing_found_is_whole(run: Any) -> None:
    (only,) = json.loads(run("check", "good.pt", "-f", "sarif").stdout)["runs"]
    assert only["results"] == []
    assert only["tool"]["driver"]["rules"] == []


def test_every_code_has_a_severity_and_a_rule() -> None:
    assert all(code.severity in SEVERITIES and code.title for code in CODES.values())
    assert "".join(render_sarif([], CODES, "1"))


def test_a_terminal_gets_paragraphs(run: Any) -> None:
    result = run("check", "evil.pkl", "good.pt", terminal=True, COLUMNS="60", NO_COLOR="1")
    assert all(len(line) <= 60 for line in result.stdout.splitlines())
    assert "danger pickle-danger\n  calls posix.system('id') at byte 24: runs commands and\n" in result.stdout
    assert result.stdout.endswith("\n\ngood.pt\nnothing found (1 tensor, torch zip)\n")


def test_names_are_escaped(run: Any, workplace: Path) -> None:
    (workplace / "odd.pkl").write_bytes(b"\x80\x04\x8c\x06a\x1b[2Jb\x8c\x03f\ng\x93.")
    for terminal in (False, True):
        result = run("check", "odd.pkl", terminal=terminal, NO_COLOR="1")
        assert "\x1b" not in result.stdout
        assert "f\ng" not in result.stdout


def test_a_code_that_there_is_not(run: Any) -> None:
    result = run("check", "good.pt", "--ignore", "pickle-dnager")
    assert result.status == 2
    assert "did you mean pickle-danger?" in result.stderr


def test_pipes(command: Command, workplace: Path) -> None:
    words, environ = command
    evil = subprocess.run(
        [*words, "check", "-"], input=EVIL, capture_output=True, check=False, env=environ, cwd=workplace, timeout=60
    )
    assert (evil.returncode, evil.stdout.split(b"\t")[:3]) == (1, [b"-", b"danger", b"pickle-danger"])
    line = f"{' '.join(words)} check <(cat evil.pkl) | head -0"
    shell = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=False, env=environ, cwd=workplace, timeout=60
    )
    assert (shell.returncode, shell.stderr) == (0, b"")


def test_a_file_is_checked_without_torch_or_numpy(command: Command, workplace: Path) -> None:
    words, environ = command
    script = (
        "import sys; from paraminspect.cli.app import run; code = run(['check', 'evil.pkl', '-q']); "
        "sys.exit(code if not {'torch', 'numpy', 'rich', 'pickle'} & set(sys.modules) else 9)"
    )
    done = subprocess.run([words[0], "-c", script], check=False, env=environ, cwd=workplace, timeout=60)
    assert done.returncode == 1
    probe = script.replace("'-q'", "'-q', '--deep'").replace("evil.pkl", "good.pt")  # which does import numpy
    assert subprocess.run([words[0], "-c", probe], check=False, env=environ, cwd=workplace, timeout=60).returncode == 9


def test_a_rule_that_matches_nothing_is_named(run: Any, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("model: [{Linear: [2, 2]}]\n")
    answers = {
        run(*words, str(tmp_path / "net.yaml"), "--rule", "nothing=ones") for words in (["check", "--deep"], ["stats"])
    }
    assert answers == {(1, "", "note: rule 1 (nothing=ones) matches no parameter\n")}


def test_list_and_check_say_what_nobody_uses(workplace: Path, run: Any) -> None:
    torch.save({"a": torch.ones(1000, 300)[:3]}, workplace / "views.pt")
    said = "1,196,400 of 1,200,000 bytes of tensor data are used by no tensor: 'a' is a view"
    for more in ((), ("--total",), ("-f", "json")):
        assert said in run("list", "views.pt", *more).stderr
    assert said in run("check", "views.pt").stdout
    assert run("list", "good.pt").stderr == ""


def test_a_terminal_gets_the_first_findings_and_a_pipe_all(workplace: Path, run: Any) -> None:
    torch.save({f"{number}.weight": torch.zeros(2, number + 1) for number in range(32)}, workplace / "zeros.pt")
    shown = run("check", "--deep", "zeros.pt", terminal=True).stdout
    assert shown.count("all-zero in") == 20
    assert "\nand 12 more findings; a pipe or -f tsv gets all\n" in shown
    assert "32 warnings" in shown
    for more in ((), ("-f", "table")):
        assert run("check", "--deep", "zeros.pt", *more).stdout.count("all-zero") == 32
