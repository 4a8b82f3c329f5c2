"""What a shell is answered, without one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.cli import app
from paraminspect.cli.completion.answer import SHELLS, answer
from paraminspect.cli.completion.install import install_script
from paraminspect.errors import ParamInspectError
from tests.making.safetensors_files import save_shapes

Command = tuple[list[str], dict[str, str]]

NOT_COMPLETED = {
    "--depth", "--slice", "--precision", "--seed", "--shard-size", "--arg", "--strip-prefix",
    "--add-prefix", "--steps", "--tolerance", "--rtol", "--atol", "--metadata", "--batch", "--context", "--shard",
}  # fmt: skip
"""Options whose values are numbers or texts of the user's own."""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    save_shapes(tmp_path / "model.safetensors", {name: [2, 0] for name in ("h.0.w", "h.0.b", "h.1.w", "out")})
    save_shapes(tmp_path / "other.safetensors", {"other": [2, 0]})

    def ask_line(line: str, shell: str = "bash", **more: str) -> list[str]:
        before, _, behind = line.partition("▮")
        environ = {"_PARAMINSPECT_COMPLETE": f"complete_{shell}", "_PARAMINSPECT_BEFORE": f"paraminspect {before}"}
        return answer({**environ, "_PARAMINSPECT_BEHIND": behind, **more}, app.make_group()).splitlines()

    return ask_line


def test_every_option_is_completed_or_known_not_to_be() -> None:
    group = app.make_group()
    for name in app.COMMANDS:
        command = group.get_command(None, name)
        for each in command.params:
            takes_value = each.param_type_name == "argument" or not each.is_flag
            if takes_value and not each.hidden:
                label = each.opts[0]
                assert (each.name in command.declared.marks) != (label in NOT_COMPLETED), f"{name} {label}"


def test_an_engine_is_one_of_a_few_words_or_a_file(ask: Any) -> None:
    assert [each.split("\t")[1] for each in ask("stats model.safetensors --engine ")] == ["local", "dask", "dask://"]
    assert [each.split("\t")[1] for each in ask("stats model.safetensors --engine das")] == ["dask", "dask://"]
    assert len(ask("stats model.safetensors --engine oth")) == 1


