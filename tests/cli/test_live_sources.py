"""Specs and factories as sources: recognised by content, and torch only where it is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.making.running import modules_after, run_apart

Command = tuple[list[str], dict[str, str]]


@pytest.mark.parametrize("name", ["duplicate_key", "cycle", "repeat", "power", "unknown_variable", "undefined_use", "glob"])  # fmt: skip
@pytest.mark.usefixtures("workplace")
def test_what_is_wrong_with_a_spec_is_said_without_torch(name: str) -> None:
    status, modules = modules_after("list", f"{name}.yaml")
    assert status == 2
    assert "torch" not in modules
    assert "paraminspect.architecture.parse" in modules


@pytest.mark.usefixtures("workplace")
def test_probe_sees_torch() -> None:
    status, modules = modules_after("show", "configs/mlp.yaml", "0.bias")
    assert status == 0
    assert "torch" in modules


def test_values_of_a_file_are_shown_without_torch(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3)}, tmp_path / "m.pt")
    status, modules = modules_after("show", str(tmp_path / "m.pt"), "a")
    assert status == 0
    assert "torch" not in modules
    assert "numpy" in modules


def test_list_of_a_file_imports_nothing_of_specs(model: Path) -> None:
    _, modules = modules_after("list", str(model))
    assert not [name for name in modules if name.startswith(("paraminspect.architecture", "paraminspect.live", "yaml"))]


@pytest.mark.parametrize("name", ["model", "model.txt", "model.pt", "model.json"])
def test_the_name_of_a_spec_does_not_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("model: [{Linear: [4, 3]}]\n")
    assert run_apart("list", str(tmp_path / name), "--format", "names")[1] == "0.weight\n0.bias\n"


@pytest.mark.parametrize("name", ["model.yaml", "build.json"])
def test_a_checkpoint_called_like_a_spec_is_a_checkpoint(model: Path, name: str) -> None:
    renamed = model.rename(model.with_name(name))
    assert run_apart("list", str(renamed), "--format", "names")[1].startswith("h.0.weight\n")


@pytest.mark.parametrize("words", [["list", "-", "--select"], ["stats", "-", "--select"]])
def test_a_base_class_selects(words: list[str]) -> None:
    spec = b"model: [{Conv2d: [1, 2, 3]}, {Linear: [2, 1]}]\n"
    status, stdout, _ = run_apart(*words, "_ConvNd:*", stdin=spec)
    assert status == 0
    assert [line.partition("\t")[0] for line in stdout.splitlines()] == ["0.weight", "0.bias"]


@pytest.mark.parametrize("text", [b"model: [{Linear: [4, 3]}]\n", b'{"model": [{"Linear": [4, 3]}]}'])
def test_spec_from_standard_input(text: bytes) -> None:
    assert run_apart("list", "-", "--format", "names", stdin=text) == (0, "0.weight\n0.bias\n", "")
    assert run_apart("tree", "-", stdin=text)[1].startswith("Sequential(")


def test_mistake_in_a_spec_from_standard_input() -> None:
    assert run_apart("list", "-", stdin=b"model:\n  - RELU\n") == (
        2, "", "error: -:2:5: unknown type RELU\n\nhint: did you mean ReLU?\n",
    )  # fmt: skip


@pytest.mark.parametrize("command_name", ["list", "tree"])
def test_checkpoint_from_standard_input_still_works(model: Path, command_name: str) -> None:
    status, stdout, stderr = run_apart(command_name, "-", stdin=model.read_bytes())
    assert (status, stderr) == (0, "")
    assert "0" in stdout


@pytest.mark.parametrize(
    ("data", "due"), [(b"hello\n", "the file is text"), (b"", "the file is empty"), (b"x\n" * 2_000_000, "is text")]
)
@pytest.mark.parametrize("command_name", ["list", "tree"])
def test_anything_else_from_standard_input(data: bytes, due: str, command_name: str) -> None:
    status, stdout, stderr = run_apart(command_name, "-", stdin=data)
    assert (status, stdout) == (2, "")
    assert stderr.startswith("error: -: ")
    assert due in stderr


@pytest.mark.usefixtures("workplace")
def test_shapes_that_do_not_fit_name_the_layer_and_the_shapes() -> None:
    status, stdout, stderr = run_apart("tree", "forward.yaml", "--with-shapes")
    assert (status, stdout) == (2, "")
    assert re.match(r"error: forward\.yaml:4:\d+: .*body\.1.*\[2,3\].*\[2,4\]", stderr)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_config_fits_eighty_columns(run: object, path: Path) -> None:
    result = run("tree", str(path), terminal=True, COLUMNS="80", NO_COLOR="1")  # type: ignore[operator]
    assert (result.status, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80


CONFIG = "vars: {sd: 0.1}\ninit: {wide: ['*weight=constant(sd)']}\n"


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(
    "line",
    ["stats {} -c name,min --select *.weight", "convert {} -o o.safetensors", "check {} --deep", "grad {} -c name"],
)
def test_a_definition_that_only_the_config_has_reaches_it(run: Any, line: str) -> None:
    Path("sets.yaml").write_text(CONFIG)
    words = f"{line.format('configs/mlp.yaml')} --config sets.yaml --rule wide -D sd=0.25".split()
    result = run(*words)
    assert (result.status, "error" in result.stderr) == (0, False), result.stderr
    if words[0] == "stats":
        assert result.stdout == "0.weight\t0.25\n2.weight\t0.25\n"


def test_rule_sets_from_a_pipe_need_no_model() -> None:
    due = (0, "wide\t1\t*weight\tconstant\tval=sd\t2\n", "")
    assert run_apart("rules", "-", stdin=CONFIG.encode()) == due
    assert run_apart("rules", "-", stdin=f"model: [ReLU]\n{CONFIG}".encode())[1] == due[1].replace("\t2\n", "\t3\n")
    for data in (b"\0" * 100, b"PK\x03\x04 \0"):
        status, stdout, stderr = run_apart("rules", "-", stdin=data)
        assert (status, stdout) == (2, "")
        assert stderr.startswith("error: -: neither a spec nor a config\n")


@pytest.mark.usefixtures("workplace")
def test_the_sides_of_diff_are_initialised_by_rules(run: Any) -> None:
    run("init", "configs/mlp.yaml", "--rule", "*=constant(2)", "-o", "two.safetensors")
    rule = ("--rule", "*=constant(2)")
    assert run("diff", "configs/mlp.yaml", "two.safetensors", *rule).status == 0
    assert run("diff", "configs/mlp.yaml", "two.safetensors", *rule, "--rule", "0.bias=zeros", "-c", "name") == (
        1, "0.bias\n", "",
    )  # fmt: skip
    refused = run("diff", "two.safetensors", "two.safetensors", *rule)
    assert refused.status == 2
    assert "--rule has no meaning for a checkpoint" in refused.stderr


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("command_name", ["list", "tree"])
def test_a_module_without_tensors_is_a_module(run: Any, command_name: str) -> None:
    result = run(command_name, "configs/mlp.yaml", "--module", "1")
    assert result.status == 0
    assert "error" not in result.stderr
    assert run(command_name, "configs/mlp.yaml", "--module", "3").status == 2
    assert run("list", "configs/mlp.yaml", "--module", "1").stderr == "note: 1 has no tensors\n"
