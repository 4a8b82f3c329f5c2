"""What any source takes: specs, factories, folders with a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import paraminspect as pi
from paraminspect.errors import ParamInspectError
from tests.making.running import run_here

LLAMA: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 100, "torch_dtype": "bfloat16",
}  # fmt: skip
SPEC = "model: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]\n"
SHAPES = {"model.layers.0.weight": [4, 3], "model.norm.weight": [4]}
HEAD = 64 // 8


def folder(path: Path, config: dict[str, Any] | None) -> Path:
    save_file({name: np.ones(shape, "f4") for name, shape in SHAPES.items()}, path / "model.safetensors")
    if config is not None:
        (path / "config.json").write_text(json.dumps(config), "utf-8")
    return path


def test_a_folder_has_weights_keys_and_values(tmp_path: Path) -> None:
    cost = pi.cost(folder(tmp_path, LLAMA), batch=5, context=7)
    assert [(each.name, each.parameters, each.flops_forward) for each in cost.modules] == [
        ("", 16, None), ("model", 16, None), ("model.layers", 12, None), ("model.layers.0", 12, None), ("model.norm", 4, None),
    ]  # fmt: skip
    totals = cost.totals
    assert (totals.parameters, totals.parameter_bytes, totals.gradient_bytes) == (16, 64, 64)
    assert totals.optimizer_bytes == 2 * 64 + 2 * 4
    assert totals.kv_cache_bytes == 2 * 3 * 2 * HEAD * 2 * 5 * 7
    assert totals.inference_bytes == 64 + totals.kv_cache_bytes
    assert (totals.saved_bytes, totals.training_bytes, totals.flops_forward) == (None, None, None)
    half = pi.cost(tmp_path, dtype="float16", optimizer="none").totals
    assert (half.parameter_bytes, half.kv_cache_bytes) == (32, 2 * 3 * 2 * HEAD * 2 * 100)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"model_type": "deepseek_v3", "kv_lora_rank": 512}, "keeps a latent"),
        ({"model_type": "qwen3_next"}, "no table has the models of qwen3_next"),
        ({"layer_types": ["full_attention", "linear_attention", "full_attention"]}, "has layers of linear_attention"),
        ({"model_type": None}, "the config has no model_type"),
        ({"num_hidden_layers": "3"}, "does not tell layers and heads"),
        ({"num_attention_heads": None, "num_key_value_heads": None}, "does not tell layers and heads"),
        ({"max_position_embeddings": None}, "--context N"),
        ({"model_type": "mistral", "sliding_window": 40}, "it depends on who runs it"),
    ],
)
def test_what_is_not_known_is_said_and_not_guessed(tmp_path: Path, change: dict[str, Any], note: str) -> None:
    cost = pi.cost(folder(tmp_path, {**LLAMA, **change}))
    assert (cost.totals.kv_cache_bytes, cost.totals.inference_bytes) == (None, None)
    assert note in cost.notes[0]
    assert cost.totals.parameter_bytes == 64


@pytest.mark.parametrize(
    ("change", "context", "heads", "width"),
    [
        ({}, 10, 2, HEAD),
        ({"head_dim": 24}, 10, 2, 24),
        ({"num_key_value_heads": None}, 10, 8, HEAD),
        ({"model_type": "gpt2", "head_dim": 24}, 10, 2, HEAD),
        ({"model_type": "mistral", "sliding_window": 40}, 40, 2, HEAD),
        ({"model_type": "qwen2", "sliding_window": 4, "use_sliding_window": False}, 10, 2, HEAD),
        ({"model_type": "gemma2", "sliding_window": 4, "layer_types": ["full_attention"] * 3}, 10, 2, HEAD),
        ({"model_type": "llava", "text_config": {**LLAMA, "head_dim": 16}}, 10, 2, 16),
    ],
)
def test_keys_and_values_by_hand(tmp_path: Path, change: dict[str, Any], context: int, heads: int, width: int) -> None:
    cost = pi.cost(folder(tmp_path, {**LLAMA, **change}), context=context)
    assert cost.totals.kv_cache_bytes == 2 * 3 * heads * width * context * 2


@pytest.mark.torch
def test_what_has_no_meaning_is_refused(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(SPEC, "utf-8")
    with pytest.raises(ParamInspectError, match="--context has no meaning for a model that runs"):
        pi.cost(spec, context=3)
    with pytest.raises(ParamInspectError, match="the spec has no input") as caught:
        pi.cost(spec)
    assert "--input 2,4" in (caught.value.hint or "")
    with pytest.raises(ParamInspectError, match="--attention has no meaning for a checkpoint"):
        pi.cost(folder(tmp_path, LLAMA), attention="math")
    with pytest.raises(ParamInspectError, match=r"a folder with a config\.json"):
        pi.cost(tmp_path / "model.safetensors")


@pytest.mark.torch
def test_a_spec_of_any_size_takes_no_memory(tmp_path: Path) -> None:
    spec = tmp_path / "huge.yaml"
    spec.write_text("model: [{Linear: [1000000, 1000000, {bias: false}]}]\ninput: [2, 1000000]\n", "utf-8")
    totals = pi.cost(spec, dtype="bfloat16").totals
    assert totals.parameter_bytes == 2 * 10**12
    assert (totals.flops_forward, totals.saved_bytes) == (4 * 10**12, 4 * 10**6)


@pytest.mark.torch
def test_a_factory_that_looks_at_values_is_opened_again(tmp_path: Path) -> None:
    (tmp_path / "build.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.Linear(4, 2)\n\n    def forward(self, x):\n        return self.a(x) if x.sum() == 8 else x\n",
        "utf-8",
    )
    done = run_here(
        "cost", f"{tmp_path}/build.py:Net", "-i", "{shape: [2, 4], fill: 1}", "--depth", "0", "-c", "flops_forward"
    )
    assert (done.status, done.stdout) == (0, "32\n")
    assert "note: counted in memory" in done.stderr
