from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paraminspect.formats import companions
from paraminspect.formats.companions import find_companions, find_folder
from paraminspect.formats.source import open_source

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    weight_map = {}
    for number, name in enumerate(("a.weight", "b.weight"), 1):
        weight_map[name] = f"model-0000{number}-of-00002.safetensors"
        save_file({name: np.ones((2, 2), np.float32)}, made / weight_map[name])
    (made / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return made


def test_too_large_for_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.json", "merges.txt", "vocab.txt"):
        (folder / name).write_bytes(bytes(10))
    monkeypatch.setattr(companions, "MAX_BYTES", 25)
    found = find_companions(open_source(folder))
    assert (found.names, found.left) == (("config.json", "merges.txt"), ("vocab.txt",))
    assert found.remarks == ["not copied: vocab.txt"]


def test_one_file_has_none(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    checkpoint = open_source(folder / "model-00001-of-00002.safetensors")
    assert find_folder(checkpoint) is None
    assert find_companions(checkpoint) == companions.Companions(None)
