"""What files tell of an architecture, under one set of names whoever tells it.

    name              what its author calls it
    architecture      class of the model, or what GGUF calls its architecture
    model_type        family, as transformers names it
    context_length    positions it was made for
    hidden_size, layers, heads, kv_heads, feed_forward, experts, vocabulary
    quantization      method, and bits where it says so
    ...               and what one format alone has

A `config.json` of transformers or diffusers, an `adapter_config.json` of peft, the keys of GGUF, and the fields of ONNX
are told so. A fact that a file does not state is left out.

Source: configuration classes of transformers 4 and 5 and of diffusers 0.3x, `PeftConfig` of peft; `docs/gguf.md` of
ggml for keys, `LlamaFileType` of the gguf package for file types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from paraminspect.records import Checkpoint

Facts = dict[str, object]

CONFIG_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "model_type": ("model_type",),
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim", "n_embed"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "kv_heads": ("num_key_value_heads", "n_kv_heads", "num_kv_heads"),
    "feed_forward": ("intermediate_size", "n_inner", "d_ff", "ffn_dim"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "vocabulary": ("vocab_size",),
    "context_length": ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length"),
    "dtype": ("dtype", "torch_dtype"),
    "transformers_version": ("transformers_version",),
    "diffusers_version": ("_diffusers_version",),
    "in_channels": ("in_channels",),
    "sample_size": ("sample_size",),
    # of peft
    "adapter": ("peft_type",),
    "base_model": ("base_model_name_or_path",),
    "rank": ("r",),
    "alpha": ("lora_alpha",),
    "target_modules": ("target_modules",),
}
"""Fact -> keys of a config that tell it, the first that is there counts."""

INNER: Final = ("text_config", "llm_config", "language_config", "thinker_config")
"""Configs inside a config of a model of several kinds of input: those of the part that reads text."""

GGUF_KEYS: Final[Mapping[str, str]] = {
    "name": "general.name",
    "architecture": "general.architecture",
    "size": "general.size_label",
    "context_length": "{}.context_length",
    "hidden_size": "{}.embedding_length",
    "layers": "{}.block_count",
    "heads": "{}.attention.head_count",
    "kv_heads": "{}.attention.head_count_kv",
    "feed_forward": "{}.feed_forward_length",
    "experts": "{}.expert_count",
    "vocabulary": "tokenizer.ggml.tokens",
    "tokenizer": "tokenizer.ggml.model",
}
"""Fact -> key, in which {} is the architecture."""

GGUF_FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip
"""`general.file_type` -> what most of the weights are."""

MAX_FACT: Final = 500
"""Characters of a fact, entries of one that is a list."""

_ARRAY: Final = re.compile(r"\[\w+ x (\d{1,12})\]")
_NUMBER: Final = re.compile(r"\d{1,18}")


def of_config(config: Mapping[str, object]) -> Facts:
    """What a `config.json` or `adapter_config.json` tells."""
    inner = next((each for key in INNER if isinstance(each := config.get(key), dict)), {})
    classes = config.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else config.get("_class_name")
    facts: Facts = {"architecture": first} if isinstance(first, str) else {}
    for fact, keys in CONFIG_KEYS.items():
        value = next((each for each in _values(config, inner, keys) if each is not None), None)
        if value is not None:
            facts[fact] = value
    quantization = config.get("quantization_config") or config.get("quantization")
    if isinstance(quantization, dict):
        facts["quantization"] = _quantization(quantization)
    return {fact: _bounded(value) for fact, value in facts.items()}


def of_gguf(checkpoint: Checkpoint) -> Facts:
    """What the key-values of a GGUF file tell; of the tokenizer, how many tokens it has."""
    metadata = checkpoint.metadata
    architecture = metadata.get("general.architecture", "")
    facts: Facts = {}
    for fact, key in GGUF_KEYS.items():
        text = metadata.get(key.replace("{}", architecture))
        if text is None:
            continue
        array = _ARRAY.fullmatch(text)
        facts[fact] = int(array[1]) if array else int(text) if _NUMBER.fullmatch(text) else _bounded(text)
    file_type = metadata.get("general.file_type", "")
    if _NUMBER.fullmatch(file_type):
        facts["quantization"] = GGUF_FILE_TYPES.get(int(file_type), f"file type {file_type}")
    return facts


def of_onnx(checkpoint: Checkpoint) -> Facts:
    """Who wrote an ONNX model, and for which operators."""
    metadata = checkpoint.metadata
    facts: Facts = {}
    if "graph" in metadata:
        facts["name"] = _bounded(metadata["graph"])
    producer = " ".join(filter(None, (metadata.get("producer_name"), metadata.get("producer_version"))))
    if producer:
        facts["producer"] = _bounded(producer)
    if "opset_import" in metadata:
        facts["opsets"] = _bounded(metadata["opset_import"])
    return facts


def _values(config: Mapping[str, object], inner: Mapping[str, object], keys: Iterable[str]) -> Iterable[object]:
    for where in (config, inner):
        for key in keys:
            value = where.get(key)
            if isinstance(value, bool | int | float | str | list):
                yield value


def _quantization(config: Mapping[str, object]) -> str:
    """Such as "gptq, 4 bits, groups of 128"."""
    method = config.get("quant_method") or config.get("quant_type") or config.get("mode")
    bits = config.get("bits") or config.get("w_bit")
    if config.get("load_in_4bit") is True or config.get("load_in_8bit") is True:
        bits = 4 if config.get("load_in_4bit") is True else 8
    group = config.get("group_size") or config.get("q_group_size")
    parts = [str(method)] if isinstance(method, str) else []
    parts += [f"{bits} bits"] if isinstance(bits, int) else []
    parts += [f"groups of {group}"] if isinstance(group, int) and group > 0 else []
    return ", ".join(parts) or "quantized"


def _bounded(value: object) -> object:
    if isinstance(value, str):
        return value[:MAX_FACT]
    if isinstance(value, list):
        return [each for each in value[:MAX_FACT] if isinstance(each, str | int | float)]
    return value
