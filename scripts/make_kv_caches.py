"""Writes the table of models whose keys and values `cost` knows.

    python -m scripts.make_kv_caches > src/paraminspect/formats/kv_cache_types.py

Takes transformers, in whose place the tests need nothing. Of each model that is named here, tiny ones are made at random
and fed a few tokens. It is in a table if what they keep has exactly as many numbers as layers, key-value heads and the
width of a head are said to be by its config.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from scripts.generated import begin

NAMES: Final = (
    "apertus", "arcee", "biogpt", "bitnet", "bloom", "codegen", "cohere", "cohere2", "cwm", "dots1", "ernie4_5", "ernie4_5_moe",
    "exaone", "exaone4", "falcon", "gemma", "gemma2", "gemma3_text", "glm", "glm4", "glm4_moe", "gpt2", "gpt_bigcode", "gpt_neox",
    "gpt_oss", "gptj", "granite", "granitemoe", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "internlm3", "llama",
    "minimax_m2", "ministral", "ministral3", "mistral", "mixtral", "mpt", "nemotron", "olmo", "olmo2", "olmo3", "olmoe", "opt",
    "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3", "solar_open",
    "stablelm", "starcoder2", "vaultgemma",
)  # fmt: skip
"""Decoders of text. Not here: hybrids with recurrent layers or convolutions, latent attention, encoders."""

SIZES: Final = {
    "num_hidden_layers": 6, "n_layer": 6, "n_layers": 6, "num_attention_heads": 4, "n_head": 4, "n_heads": 4,
    "num_key_value_heads": 2, "hidden_size": 64, "n_embd": 64, "d_model": 64, "vocab_size": 96, "intermediate_size": 40,
    "n_inner": 40, "ffn_dim": 40, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "max_position_embeddings": 64, "n_positions": 64,
    "max_seq_len": 64, "word_embed_proj_dim": 64, "rotary_dim": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "n_group": 1, "topk_group": 1, "moe_k": 2, "moe_num_experts": 4, "first_k_dense_replace": 1,
}  # fmt: skip
WIDTHS: Final[tuple[dict[str, int], ...]] = ({}, {"head_dim": 24}, {"head_dim": 16})
"""What a config may say of the width of a head, or leave to be worked out."""

BATCH: Final = 2
TOKENS: Final = 5


def main() -> None:
    """Print the module."""
    sys.stdout.write("".join(f"{line}\n" for line in lines({name: kind_of(name) for name in NAMES})))


def lines(kinds: Mapping[str, str]) -> Iterator[str]:
    """Of the module."""
    yield from begin(
        "Models whose layers keep a key and a value for each head and each token, by `model_type`.",
        ["Written by `scripts/make_kv_caches.py`, of transformers' own caches. Do not edit."],
    )
    for kind, about in (
        ("plain", "The width of a head is head_dim of the config; where that is not there, hidden size over heads."),
        ("divided", "It is always hidden size over heads."),
    ):
        names = [name for name, found in kinds.items() if found == kind]
        yield f"{kind.upper()}: Final = frozenset({{"
        for start in range(0, len(names), 6):
            yield "    " + " ".join(f'"{name}",' for name in names[start : start + 6])
        yield "})  # fmt: skip"
        yield f'"""{about}"""'


def kind_of(model_type: str) -> str:
    """In which table it is: of those of its configs that can be run all agree; "" for none."""
    from paraminspect.formats.kv_cache import count_elements

    agreed: dict[str, list[bool]] = {"plain": [], "divided": []}
    for width in WIDTHS:
        try:
            config, kept = keep(model_type, width)
        except Exception as error:
            sys.stderr.write(f"{model_type} {width}: {type(error).__name__}: {str(error)[:100]!r}\n")
            continue
        for kind, found in agreed.items():
            told = count_elements(config, TOKENS, divided=kind == "divided")
            found.append(told is not None and BATCH * told == kept)
    return next((kind for kind, found in agreed.items() if found and all(found)), "")


def keep(model_type: str, width: dict[str, int]) -> tuple[dict[str, object], int]:
    """The config of a tiny model, as it is saved, and the numbers that it keeps of a few tokens."""
    import torch
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found]
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # type: ignore[import-not-found]

    known = CONFIG_MAPPING[model_type]().to_dict()
    config = CONFIG_MAPPING[model_type](**{name: size for name, size in SIZES.items() if name in known}, **width)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        output = model(input_ids=torch.randint(3, 90, (BATCH, TOKENS)), use_cache=True)
    return config.to_dict(), sum(tensor.numel() for tensor in tensors_in(output.past_key_values, set()))


def tensors_in(value: Any, met: set[int]) -> Iterator[Any]:
    """The floating-point tensors of a cache, whatever it is."""
    import torch

    if id(value) in met or isinstance(value, type):
        return
    met.add(id(value))
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors_in(each, met)
    elif isinstance(value, dict) or hasattr(value, "__dict__"):
        for each in (value if isinstance(value, dict) else vars(value)).values():
            yield from tensors_in(each, met)


if __name__ == "__main__":
    main()
