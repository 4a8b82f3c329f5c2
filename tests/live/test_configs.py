from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from torch import nn

from paraminspect.live.build.live_model import LiveModel
from paraminspect.names.listing import make_listing, total
from tests.making.live_models import open_live

# Published where there is a publication; the others are added up from their layers, written out.
COUNTS = {
    "mlp": 4 * 3 + 3 + 3 * 1 + 1,
    "shared_linear": 1,
    "custom_init": (20 * 32 + 32) + (32 * 32 + 2 * 32) + (32 * 10 + 10),
    "gpt2": 124_439_808,
    "llama-7b": 6_738_415_616,
    "resnet18": 11_689_512,
    "vit-b16": 86_567_656,
    "unet": sum(9 * i * o + 2 * o + 9 * o * o + 2 * o for i, o in [(1, 16), (16, 32), (32, 64), (64, 32), (32, 16)])
    + (64 * 32 * 4 + 32)
    + (32 * 16 * 4 + 16)
    + (16 * 2 + 2),
    "lstm_tagger": 10_000 * 100 + 2 * (4 * 128 * (100 + 128) + 2 * 4 * 128) + (256 * 17 + 17),
    "autoencoder": (16 * 16 + 16) + (16 * 32 * 16 + 32) + 16 + 1,
    "lenet5": 156 + 6 * 16 * 25 + 16 + 48_120 + 10_164 + 84 * 10 + 10,  # the paper's C1, C5 and F6
    "vgg11": 132_863_336,
    "llama-3-8b": 16_060_522_496 // 2,
    "mixtral-8x7b": 93_405_585_408 // 2,
    "gru_seq2seq": 2 * (10_000 * 256 + 3 * 256 * 512 + 2 * 3 * 256) + 512 * 256 + (256 * 10_000 + 10_000),
    "siamese": 38_951_745,
    "vae": (784 * 400 + 400) + 2 * (400 * 20 + 20) + (20 * 400 + 400) + (400 * 784 + 784),
}
OUTPUTS: dict[str, tuple[int, ...] | list[tuple[int, ...]]] = {
    "mlp": (2, 1),
    "shared_linear": (1, 1),
    "custom_init": (2, 10),
    "gpt2": (1, 16, 50_257),
    "llama-7b": (1, 16, 32_000),
    "resnet18": (2, 1_000),
    "vit-b16": (2, 1_000),
    "unet": (1, 2, 64, 64),
    "lstm_tagger": (2, 12, 17),
    "autoencoder": (2, 1, 28, 28),
    "lenet5": (2, 10),
    "vgg11": (2, 1_000),
    "llama-3-8b": (1, 16, 128_256),
    "mixtral-8x7b": (1, 16, 32_000),
    "gru_seq2seq": (2, 9, 10_000),
    "siamese": (2, 1),
    "vae": [(2, 784), (2, 20), (2, 20), (), ()],
}


@cache
def load(configs: Path, name: str) -> LiveModel:
    return open_live(str(configs / f"{name}.yaml"))


def test_every_config_is_here(configs: Path) -> None:
    assert {path.stem for path in configs.glob("*.yaml")} == set(COUNTS) == set(OUTPUTS)


@pytest.mark.parametrize("name", COUNTS)
def test_count(configs: Path, name: str) -> None:
    live = load(configs, name)
    assert sum(parameter.numel() for parameter in live.model.parameters()) == COUNTS[name]
    assert total(make_listing(live.records)).parameters == COUNTS[name]
    assert live.notes == []
    assert all(tensor.is_meta for tensor in [*live.model.parameters(), *live.model.buffers()])


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_shape(configs: Path, name: str) -> None:
    expected = OUTPUTS[name]
    assert load(configs, name).shapes()[""] == (tuple(expected) if isinstance(expected, list) else (expected,))


@pytest.mark.parametrize("name", COUNTS)
def test_records_are_those_of_the_state_dict(configs: Path, name: str) -> None:
    live = load(configs, name)
    state = live.model.state_dict(keep_vars=True)
    assert [record.name for record in live.records] == list(state)
    assert [record.shape for record in live.records] == [tuple(tensor.shape) for tensor in state.values()]
    kinds = {record.name for record in live.records if record.kind == "parameter"}
    assert kinds == {name for name, _ in live.model.named_parameters(remove_duplicate=False)}


