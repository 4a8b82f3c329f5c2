"""The tensors of GPT-2 (124M), as the Hugging Face checkpoint names them."""

from __future__ import annotations

WIDTH = 768
LAYERS = 12
VOCABULARY = 50_257
POSITIONS = 1_024

EMBEDDING = "transformer.wte.weight"
HEAD = "lm_head.weight"
"""Tied: the same tensor as `EMBEDDING`."""

PARAMETERS = 124_439_808
"""With the tied head counted once, as `model.parameters()` does."""


def gpt2_shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of the 148 tensors in the order of the state dict, without the tied head."""
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (VOCABULARY, WIDTH),
        "transformer.wpe.weight": (POSITIONS, WIDTH),
    }
    for layer in range(LAYERS):
        for name, weight in (
            ("ln_1", (WIDTH,)),
            ("attn.c_attn", (WIDTH, 3 * WIDTH)),
            ("attn.c_proj", (WIDTH, WIDTH)),
            ("ln_2", (WIDTH,)),
            ("mlp.c_fc", (WIDTH, 4 * WIDTH)),
            ("mlp.c_proj", (4 * WIDTH, WIDTH)),
        ):
            shapes[f"transformer.h.{layer}.{name}.weight"] = weight
            shapes[f"transformer.h.{layer}.{name}.bias"] = weight[-1:]
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (WIDTH,)
    return shapes
