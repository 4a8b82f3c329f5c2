"""Small models of the libraries, values drawn: names, counts, ties and gradients as bare torch has them.

`make test-libraries` runs them in an environment of their own; elsewhere each says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import paraminspect as pi

pytestmark = [pytest.mark.libraries, pytest.mark.filterwarnings("ignore")]  # they deprecate parts of each other

SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
SEQ2SEQ = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 2,
}  # fmt: skip
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32, "patch_size": 8}  # fmt: skip

IDS = torch.arange(2 * 9).reshape(2, 9) % 97 + 3
IMAGE = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
TEXT = {"input_ids": IDS, "labels": IDS}

Made = tuple[nn.Module, Mapping[str, Any], Callable[[Any], Tensor]]
"""A model, what it is called with, and the loss of its output."""


def own_loss(output: Any) -> Tensor:
    loss: Tensor = output.loss
    return loss


def summed(output: Any) -> Tensor:
    first = output if isinstance(output, Tensor) else output[0]
    return first.square().sum()


TRANSFORMERS: dict[str, tuple[str, dict[str, Any], Mapping[str, Any]]] = {
    "BertForSequenceClassification": ("BertConfig", SIZES, {"input_ids": IDS, "labels": torch.tensor([0, 1])}),
    "BertForPreTraining": ("BertConfig", SIZES, {**TEXT, "next_sentence_label": torch.tensor([0, 1])}),
    "GPT2LMHeadModel": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2}, TEXT),
    "LlamaForCausalLM": ("LlamaConfig", {**SIZES, "num_key_value_heads": 2}, TEXT),
    "GemmaForCausalLM": ("GemmaConfig", {**SIZES, "num_key_value_heads": 2, "head_dim": 8}, TEXT),
    "Qwen3ForCausalLM": ("Qwen3Config", {**SIZES, "num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": True}, TEXT),
    "MixtralForCausalLM": ("MixtralConfig", {**SIZES, "num_key_value_heads": 2, "num_local_experts": 4}, TEXT),
    "MambaForCausalLM": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100, "state_size": 4}, TEXT),
    "AlbertForMaskedLM": ("AlbertConfig", {**SIZES, "embedding_size": 16}, TEXT),
    "T5ForConditionalGeneration": ("T5Config", {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 100, "decoder_start_token_id": 0}, TEXT),
    "BartForConditionalGeneration": ("BartConfig", SEQ2SEQ, TEXT),
    "WhisperForConditionalGeneration": (
        "WhisperConfig", {**SEQ2SEQ, "num_mel_bins": 8, "max_source_positions": 20}, {"input_features": torch.linspace(-1, 1, 2 * 8 * 40).reshape(2, 8, 40), "labels": IDS},
    ),
    "ViTForImageClassification": ("ViTConfig", VISION, {"pixel_values": IMAGE, "labels": torch.tensor([0, 1])}),
    "CLIPModel": ("CLIPConfig", {"text_config": SIZES, "vision_config": VISION}, {"input_ids": IDS, "pixel_values": IMAGE, "return_loss": True}),
}  # fmt: skip


def of_transformers(name: str) -> Made:
    library = pytest.importorskip("transformers", reason="transformers is not here: make test-libraries")
    config, sizes, inputs = TRANSFORMERS[name]
    return getattr(library, name)(getattr(library, config)(**sizes)), inputs, own_loss


def of_timm(name: str) -> Made:
    library = pytest.importorskip("timm", reason="timm is not here: make test-libraries")
    sizes = {"img_size": 32} if name.startswith("vit") else {}
    return library.create_model(name, num_classes=5, **sizes), {"x": IMAGE}, summed


def unet() -> Made:
    library = pytest.importorskip("diffusers", reason="diffusers is not here: make test-libraries")
    model = library.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    inputs = {
        "sample": torch.ones(1, 4, 8, 8),
        "timestep": torch.tensor(3),
        "encoder_hidden_states": torch.ones(1, 5, 8),
    }
    return model, inputs, lambda output: output.sample.square().sum()


def vae() -> Made:
    library = pytest.importorskip("diffusers", reason="diffusers is not here: make test-libraries")
    model = library.AutoencoderKL(
        block_out_channels=(8, 16), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return model, {"sample": IMAGE[:1, :, :16, :16]}, lambda output: output.sample.square().sum()


def of_peft(kind: str) -> Made:
    library = pytest.importorskip("peft", reason="peft is not here: make test-libraries")
    model, inputs, loss = of_transformers("LlamaForCausalLM")
    configs = {
        "lora": lambda: library.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"]),
        "dora": lambda: library.LoraConfig(r=4, target_modules=["q_proj"], use_dora=True),
        "ia3": lambda: library.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    }
    return library.get_peft_model(model, configs[kind]()), inputs, loss


MODELS: dict[str, Callable[[], Made]] = {
    **{name: lambda name=name: of_transformers(name) for name in TRANSFORMERS},  # type: ignore[misc]
    **{name: lambda name=name: of_timm(name) for name in ("resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050")},  # type: ignore[misc]
    "UNet2DConditionModel": unet,
    "AutoencoderKL": vae,
    **{kind: lambda kind=kind: of_peft(kind) for kind in ("lora", "dora", "ia3")},  # type: ignore[misc]
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_what_bare_torch_says(name: str) -> None:
    torch.manual_seed(0)
    model, inputs, loss = MODELS[name]()
    model.eval()
    opened = pi.open(model)
    assert {each.name: tuple(each.shape or ()) for each in opened} == {
        each: tuple(value.shape) for each, value in model.named_parameters()
    }
    tied: dict[int, list[str]] = {}
    for each, value in model.named_parameters(remove_duplicate=False):
        tied.setdefault(id(value), []).append(each)
    groups = {frozenset(each.names) for each in pi.ties(model)}
    assert groups >= {frozenset(names) for names in tied.values() if len(names) > 1}
    report = pi.backward(model, inputs, loss, seed=0)
    torch.manual_seed(0)
    loss(model(**inputs)).backward()  # type: ignore[no-untyped-call]
    due = {each: value.grad for each, value in model.named_parameters()}
    assert report.gradients.keys() == due.keys()
    for each, gradient in report.gradients.items():
        expected = due[each]
        assert (gradient is None) == (expected is None), each
        if gradient is not None and expected is not None:
            torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)
    states = {each.name: each.state for each in report.parameters}
    for each, expected in due.items():
        frozen = not model.get_parameter(each).requires_grad
        due_state = "frozen" if frozen else "none" if expected is None else "ok" if expected.any() else "zero"
        assert states[each] == due_state, each
