"""Ties that a file declares, held against the writers and loaders of safetensors and transformers' conventions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.formats import declared as declared_module
from paraminspect.formats.safetensors import read_safetensors
from paraminspect.formats.source import open_source
from paraminspect.names.listing import make_listing, total
from paraminspect.records import Checkpoint, Declaration
from tests.making.safetensors_files import safetensors_bytes


class Tied(nn.Module):
    """An embedding under four names."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(6, 4)
        self.encoder = nn.Sequential(self.shared, nn.Linear(4, 4))
        self.decoder = nn.Sequential(self.shared)
        self.lm_head = nn.Linear(4, 6, bias=False)
        self.lm_head.weight = self.shared.weight


NAMES = ["shared.weight", "encoder.0.weight", "decoder.0.weight", "lm_head.weight"]


def test_names_that_save_model_drops(tmp_path: Path) -> None:
    model = Tied()
    safetensors.torch.save_model(model, tmp_path / "m.safetensors")
    checkpoint = open_source(tmp_path / "m.safetensors")
    assert sorted(record.name for record in checkpoint.tensors) == sorted(model.state_dict())
    stored = safetensors.torch.load_file(tmp_path / "m.safetensors")
    assert {record.name for record in checkpoint.tensors if not record.declared} == set(stored)
    assert {each.alias for each in checkpoint.declared} == set(model.state_dict()) - set(stored)
    assert {each.name for each in checkpoint.declared} <= set(stored)
    assert {each.origin for each in checkpoint.declared} == {"metadata"}
    totals = total(make_listing(checkpoint.tensors))
    assert (totals.tensors, totals.parameters, totals.tied) == (3, sum(p.numel() for p in model.parameters()), 3)


def two_floats(metadata: dict[str, str], *names: str) -> bytes:
    return safetensors_bytes({name: ("F32", [2], bytes(8)) for name in names}, metadata)


def read(data: bytes) -> Checkpoint:
    return read_safetensors(Blob.from_bytes(data))


def test_metadata_that_declares_nothing() -> None:
    metadata = {"format": "pt", "x": "nowhere", "a": "a", "": "a", "y": "", "total": "3"}
    checkpoint = read(two_floats(metadata, "a", "pt", ""))
    assert [record.name for record in checkpoint.tensors] == ["a", "pt", ""]
    assert checkpoint.declared == ()


def test_a_name_that_is_declared_and_stored() -> None:
    checkpoint = read(two_floats({"b": "a"}, "a", "b"))
    assert [(record.name, record.declared) for record in checkpoint.tensors] == [("a", False), ("b", False)]
    assert checkpoint.declared == (Declaration("b", "a", "metadata"),)


def test_declared_ties_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared_module, "MAX_DECLARED", 3)
    assert len(read(two_floats(dict.fromkeys("bcd", "a"), "a")).declared) == 3
    with pytest.raises(LimitExceededError, match="4 declared ties; the limit is 3"):
        read(two_floats(dict.fromkeys("bcde", "a"), "a"))


def test_shards_keep_what_each_declares(tmp_path: Path) -> None:
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(two_floats({"head": "embed"}, "embed"))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(two_floats({}, "body"))
    weight_map = {"embed": "model-00001-of-00002.safetensors", "body": "model-00002-of-00002.safetensors"}
    index = {"metadata": {"total_size": 16}, "weight_map": weight_map}
    for step in ("by name", "by index"):
        if step == "by index":
            (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        checkpoint = open_source(tmp_path)
        assert [record.name for record in checkpoint.tensors] == ["embed", "head", "body"], step
        assert checkpoint.declared == (Declaration("head", "embed", "metadata"),)
        assert checkpoint.notes == ()


LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(two_floats({}, "x"))
    safetensors.torch.save_file({EMBED: torch.ones(6, 4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    return tmp_path


def test_a_folder_has_the_head_that_its_config_declares(folder: Path) -> None:
    checkpoint = open_source(folder)
    assert [(record.name, record.declared) for record in checkpoint.tensors] == [(EMBED, False), (HEAD, True)]
    listing = make_listing(checkpoint.tensors, aliases=True)
    assert listing.tied_to == {1: EMBED}
    assert total(make_listing(checkpoint.tensors)).parameters == 24


def test_the_index_of_a_folder_has_it_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {EMBED: "model.safetensors"}}))
    assert len(open_source(index).tensors) == 2
    monkeypatch.chdir(folder)
    assert len(open_source(index.name).tensors) == 2


def test_a_single_file_is_read_without_its_neighbours(folder: Path) -> None:
    assert open_source(folder / "model.safetensors").declared == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "config.json is no JSON"),
        (b"[" * 100_000, "config.json is nested too deeply"),
        (b"[]", "config.json is a JSON list, expected an object"),
        (b'{"a": 1, "a": 2}', "config.json has 'a' twice"),
        (b"\xff", "config.json is no JSON"),
    ],
)
def test_a_config_that_cannot_be_read_is_a_remark(folder: Path, text: bytes, problem: str) -> None:
    (folder / "config.json").write_bytes(text)
    checkpoint = open_source(folder)
    assert [record.name for record in checkpoint.tensors] == [EMBED]
    (note,) = checkpoint.notes
    assert problem in note


def test_a_config_that_is_a_pipe_or_a_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert "the config.json is not a regular file" in open_source(folder).notes[0]
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert "not a regular file" in open_source(folder).notes[0]


@given(
    st.dictionaries(
        st.text(max_size=2) | st.sampled_from("abc"), st.text(max_size=2) | st.sampled_from("abc"), max_size=6
    )
)
def test_any_metadata_gives_records(metadata: dict[str, str]) -> None:
    try:
        checkpoint = read(two_floats(metadata, "a", "b"))
    except ParamInspectError:
        return
    names = [record.name for record in checkpoint.tensors]
    assert names[:2] == ["a", "b"]
    assert len(set(names)) == len(names)
    assert set(names[2:]) == {each.alias for each in checkpoint.declared} - {"a", "b"}
    assert {each.alias: each.name for each in checkpoint.declared}.items() <= metadata.items()
