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


def gpt2_shapes(width: int = WIDTH, layers: int = LAYERS) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors, 148 for 12 layers, in the order of the state dict, without the tied head."""
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (VOCABULARY, width),
        "transformer.wpe.weight": (POSITIONS, width),
    }
    for layer in range(layers):
        for name, weight in (
            ("ln_1", (width,)),
            ("attn.c_attn", (width, 3 * width)),
            ("attn.c_proj", (width, width)),
            ("ln_2", (width,)),
            ("mlp.c_fc", (width, 4 * width)),
            ("mlp.c_proj", (4 * width, width)),
        ):
            shapes[f"transformer.h.{layer}.{name}.weight"] = weight
            shapes[f"transformer.h.{layer}.{name}.bias"] = weight[-1:]
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (width,)
    return shapes
