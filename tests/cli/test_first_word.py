"""The first word of a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paraminspect.cli.app import COMMANDS
from paraminspect.cli.first_word import BEFORE, OPTIONS, WORDS, explain_option, is_source, with_command
from paraminspect.errors import ParamInspectError


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_goes_before_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    assert with_command([name, "x.pt"], COMMANDS) == [name, "x.pt"]
    assert with_command([f"./{name}"], COMMANDS) == ["info", f"./{name}"]


@pytest.mark.parametrize("word", ["-", "model.pt", "a/b", "hf://org/name", "pkg:make", "./list", "folder/"])
def test_what_looks_like_a_source(word: str) -> None:
    assert is_source(word)
    assert with_command([word, "-f", "json"], COMMANDS) == ["info", word, "-f", "json"]


@pytest.mark.parametrize("word", ["model", "summary", "keys"])
def test_a_file_that_is_there(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_source(word)
    Path(word).touch()
    assert with_command([word, "b"], COMMANDS) == ["info", word, "b"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("summary m.pt", "paraminspect info m.pt"),
        ("keys m.pt", "paraminspect list m.pt -f names"),
        ("metadata m.pt", "paraminspect info m.pt"),
        ("ls", "paraminspect list SOURCE"),
        ("compare a.pt b.pt", "paraminspect diff a.pt b.pt"),
        ("--json m.pt", "paraminspect info m.pt -f json"),
        ("--json list m.pt", "paraminspect list m.pt -f json"),
        ("--keys m.pt", "paraminspect list m.pt -f names"),
        ("lst m.pt", "did you mean paraminspect list m.pt?"),
        ("metadta m.pt", "did you mean paraminspect info m.pt?"),
        ("gpt2 --all", "did you mean paraminspect gpt2.pt --all?"),
    ],
)
def test_what_does_not_run_says_what_would(
    typed: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpt2.pt").touch()
    with pytest.raises(ParamInspectError) as error:
        with_command(typed.split(), COMMANDS)
    assert error.value.hint == meant


def test_a_hint_can_be_copied() -> None:
    with pytest.raises(ParamInspectError) as error:
        with_command(["summary", "my model.pt"], COMMANDS)
    assert error.value.hint == "paraminspect info 'my model.pt'"


def test_options_of_the_program_stay() -> None:
    assert with_command(["--version"], COMMANDS) == ["--version"]
    assert with_command(["--json"], COMMANDS) == ["--json"]


def test_no_word_is_a_command_and_each_leads_to_one() -> None:
    assert not set(WORDS) & set(COMMANDS)
    assert {meant.split()[0] for meant in (*WORDS.values(), *BEFORE.values())} <= set(COMMANDS)


def test_an_option_of_another_tool() -> None:
    assert explain_option("--json", ["list", "m.pt", "--json"]) == "paraminspect list m.pt -f json"
    assert explain_option("--grep", ["list", "--grep", "*x", "m.pt"]) == "paraminspect list --select '*x' m.pt"
    assert explain_option("--unheard", ["list", "--unheard"]) is None


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("command", ["list", "info", "stats"])
def test_no_option_of_ours_is_one_of_theirs(command: str, option: str, run: Any, tmp_path: Path) -> None:
    """Each is refused, with the whole command."""
    result = run(command, "x.pt", option)
    assert result.status == 2
    assert f"hint: paraminspect {command} x.pt" in result.stderr


@pytest.mark.usefixtures("workplace")
def test_a_bare_source_is_info(run: Any) -> None:
    bare = run("before.safetensors", "after.safetensors", "-f", "json")
    assert bare.status == 0
    assert bare == run("info", "before.safetensors", "after.safetensors", "-f", "json")
