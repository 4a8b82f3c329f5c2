"""What has no meaning for a source is refused in the same words by every command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from paraminspect.errors import ParamInspectError
from paraminspect.models.asked import Asked, parse_definitions
from tests.making.running import run_here

COMMANDS = {
    "info": ["info", "w.safetensors"],
    "list": ["list", "w.safetensors"],
    "tree": ["tree", "w.safetensors"],
    "show": ["show", "w.safetensors", "a"],
    "stats": ["stats", "w.safetensors"],
    "shared": ["shared", "w.safetensors"],
    "diff": ["diff", "w.safetensors", "w.safetensors"],
    "check": ["check", "w.safetensors"],
    "convert": ["convert", "w.safetensors", "-o", "out.npz"],
    "init": ["init", "w.safetensors", "--rule", "a=ones"],
}
BUILD = [
    ["-D", "x=1"], ["--modules-file", "m.py"], ["--arg", "x=1"], ["--weights", "x.pt"], ["--strip-prefix", "a."],
    ["--add-prefix", "a."], ["--allow-mismatch"],
]  # fmt: skip
RULES = [["--rule", "a=ones"], ["--config", "c.yaml"], ["--rules-file", "m.py"], ["--seed", "3"], ["--no-init"]]
CASES = [(name, option) for name in COMMANDS for option in BUILD] + [
    (name, option) for name in COMMANDS for option in RULES if name not in ("info", "list", "tree", "init")
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"a": torch.zeros(2)}, "w.safetensors")
    Path("spec.yaml").write_text("vars: {n: 2}\nmodel: [{Linear: [$n, 2]}]\n")


@pytest.mark.parametrize(("name", "option"), CASES, ids=[f"{name} {option[0]}" for name, option in CASES])
def test_a_checkpoint_refuses_what_has_no_meaning_for_it(name: str, option: list[str]) -> None:
    done = run_here(*COMMANDS[name], *option)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: w.safetensors: {option[0]} has no meaning for a checkpoint\n\nhint: ")
    assert not Path("out.npz").exists()


@pytest.mark.parametrize("command", ["list", "stats", "check", "shared"])
def test_of_several_sources_one_has_to_take_an_option(command: str) -> None:
    done = run_here(command, "spec.yaml", "w.safetensors", "-D", "n=3")
    assert (done.status, "has no meaning" in done.stderr) == (0, False)
    done = run_here(command, "w.safetensors", "w.safetensors", "-D", "n=3")
    assert (done.status, done.stderr.count("-D has no meaning for a checkpoint")) == (2, 2)


def test_a_factory_and_a_spec_take_their_own() -> None:
    for kind, asked, hint in (
        ("factory", Asked(define=("n=3",)), "--arg key=value"),
        ("factory", Asked(modules_file="m.py"), "its own code imports what it needs"),
        ("spec", Asked(arguments=("n=3",)), "-D name=value"),
    ):
        with pytest.raises(ParamInspectError, match=f"has no meaning for a {kind}") as caught:
            asked.refuse(kind)  # type: ignore[arg-type]
        assert caught.value.hint == hint


def test_rules_may_change_a_checkpoint_where_they_are_the_purpose() -> None:
    Asked("values", edits=True, rules=("a=ones",), seed=3).refuse("checkpoint")


@pytest.mark.parametrize("option", RULES, ids=lambda option: option[0])
@pytest.mark.parametrize(
    ("command", "with_values"),
    [
        (["check", "spec.yaml"], ["--deep"]),
        (["shared", "spec.yaml"], ["--equal"]),
        (["diff", "spec.yaml", "spec.yaml", "--only", "shapes"], None),
    ],
    ids=lambda words: (words or ["without"])[0],
)
def test_what_initialises_is_refused_where_no_values_are_asked_for(
    command: list[str], with_values: list[str] | None, option: list[str]
) -> None:
    Path("m.py").write_text("def twos(tensor): tensor.fill_(2)\n")
    Path("c.yaml").write_text("init: ['*=ones']\n")
    option = ["--rule", "*=ones"] if option[0] == "--rule" else option
    done = run_here(*command, *option)
    if option == ["--no-init"] and command[0] != "shared":  # rules are planned, and these are not
        assert done.status == 0
        return
    assert (done.status, done.stdout) == (2, "")
    assert f"{option[0]} has no meaning where no values are asked for" in done.stderr
    if with_values is not None:
        assert run_here(*command, *with_values, *option).status in (0, 1)


def test_a_checkpoint_has_no_rules_of_its_own_to_leave_out() -> None:
    done = run_here("init", "w.safetensors", "--rule", "*=ones", "--no-init")
    assert (done.status, done.stdout) == (2, "")
    assert "--no-init has no meaning for a checkpoint" in done.stderr


def test_definitions() -> None:
    assert parse_definitions(["a=1", "b = x=y"]) == {"a": "1", "b": " x=y"}
    for texts in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ParamInspectError, match="-D"):
            parse_definitions(texts)