def test_the_columns_of_every_command_are_completed(ask: Any) -> None:
    due = {
        "info": "training", "list": "numel", "shared": "saved", "init": "fan_in", "grad": "norm_ratio", "stats": "q99", "diff": "cosine",
        "check": "severity", "convert": "from_dtype", "rules": "selector",
    }  # fmt: skip
    for command, column in due.items():
        assert ask(f"{command} --columns name,{column}") == [f"part\tname,{column}"]
        assert ask(f"{command} --columns {column},{column}") == []


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("li", ["word\tlist"]),
        ("--ver", ["word\t--version"]),
        ("--show-completion f", ["word\tfish"]),
        ("nonsense ", []),
        ("list ", ["files"]),
        ("list -", None),
        ("list --he", ["word\t--header", "word\t--help"]),
        ("--h", ["word\t--help"]),
        ("list x --sel", ["word\t--select"]),
        ("list x --total --tot", []),
        ("list x --head", ["word\t--header"]),
        ("list x --no-h▮ --select y", ["word\t--no-header"]),
        ("list x --no-h", ["word\t--no-header"]),
        ("list x -w ", ["files"]),
        ("list hf://", []),
        ("list x --depth ", []),
        ("list x --sort n", ["word\tname", "word\tnumel", "word\tnbytes"]),
        ("list x -rsh", []),
        ("list model.safetensors -rsou", ["word\t-rsout"]),
        ("list model.safetensors -- ", ["files"]),
        ("list model.safetensors -s 'h.*", []),
        ("list model.safetensors -s /h", []),
        ("list model.safetensors other.safetensors -s o", ["word\tother", "word\tout"]),
        ("diff model.safetensors other.safetensors -s o", ["word\tother", "word\tout"]),
        ("diff model.safetensors ", ["files"]),
        ("diff model.safetensors other.safetensors ", []),
        ("show model.safetensors h.0.b h.0.", ["word\th.0.w"]),
        ("list -s ou▮ model.safetensors", ["word\tout"]),
        ("list -s ou▮t model.safetensors", ["word\tout"]),
        ("list model.safetensors -m ", ["part\th."]),
        ("list model.safetensors -m h.", ["word\th.0", "word\th.1"]),
        ("tree model.safetensors -m h -s 0.", ["word\t0.b", "word\t0.w"]),
        ("shared model.safetensors --expect out,h.0.", ["word\tout,h.0.b", "word\tout,h.0.w"]),
        ("shared model.safetensors --expect out,ou", []),
        ("convert model.safetensors --rename ou", ["part\tout="]),
        ("convert model.safetensors --rename out=", []),
        ("init model.safetensors --rule 'out=kaiming_n", ["word\tout=kaiming_normal"]),
        ("init model.safetensors --rule 'out=cons", ["part\tout=constant"]),
        ("init spec.yaml --rule ", ["word\tgaussian", "word\tflat", "part\t0.bias=", "part\t0.weight="]),
        ("init model.safetensors --config spec.yaml --rule g", ["word\tgaussian"]),
        ("init ~/spec.yaml --rule f", ["word\tflat"]),
        ("init $HOME/spec.yaml --rule f", ["word\tflat"]),
        ("init pipe --rule g", []),
        ("list pipe -D s", []),
        ("list pipe -s s", []),
        ("list spec.yaml -D ", ["part\twide=", "part\tsteep="]),
        ("list spec.yaml -D wide=3 -D ", ["part\tsteep="]),
        ("list model.safetensors -D ", []),
        ("grad lazy.yaml -w model.safetensors --freeze o", ["word\tout"]),
        ("list lazy.yaml -w model.safetensors --add-prefix net. -s net.o", ["word\tnet.out"]),
        ("stats model.safetensors --fail-on nan,i", ["part\tnan,inf"]),
        ("grad spec.yaml --fail-on no", ["part\tnone"]),
        ("grad spec.yaml --device c", ["word\tcpu", "word\tcuda"]),
        ("grad spec.yaml --loss m", ["word\tmean", "word\tmse"]),
        ("check x --ignore zip-dup", ["word\tzip-duplicate"]),
        ("rules ", ["files"]),
        ("show nowhere w", []),
        ("show . w", []),
        ("show hf://org/name w", []),
        ("show - w", []),
        ("show /dev/zero w", []),
        ("show spec.yaml w", []),
        ("show spec.yaml 0.", ["word\t0.bias", "word\t0.weight"]),
        ("list spec.yaml -D wide=3 -s 0.w", ["word\t0.weight"]),
        ("show spec.yaml -D narrow=3 0.", []),
        ("show lazy.yaml 0.", []),
        ("list -fmark", ["word\t-fmarkdown"]),
    ],
)
def test_answers(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, due: list[str] | None) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "spec.yaml").write_text(
        "vars: {wide: 2, steep: 1}\nmodel: [{Linear: [2, 2]}]\ninit: {gaussian: ['*=normal'], flat: ['*=zeros']}\n"
    )
    (tmp_path / "lazy.yaml").write_text("model: [{LazyLinear: 2}]\ninput: [1, 2]\n")
    found = ask(line)
    assert found == due if due is not None else {"word\t--select", "word\t--all"} <= set(found)


@pytest.mark.parametrize(
    "environ",
    [
        {"_PARAMINSPECT_COMPLETE": "complete_tcsh"},
        {"_PARAMINSPECT_COMPLETE": "nonsense"},
        {"_PARAMINSPECT_COMPLETE": "complete_bash"},
        {"_PARAMINSPECT_COMPLETE": "complete_bash", "_PARAMINSPECT_BEFORE": ""},
        {"_PARAMINSPECT_COMPLETE": "complete_bash", "_PARAMINSPECT_BEFORE": "paraminspect show \0 x"},
    ],
)
def test_an_odd_question_has_an_answer(environ: dict[str, str]) -> None:
    answer(environ, app.make_group())


