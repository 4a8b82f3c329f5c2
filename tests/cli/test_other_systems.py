"""What Windows lacks is made up for: every command says and writes there what it says and writes here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.making import other_system
from tests.making.formats import SAMPLES

SOURCES = (
    "model.safetensors",
    "other.safetensors",
    "model.pt",
    "legacy.bin",
    "model.npz",
    "model.gguf",
    "shards",
    "dcp",
)


def make_sources(folder: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b.weight": torch.eye(4)}
    save_file(tensors, folder / "model.safetensors")
    save_file({**tensors, "a": torch.ones(2, 3)}, folder / "other.safetensors")
    torch.save({**tensors, "again": tensors["a"]}, folder / "model.pt")
    torch.save(tensors, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    np.savez_compressed(folder / "model.npz", a=np.arange(6.0))
    SAMPLES["gguf"](folder / "model.gguf")
    (folder / "shards").mkdir()
    for number, name in enumerate(tensors, 1):
        save_file({name: tensors[name]}, folder / "shards" / f"model-0000{number}-of-00002.safetensors")
    index = {"weight_map": {name: f"model-0000{number}-of-00002.safetensors" for number, name in enumerate(tensors, 1)}}
    (folder / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "shards" / "config.json").write_text("{}")
    SAMPLES["torch distributed"](folder / "dcp")
    (folder / "mlp.yaml").write_text("model: [{Linear: [4, 3]}, ReLU]\ninput: [2, 4]\n")


LINES = [
    *[[command, source] for source in SOURCES for command in ("list", "tree", "stats", "shared", "check")],
    ["show", "model.safetensors", "a"],
    ["show", "model.npz", "a"],
    ["diff", "model.safetensors", "other.safetensors"],
    ["diff", "model.pt", "shards"],
    ["shared", "model.safetensors", "other.safetensors", "--equal"],
    ["check", "--deep", "model.pt", "shards"],
    ["<model.pt", "list", "-"],
    ["<model.safetensors", "stats", "-"],
    ["<mlp.yaml", "list", "-"],
    ["convert", "model.pt", "-o", "new.safetensors", "--verify"],
    ["convert", "model.safetensors", "-o", "new.npz"],
    ["convert", "shards", "-o", "whole.pt", "--dtype", "float16", "--verify"],
    ["convert", "model.pt", "-o", "folder/", "--shard-size", "40"],
    ["convert", "shards", "-o", "folder/", "--force", "--verify"],
    ["convert", "model.safetensors", "-o", "new.safetensors"],
    ["convert", "model.safetensors", "-o", "new.safetensors", "--force"],
    ["convert", "model.gguf", "-o", "gguf.safetensors"],
    ["init", "model.safetensors", "--rule", "a=zeros", "-o", "zeros.safetensors"],
    ["init", "model.pt", "--rule", "a=zeros", "-o", "zeros.pt"],
    ["init", "shards", "--rule", "a=zeros", "-o", "zeros/"],
    ["init", "mlp.yaml", "-o", "mlp.safetensors"],
    ["init", "mlp.yaml", "--rule", "*=ones", "-o", "mlp.safetensors", "--force"],
    ["list", "nowhere.pt"],
    ["list", "folder", "zeros", "mlp.safetensors", "new.npz"],
]


def run_lines(system: str, folder: Path, lines: list[list[str]]) -> tuple[list[Any], dict[str, str]]:
    """What each line says, and the digest of each file that is there at the end."""
    done = subprocess.run(
        [sys.executable, other_system.__file__, system],
        cwd=folder, input=json.dumps(lines), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    digests = {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}
    return json.loads(done.stdout), digests


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Any], dict[str, str]]]:
    sources = tmp_path_factory.mktemp("sources")
    make_sources(sources)
    found = {}
    for system in ("here", "bare"):
        folder = tmp_path_factory.mktemp(system) / "same"
        shutil.copytree(sources, folder)
        found[system] = run_lines(system, folder, LINES)
    return found


@pytest.mark.parametrize("line", range(len(LINES)), ids=[" ".join(line) for line in LINES])
def test_every_command_says_the_same(both: dict[str, Any], line: int) -> None:
    assert both["bare"][0][line] == both["here"][0][line]


def test_every_file_is_the_same_and_nothing_is_left(both: dict[str, Any]) -> None:
    assert both["bare"][1] == both["here"][1]
    assert not [name for name in both["bare"][1] if "partial" in name or os.path.basename(name).startswith(".p")]


def test_the_lines_do_what_they_should(both: dict[str, Any]) -> None:
    """Two systems that both fail would be equal too."""
    statuses = {" ".join(line): said[0] for line, said in zip(LINES, both["here"][0], strict=True)}
    assert {line for line, status in statuses.items() if status == 2} == {
        "list nowhere.pt", "convert model.safetensors -o new.safetensors",
    }  # fmt: skip
    assert {"zeros/config.json", "folder/config.json", "mlp.safetensors"} <= both["here"][1].keys()


def test_what_cannot_be_replaced_while_it_is_open(tmp_path: Path) -> None:
    make_sources(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    in_place = ["convert", "model.safetensors", "-o", "model.safetensors", "--dtype", "float16", "--force"]
    ((status, out, err),), files = run_lines("bare", tmp_path, [in_place])
    assert (status, out) == (2, "")
    assert err == (
        "error: model.safetensors: no permission to write there\n\n"
        "hint: this system replaces no file that is open: choose another name\n"
    )
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert not [name for name in files if "partial" in name]


def test_the_other_system_lacks_what_it_should(tmp_path: Path) -> None:
    script = (
        "import sys; from tests.making import other_system as s; import os; s.take_away()\n"
        "f = open('x', 'w')\n"
        "for call in (lambda: os.replace('x', 'y'), lambda: os.open('.', 0), lambda: __import__('fcntl')):\n"
        "    try: call()\n"
        "    except (PermissionError, ImportError) as error: print(type(error).__name__)\n"
        "print(hasattr(os, 'pread'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["PermissionError", "PermissionError", "ModuleNotFoundError", "False"]