def test_gpt2_has_the_names_and_shapes_of_the_published_checkpoint(configs: Path) -> None:
    vocab, context, dim, depth = 50_257, 1_024, 768, 12
    published: dict[str, tuple[int, ...]] = {"wte.weight": (vocab, dim), "wpe.weight": (context, dim)}
    for layer in range(depth):
        for norm in ("ln_1", "ln_2"):
            published |= {f"h.{layer}.{norm}.weight": (dim,), f"h.{layer}.{norm}.bias": (dim,)}
        for dense, inputs, outputs in [
            ("attn.c_attn", dim, 3 * dim),
            ("attn.c_proj", dim, dim),
            ("mlp.c_fc", dim, 4 * dim),
            ("mlp.c_proj", 4 * dim, dim),
        ]:
            published |= {f"h.{layer}.{dense}.weight": (inputs, outputs), f"h.{layer}.{dense}.bias": (outputs,)}
    published |= {"ln_f.weight": (dim,), "ln_f.bias": (dim,)}
    live = load(configs, "gpt2")
    ours = {record.name: record.shape for record in live.records}
    assert ours.pop("lm_head.weight") == (vocab, dim)  # tied, and not in the file
    assert {name.removeprefix("transformer."): shape for name, shape in ours.items()} == published
    assert live.model.lm_head.weight is live.model.transformer.wte.weight


def test_llama_has_the_names_and_shapes_of_transformers(configs: Path) -> None:
    dim, hidden = 4_096, 11_008
    expected: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (32_000, dim),
        "model.norm.weight": (dim,),
        "lm_head.weight": (32_000, dim),
    }
    for layer in range(32):
        at = f"model.layers.{layer}"
        expected |= {f"{at}.self_attn.{name}_proj.weight": (dim, dim) for name in "qkvo"}
        expected |= {f"{at}.mlp.{name}_proj.weight": (hidden, dim) for name in ("gate", "up")}
        expected |= {f"{at}.mlp.down_proj.weight": (dim, hidden)}
        expected |= {f"{at}.{name}_layernorm.weight": (dim,) for name in ("input", "post_attention")}
    assert {record.name: record.shape for record in load(configs, "llama-7b").records} == expected


def test_llama_3_shares_keys_and_values_among_queries(configs: Path) -> None:
    shapes = {record.name: record.shape for record in load(configs, "llama-3-8b").records}
    attention = "model.layers.31.self_attn"
    assert [shapes[f"{attention}.{name}_proj.weight"] for name in "qkvo"] == [
        (4_096, 4_096), (1_024, 4_096), (1_024, 4_096), (4_096, 4_096),
    ]  # fmt: skip
    assert len(shapes) == 32 * 9 + 3


def test_mixtral_has_the_names_and_shapes_of_the_published_checkpoint(configs: Path) -> None:
    shapes = {record.name: record.shape for record in load(configs, "mixtral-8x7b").records}
    moe = "model.layers.7.block_sparse_moe"
    assert shapes[f"{moe}.gate.weight"] == (8, 4_096)
    assert [shapes[f"{moe}.experts.7.{name}.weight"] for name in ("w1", "w2", "w3")] == [
        (14_336, 4_096), (4_096, 14_336), (14_336, 4_096),
    ]  # fmt: skip
    assert len(shapes) == 32 * (4 + 2 + 1 + 3 * 8) + 3


def test_vgg11_has_torchvisions_names(configs: Path) -> None:
    names = [record.name for record in load(configs, "vgg11").records]
    places = [0, 3, 6, 8, 11, 13, 16, 18]
    expected = [f"features.{place}" for place in places] + [f"classifier.{place}" for place in (0, 3, 6)]
    assert names == [f"{layer}.{name}" for layer in expected for name in ("weight", "bias")]
    normed = open_live(str(configs / "vgg11.yaml"), variables={"norm": True})
    assert sum(parameter.numel() for parameter in normed.model.parameters()) == 132_868_840


def test_an_override_changes_the_model(configs: Path) -> None:
    live = open_live(str(configs / "gpt2.yaml"), variables={"depth": "1", "dim": 24, "vocab": "11"})
    assert live.model.transformer.wte.weight.shape == (11, 24)
    assert [name for name, _ in live.model.transformer.h.named_children()] == ["0"]


def test_containers_without_wiring_are_sequential(configs: Path) -> None:
    model = load(configs, "mlp").model
    assert type(model) is nn.Sequential
    resnet = load(configs, "resnet18").model
    assert type(resnet) is nn.Sequential
    assert type(resnet.layer1) is nn.Sequential
    assert type(resnet.layer1[0]).__name__ == "BasicBlock"
