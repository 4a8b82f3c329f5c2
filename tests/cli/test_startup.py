"""What a run imports: the quick path never pays for the slow one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paraminspect.architecture.torch_version import prints_as_told
from tests.making.running import modules_after
from tests.making.safetensors_files import save_shapes

HEAVY = {"torch", "numpy", "rich", "safetensors", "ml_dtypes", "yaml", "fsspec"}
"""Packages that no command on a file may load."""

TYPER = """
import sys, typer
app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command()(lambda: None)
typer.main.get_command(app).main([], standalone_mode=False)
print(*sys.modules)
"""
BROUGHT = subprocess.run([sys.executable, "-c", TYPER], capture_output=True, text=True, check=True).stdout.split()
"""What typer itself loads to run a command: pathlib, shutil, inspect and the like; from 0.29 on, pydantic."""

SLOW = {
    "csv", "logging", "tempfile", "concurrent.futures", "asyncio", "unicodedata", "pickle", "tarfile", "email",
    "dataclasses", "hashlib", "importlib.resources",
} - {*BROUGHT}  # fmt: skip
"""Modules that `list FILE` in a pipe may not load."""

MOST_MODULES = 75
"""Of our own that `list FILE` loads: each takes 0.1 ms and more."""


Command = tuple[list[str], dict[str, str]]


def loaded(*arguments: object, before: str = "", **environ: str) -> set[str]:
    """What a command line that does its work imports."""
    status, modules = modules_after(*arguments, before=before, **environ)
    assert status == 0
    return modules


COMMANDS = [
    ["list"],
    ["list", "--format", "table"],
    ["list", "--format", "json"],
    ["list", "--depth", "1"],
    [],
    ["info", "--format", "table"],
    ["info", "--format", "json"],
    ["tree"],
    ["check"],
    ["shared"],
    ["shared", "--equal"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_command_on_a_file_loads_what_is_heavy(model: Path, arguments: list[str]) -> None:
    assert not HEAVY & loaded(*arguments, model)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nor_where_names_are_not_ascii_and_layers_are_folded(tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "m.safetensors"
    save_shapes(path, {f"層.{number}.{name}": [2, 0] for number in range(6) for name in ("e\u0301", "weight")})
    assert not HEAVY & loaded(*arguments, path)


def test_check_of_a_file_loads_nothing_of_rules(model: Path) -> None:
    rules = {"paraminspect.rules.sets", "paraminspect.rules.parse", "paraminspect.architecture.model"}
    assert not rules & loaded("check", model)
    assert rules <= loaded("check", model, before="import paraminspect.rules.sets")


def test_list_in_a_pipe_loads_only_what_it_needs(model: Path) -> None:
    modules = loaded("list", model)
    assert not SLOW & modules
    assert "paraminspect.cli.commands.list" in modules
    assert "paraminspect.cli.commands.tree" not in modules
    assert "paraminspect.render.table" not in modules
    assert len([name for name in modules if name.startswith("paraminspect")]) <= MOST_MODULES


def test_report_of_a_spec_loads_nothing_that_looks_into_files(tmp_path: Path) -> None:
    modules = loaded("report", "--no-values", "configs/mlp.yaml", "-o", tmp_path / "page.html")
    assert not (HEAVY - {"yaml"} | {"importlib.resources", "zipfile", "hashlib"}) & modules
    assert not {"paraminspect.checks.container", "paraminspect.checks.traces"} & modules
    written = {
        "writers.whole_files",
        "writers.layout",
        "formats.source",
        "formats.loaders",
        "engines.pool",
        "files.far",
    }
    assert not {f"paraminspect.{name}" for name in written} & modules
    assert {"paraminspect.checks.headers", "paraminspect.writers.small_file"} <= modules


TREE = pytest.param("tree", marks=pytest.mark.skipif(not prints_as_told(), reason="layers print as this torch has it"))


@pytest.mark.parametrize("command", ["list", TREE, "info", "shared", "rules", "init --dry-run"])
def test_a_spec_of_known_layers_loads_a_parser_of_yaml_and_nothing_else(command: str) -> None:
    assert HEAVY & loaded(*command.split(), "configs/gpt2.yaml") == {"yaml"}


@pytest.mark.parametrize("arguments", [["-h"], ["list", "-h"], ["--version"]], ids=" ".join)
def test_help_loads_no_reader(arguments: list[str]) -> None:
    modules = loaded(*arguments)
    assert not HEAVY & modules
    assert not any(name.startswith("paraminspect.formats") for name in modules)


def test_probe_can_fail(model: Path) -> None:
    """Otherwise the tests above prove nothing."""
    assert "numpy" in loaded("list", model, before="import numpy") & HEAVY
    assert "rich" in loaded("list", model, before="import rich.table") & HEAVY
    assert "pickle" in loaded("list", model, before="import pickle") & SLOW


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("line", ["tr", "list --format js", "show {model} h.", "show configs/gpt2.yaml tr"])
def test_completion_loads_neither_torch_nor_rich(model: Path, shell: str, line: str) -> None:
    before = f"paraminspect {line.format(model=model)}"
    environ = {"_PARAMINSPECT_COMPLETE": f"complete_{shell}", "_PARAMINSPECT_BEFORE": before}
    needed = {"yaml"} if "gpt2.yaml" in line else set()
    assert not ((HEAVY | SLOW) - needed) & loaded(**environ)


def test_completion_of_a_spec_loads_no_reader_of_files(model: Path) -> None:
    def of(source: object) -> set[str]:
        before = f"paraminspect show {source} "
        return loaded(_PARAMINSPECT_COMPLETE="complete_zsh", _PARAMINSPECT_BEFORE=before)

    readers = {"paraminspect.formats.source", "paraminspect.formats.foreign", "paraminspect.formats.pickles.plain"}
    assert not readers & of("configs/gpt2.yaml")
    assert "paraminspect.formats.source" in of(model)


def test_main_can_be_imported_in_no_time() -> None:
    """Ctrl-C shows a traceback until it is: typing alone would double that time."""
    source = str(Path(__file__).parents[2] / "src")
    script = f"import sys; sys.path.insert(0, {source!r}); import paraminspect.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert not {"typing", "re", "collections", "signal"} & set(done.stdout.split())