def test_help_keeps_its_brackets(ask: Any) -> None:
    (line,) = ask("list --head", shell="zsh")
    assert line.startswith("word\t--header\t")
    assert "[default" in line


def test_buffers_are_offered_where_they_are_shown(ask: Any, tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(1)}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}}}, "t.pt")
    assert ask("list t.pt -s ") == ["word\tmodel.w"]
    assert ask("list t.pt --all -s ") == ["part\tmodel.", "part\toptimizer."]
    assert ask("show t.pt ") == ["part\tmodel.", "part\toptimizer."]


@given(names=st.lists(st.text(max_size=6), max_size=8, unique=True), typed=st.text(max_size=3))
@settings(max_examples=40)
def test_no_name_adds_a_line_or_a_field(tmp_path_factory: Any, names: list[str], typed: str) -> None:
    names = [name for name in names if name.encode("utf-8", "ignore").decode() == name and name != "__metadata__"]
    path = save_shapes(tmp_path_factory.getbasetemp() / "fuzz.safetensors", {name: [0] for name in names})
    group = app.make_group()
    for shell in SHELLS:
        before = f"paraminspect show {path} {typed}"
        environ = {"_PARAMINSPECT_COMPLETE": f"complete_{shell}", "_PARAMINSPECT_BEFORE": before}
        for line in answer(environ, group).splitlines():
            assert line == "files" or line.split("\t")[0] in ("word", "part")
            assert line.replace("\t", "").isprintable()
            assert line.count("\t") <= 2


@given(line=st.text(), breaks=st.text(max_size=4))
def test_any_line_has_an_answer(line: str, breaks: str) -> None:
    environ = {"_PARAMINSPECT_BEFORE": f"paraminspect {line}", "_PARAMINSPECT_BREAKS": breaks}
    answer({"_PARAMINSPECT_COMPLETE": "complete_bash", **environ}, app.make_group())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_and_installed(command: Command, tmp_path: Path, shell: str) -> None:
    program, environ = command

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        home = {**environ, "HOME": str(tmp_path / "home")}
        return subprocess.run([*program, *arguments], env=home, capture_output=True, text=True, check=True, timeout=60)

    script = run("--show-completion", shell).stdout
    assert "_PARAMINSPECT_COMPLETE=complete_" in script
    start = tmp_path / "home" / {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".profile"}[shell]
    start.parent.mkdir()
    start.write_text("# the user's own")
    said = run("--install-completion", shell)
    assert said.stdout == ""
    (written,) = (path for path in start.parent.rglob("*paraminspect*") if path.is_file())
    assert written.read_text() == script
    assert said.stderr.startswith(f"{written} is written")
    text = start.read_text()
    assert text.startswith("# the user's own")
    assert len(text.splitlines()) == (1 if shell == "fish" else 2)
    run("--install-completion", shell)
    assert start.read_text() == text


@pytest.mark.parametrize("shell", SHELLS)
def test_where_the_script_cannot_be_written_is_no_bug(tmp_path: Path, shell: str) -> None:
    home = tmp_path / "home"
    home.write_text("a file, and no folder")
    with pytest.raises(ParamInspectError, match=f"{home}.* is a file, not a folder") as caught:
        install_script(shell, {"HOME": str(home)})
    assert caught.value.hint == f"paraminspect --show-completion {shell} prints the script"


def test_a_shell_without_completion_is_named(command: Command) -> None:
    program, environ = command
    done = subprocess.run(
        [*program, "--show-completion", "tcsh"], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "'tcsh' is not one of" in done.stderr
    assert "Traceback" not in done.stderr
