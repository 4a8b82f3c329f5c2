"""Models whose layers keep a key and a value for each head and each token, by `model_type`.

Written by `scripts/make_kv_caches.py`, of transformers' own caches. Do not edit.
"""

from __future__ import annotations

from typing import Final

PLAIN: Final = frozenset({
    "apertus", "arcee", "bitnet", "cohere", "cohere2", "cwm",
    "ernie4_5", "ernie4_5_moe", "exaone", "exaone4", "gemma", "gemma2",
    "gemma3_text", "glm", "glm4", "glm4_moe", "gpt_oss", "granite",
    "granitemoe", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "internlm3", "llama",
    "minimax_m2", "ministral", "ministral3", "mistral", "mixtral", "nemotron",
    "olmo", "olmo2", "olmo3", "olmoe", "persimmon", "phi",
    "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe",
    "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2", "vaultgemma",
})  # fmt: skip
"""The width of a head is head_dim of the config; where that is not there, hidden size over heads."""
DIVIDED: Final = frozenset({
    "biogpt", "bloom", "codegen", "gpt2", "gpt_neox", "gptj",
    "mpt", "opt",
})  # fmt: skip
"""It is always hidden size over heads."""
