"""Two models with tied weights in six forms each: the same group of names every time, and the kind the form can know.

The docs' table of other tools is about these twelve cases.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from paraminspect import find_ties, open_source
from paraminspect.live.source import open_live
from paraminspect.modules import make_listing, total
from paraminspect.records import TieGroup

CONFIGS = Path(__file__).parents[1] / "configs"

T5 = """
vars: {vocab: 32, dim: 8}
shared: {embedding: {Embedding: [$vocab, $dim]}}
blocks:
  Stack:
    layers:
      - {use: embedding, name: embed_tokens}
      - {Linear: [$dim, $dim], name: block}
model:
  - {use: embedding, name: shared}
  - {Stack, name: encoder}
  - {Stack, name: decoder}
  - {Linear: [$dim, $vocab, {bias: false}], name: lm_head}
tie: {lm_head.weight: shared.weight}
"""
SMALL = {"vocab": 40, "context": 8, "dim": 24, "depth": 2}
NAMES = {
    "gpt2": {"transformer.wte.weight", "lm_head.weight"},
    "t5": {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"},
}
HUGGING_FACE = {
    "gpt2": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    "t5": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
}


def build(name: str) -> nn.Module:
    if name == "gpt2":
        return open_live(str(CONFIGS / "gpt2.yaml"), variables=SMALL, device="cpu").model
    return open_live("t5.yaml", text=T5, device="cpu").model


def save_state(model: nn.Module, path: Path, name: str) -> None:
    torch.save(model.state_dict(), path)


def save_legacy(model: nn.Module, path: Path, name: str) -> None:
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)


def plain(module: nn.Module, made: dict[int, nn.Module]) -> nn.Module:
    """The same modules without their classes, which a spec makes and no pickle can name."""
    if id(module) not in made:
        copy = made[id(module)] = nn.Module()
        for name, parameter in module._parameters.items():
            copy.register_parameter(name, parameter)
        for name, child in module._modules.items():
            copy.add_module(name, None if child is None else plain(child, made))
    return made[id(module)]


def save_module(model: nn.Module, path: Path, name: str) -> None:
    torch.save(plain(model, {}), path)


def save_safetensors(model: nn.Module, path: Path, name: str) -> None:
    safetensors.torch.save_model(model, str(path))


def save_folder(model: nn.Module, path: Path, name: str) -> None:
    """As transformers writes it: of a tied tensor the first name alone, the rest left to config.json."""
    path.mkdir()
    kept = dict(model.named_parameters())
    names = list(kept)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        safetensors.torch.save_file({each: kept[each].detach().clone() for each in part}, path / file)
        weight_map.update(dict.fromkeys(part, file))
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (path / "config.json").write_text(json.dumps({**HUGGING_FACE[name], "tie_word_embeddings": True}))


Save = Callable[[nn.Module, Path, str], None]
FILES: dict[str, tuple[Save, str]] = {
    ".pt": (save_state, "alias"),
    "legacy .pt": (save_legacy, "alias"),
    "whole pickled module": (save_module, "parameter"),
    "safetensors with metadata": (save_safetensors, "declared"),
    "sharded folder": (save_folder, "declared"),
}


def torch_says(model: nn.Module) -> set[str]:
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    (tied,) = [group for group in names.values() if len(group) > 1]
    return tied


def check(groups: list[TieGroup], name: str, kind: str) -> None:
    (group,) = groups
    assert set(group.names) == NAMES[name]
    assert group.kind == kind
    assert group.saved == (group.nbytes or 0) * (len(NAMES[name]) - 1)


@pytest.mark.parametrize("name", NAMES)
def test_spec(name: str) -> None:
    model = build(name)
    assert torch_says(model) == NAMES[name]
    check(find_ties(model), name, "parameter")
    meta = open_live(str(CONFIGS / "gpt2.yaml")) if name == "gpt2" else open_live("t5.yaml", text=T5)
    check(find_ties(meta.checkpoint), name, "parameter")


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("name", NAMES)
def test_file(tmp_path: Path, name: str, form: str) -> None:
    save, kind = FILES[form]
    model = build(name)
    save(model, tmp_path / "model", name)
    checkpoint = open_source(tmp_path / "model")
    check(find_ties(checkpoint), name, kind)
    listing = make_listing(checkpoint.tensors, aliases=True)
    (group,) = find_ties(checkpoint)
    assert {listing.records[index].name: first for index, first in listing.tied_to.items()} == dict.fromkeys(
        group.names[1:], group.names[0]
    )
    totals = total(make_listing(checkpoint.tensors))
    assert (totals.parameters, totals.tied) == (sum(each.numel() for each in model.parameters()), len(NAMES[name]) - 1)
