"""What is copied with the model of a folder: the same files, whatever command writes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Run

INDEX = "model.safetensors.index.json"
SECRET = "outside"


def link_in(path: Path) -> None:
    (path.parent / "real").write_text("inside")
    path.symlink_to("real")


def link_out(path: Path) -> None:
    (path.parent.parent / "secret").write_text(SECRET)
    path.symlink_to("../secret")


def link_to_the_store(path: Path) -> None:
    store = path.parent.parent.parent / "blobs"
    store.mkdir(exist_ok=True)
    (store / "0123").write_text("stored")
    path.symlink_to("../../blobs/0123")


def write(path: Path) -> None:
    path.write_text("text")


FILES: list[tuple[str, Callable[[Path], Any], bool]] = [
    ("config.json", write, True),
    ("tokenizer.json", link_in, True),
    ("tokenizer_config.json", link_to_the_store, True),
    ("chat_template.jinja", write, True),
    ("merges.txt", write, True),
    ("spiece.model", write, True),
    ("vocab.json", link_out, False),
    ("vocab.txt", lambda path: path.symlink_to("nowhere"), False),
    ("added_tokens.json", os.mkfifo, False),
    ("tokenizer.model", Path.mkdir, False),
    ("notes.txt", write, False),
    ("private.json", write, False),
    ("other.model", write, False),
    ("modeling_own.py", write, False),
    (".config.json", write, False),
    ("pytorch_model.bin.index.json", write, False),
]
"""A name, what is there, and whether it goes along."""

COMMANDS = {
    "convert": ("convert", "{}", "-o", "{}/"),
    "convert --dtype": ("convert", "{}", "-o", "{}/", "--dtype", "float16"),
    "init": ("init", "{}", "--rule", "a.weight=zeros", "-o", "{}/"),
    "init --dtype": ("init", "{}", "--rule", "a.weight=zeros", "-o", "{}/", "--dtype", "float16"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "snapshots" / "model"
    made.mkdir(parents=True)
    weight_map = {}
    for number, name in enumerate(("a.weight", "b.weight"), 1):
        weight_map[name] = f"model-0000{number}-of-00002.safetensors"
        save_file({name: np.ones((2, 2), np.float32)}, made / weight_map[name])
    (made / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return made


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("named", ["", INDEX])
def test_each_file_in_each_command(command: str, named: str, folder: Path, tmp_path: Path, run: Run) -> None:
    for name, make, _ in FILES:
        make(folder / name)
    out = tmp_path / "out"
    source = str(folder / named) if named else str(folder)
    result = run(*(word.format(source if at == 1 else out) for at, word in enumerate(COMMANDS[command])))
    assert result.status == 0, result.stderr
    written = {path.name: path for path in out.iterdir()}
    assert {name for name in written if not name.startswith("model")} == {name for name, _, goes in FILES if goes}
    for name in [name for name, _, goes in FILES if goes]:
        assert written[name].read_bytes() == (folder / name).read_bytes()
        assert not written[name].is_symlink()
    assert "not copied: added_tokens.json, tokenizer.model, vocab.json and 1 more" in result.stderr
    assert all(SECRET.encode() not in path.read_bytes() for path in written.values())
    assert run("list", str(out), "--format", "names").stdout == "a.weight\nb.weight\n"
