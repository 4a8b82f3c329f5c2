"""Two models with tied weights, each in six forms: for the tests, and for the comparison with other tools.

GPT-2 ties its head to its embedding; T5 uses one embedding in four places. Sizes are tiny, names those of the originals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from paraminspect.architecture.expand import plan_model
from paraminspect.architecture.parse import parse_spec
from paraminspect.live.build.live_model import build_spec

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

T5 = """
vars: {vocab: 32, dim: 8}
shared: {embedding: {Embedding: [$vocab, $dim]}}
blocks:
  Tower:
    layers:
      - {use: embedding, name: embed_tokens}
      - {Linear: [$dim, $dim], name: block}
model:
  - {use: embedding, name: shared}
  - {Tower, name: encoder}
  - {Tower, name: decoder}
  - {Linear: [$dim, $vocab, {bias: false}], name: lm_head}
tie: {lm_head.weight: shared.weight}
"""
"""T5's embeddings in outline: one module in three places, and the head tied to it."""

SMALL = {"vocab": 40, "context": 8, "dim": 24, "depth": 2}
NAMES = {
    "gpt2": {"transformer.wte.weight", "lm_head.weight"},
    "t5": {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"},
}
"""The names that are one tensor in each model."""

HUGGING_FACE: dict[str, dict[str, object]] = {
    "gpt2": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    "t5": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
}


def build(name: str) -> nn.Module:
    """The model "gpt2" or "t5", in memory."""
    text, overrides = ((CONFIGS / "gpt2.yaml").read_text(), SMALL) if name == "gpt2" else (T5, {})
    spec = parse_spec(text, source=f"{name}.yaml", overrides=overrides)
    return build_spec(spec, plan_model(spec), device="cpu").model


def save_state(model: nn.Module, path: Path, name: str) -> None:
    """A state dict in today's format of `torch.save`."""
    torch.save(model.state_dict(), path)


def save_legacy(model: nn.Module, path: Path, name: str) -> None:
    """The same in the format before torch 1.6."""
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
    """The modules themselves."""
    torch.save(plain(model, {}), path)


def save_safetensors(model: nn.Module, path: Path, name: str) -> None:
    """One name of each tensor, the others as metadata."""
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
"""How each form is written, and the kind of tie that it can tell."""
