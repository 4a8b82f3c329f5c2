from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.writers import shards
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.shards import plan_shards

TENSORS = [
    OutTensor("a", "float32", (10,), ("a.alias",)),
    OutTensor("b", "float32", (15,)),
    OutTensor("giant", "float32", (100,)),
    OutTensor("c", "float16", (1,)),
    OutTensor("d", "float32", (25,)),
]


def test_shards_and_their_index(tmp_path: Path, values: Any, write: Any, raw: Any) -> None:
    write(plan_shards(TENSORS, {"step": "7"}, 100), tmp_path / "out", values(TENSORS))
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index == {
        "metadata": {"total_size": 602},
        "weight_map": {
            "giant": "model-00001-of-00004.safetensors",
            "a": "model-00002-of-00004.safetensors",
            "b": "model-00002-of-00004.safetensors",
            "c": "model-00003-of-00004.safetensors",
            "d": "model-00004-of-00004.safetensors",
        },
    }
    due = dict(zip([each.name for each in TENSORS], values(TENSORS), strict=True))
    found = {}
    for shard in sorted(set(index["weight_map"].values())):
        for name, tensor in load_file(tmp_path / "out" / shard).items():
            assert index["weight_map"][name] == shard
            found[name] = raw(tensor)
    assert found == due
    checkpoint = open_source(tmp_path / "out")
    assert not checkpoint.notes
    assert checkpoint.metadata == {"format": "pt", "step": "7", "a.alias": "a"}
    assert sorted(record.name for record in checkpoint.tensors) == sorted([*due, "a.alias"])


def test_what_fits_in_one_has_no_index(tmp_path: Path, values: Any, write: Any) -> None:
    write(plan_shards(TENSORS, {}, 602), tmp_path / "out", values(TENSORS))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    assert len([each for each in open_source(tmp_path / "out").tensors if not each.declared]) == len(TENSORS)


def test_no_tensors(tmp_path: Path, write: Any) -> None:
    write(plan_shards([], {}, 1), tmp_path / "out", [])
    assert load_file(tmp_path / "out" / "model.safetensors") == {}


def test_more_shards_than_readers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_SHARDS", 2)
    with pytest.raises(LimitExceededError, match="shards"):
        plan_shards(TENSORS, {}, 100)


def test_a_dtype_it_cannot_hold() -> None:
    with pytest.raises(ParamInspectError, match="'q' has"):
        plan_shards([OutTensor("q", "q4_k", (2,))], {}, 100)
