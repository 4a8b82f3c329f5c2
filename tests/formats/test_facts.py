"""Facts of architectures: of configs that transformers, diffusers and peft write, of GGUF and ONNX."""

from __future__ import annotations

import gguf
import pytest

from paraminspect.formats.facts import GGUF_FILE_TYPES, of_config, of_gguf, of_onnx
from paraminspect.records import Checkpoint


def test_one_name_whatever_the_config_calls_it() -> None:
    llama = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    gpt2 = {"n_embd": 64, "n_layer": 2, "n_head": 4}
    assert of_config(llama) == {"hidden_size": 64, "layers": 2, "heads": 4, "kv_heads": 2}
    assert of_config(gpt2) == {"hidden_size": 64, "layers": 2, "heads": 4}


def test_of_several_kinds_of_input_the_text() -> None:
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 64}, "vocab_size": 5}
    wanted = {"architecture": "Gemma3ForConditionalGeneration", "hidden_size": 64, "vocabulary": 5}
    assert of_config(config) == wanted


@pytest.mark.parametrize(
    ("quantization", "wanted"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq, 4 bits, groups of 128"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes, 4 bits"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"bits": 8, "group_size": 64}, "8 bits, groups of 64"),
        ({"quant_method": {"a": 1}, "bits": "four"}, "quantized"),
    ],
)
def test_quantization(quantization: dict[str, object], wanted: str) -> None:
    assert of_config({"quantization_config": quantization}) == {"quantization": wanted}


def test_adapter() -> None:
    config = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 16,
        "target_modules": ["q", "v"],
        "base_model_name_or_path": "m",
    }
    wanted = {"adapter": "LORA", "base_model": "m", "rank": 8, "alpha": 16, "target_modules": ["q", "v"]}
    assert of_config(config) == wanted


def test_diffusers() -> None:
    assert of_config({"_class_name": "UNet2DModel", "in_channels": 3}) == {
        "architecture": "UNet2DModel",
        "in_channels": 3,
    }


def test_what_is_of_another_type_is_no_fact() -> None:
    assert of_config({"hidden_size": {"a": 1}, "architectures": [3], "n_layer": None}) == {}


def test_gguf() -> None:
    metadata = {
        "general.architecture": "llama",
        "general.file_type": "15",
        "llama.context_length": "2048",
        "llama.attention.head_count": "[uint32 x 3]",
        "tokenizer.ggml.tokens": "[string x 300]",
    }
    wanted = {
        "architecture": "llama",
        "context_length": 2048,
        "heads": 3,
        "vocabulary": 300,
        "quantization": "Q4_K_M",
    }
    assert of_gguf(Checkpoint("gguf", (), metadata)) == wanted
    assert of_gguf(Checkpoint("gguf", (), {"general.file_type": "999"})) == {"quantization": "file type 999"}


def test_file_types_are_those_of_the_gguf_package() -> None:
    named = {each.value: each.name.removeprefix("MOSTLY_").removeprefix("ALL_") for each in gguf.LlamaFileType}
    assert {key: name for key, name in named.items() if name != "GUESSED"}.items() <= GGUF_FILE_TYPES.items()


def test_onnx() -> None:
    metadata = {"producer_name": "pytorch", "producer_version": "2.9", "graph": "main", "opset_import": "ai.onnx 18"}
    wanted = {"name": "main", "producer": "pytorch 2.9", "opsets": "ai.onnx 18"}
    assert of_onnx(Checkpoint("onnx", (), metadata)) == wanted
