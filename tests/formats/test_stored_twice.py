"""A tensor that is declared tied and stored twice: one answer in every command, where the bytes are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from paraminspect.checks.check import check_source
from paraminspect.formats import stored_twice
from paraminspect.formats.source import open_source
from paraminspect.models.open import open_model
from paraminspect.names.listing import make_listing, total
from paraminspect.sharing.search import search

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
CONFIG = {"architectures": ["GraniteForCausalLM"], "tie_word_embeddings": True}
TABLE = torch.arange(24.0).reshape(6, 4)


def folder(path: Path, head: torch.Tensor, *, pt: bool = False) -> Path:
    tensors = {HEAD: head, EMBED: TABLE, "model.norm.weight": torch.ones(4)}
    if pt:
        torch.save(tensors, path / "pytorch_model.bin")
    else:
        safetensors.torch.save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG))
    return path


@pytest.mark.parametrize("pt", [False, True])
def test_one_answer(tmp_path: Path, pt: bool) -> None:
    path = folder(tmp_path, TABLE.clone(), pt=pt)
    checkpoint = open_source(path)
    totals = total(make_listing(checkpoint.tensors))
    assert (totals.tensors, totals.parameters, totals.nbytes, totals.tied) == (2, 28, 112, 1)
    (note,) = [each for each in checkpoint.notes if HEAD in each]
    assert (
        note == f"{HEAD} is declared tied to {EMBED} (config.json) and stored a second time with the same bytes (96 B)"
    )
    found, _ = search(open_model(str(path)), everything=False, equal=False)
    (group,) = found.found.groups
    assert (group.kind, group.names, group.saved) == ("declared", (EMBED, HEAD), 0)
    (finding,) = [each for each in check_source(path) if each.code == "tie-contradicted"]
    assert (finding.name, finding.message) == (HEAD, note)


def test_other_bytes_are_another_tensor(tmp_path: Path) -> None:
    head = TABLE.clone()
    head[-1, -1] = 0
    path = folder(tmp_path, head)
    checkpoint = open_source(path)
    assert total(make_listing(checkpoint.tensors)).parameters == 52
    assert not any(HEAD in note for note in checkpoint.notes)
    (finding,) = [each for each in check_source(path) if each.code == "tie-contradicted"]
    assert "with other bytes" in finding.message


@pytest.mark.parametrize("head", [TABLE.double(), TABLE[:5].clone()])
def test_another_form_is_another_tensor(tmp_path: Path, head: torch.Tensor) -> None:
    assert total(make_listing(open_source(folder(tmp_path, head)).tensors)).tied == 0


@pytest.mark.parametrize(("row", "tied"), [(0, 0), (511, 0), (3, 1)])
def test_large_ones_are_compared_at_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, tied: int
) -> None:
    monkeypatch.setattr(stored_twice, "MAX_COMPARED", 1000)
    monkeypatch.setattr(stored_twice, "SAMPLE", 64)
    monkeypatch.setattr(stored_twice, "SAMPLES", 3)
    large = torch.rand(512, 16)
    head = large.clone()
    head[row, 0] = 2
    tensors = {HEAD: head, EMBED: large}
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    checkpoint = open_source(tmp_path)
    assert total(make_listing(checkpoint.tensors)).tied == tied
    assert any("compared at 3 places" in note for note in checkpoint.notes) is bool(tied)
