from __future__ import annotations

import json
from pathlib import Path

import pytest

from paraminspect.architecture.expand import check_types, plan_model
from paraminspect.architecture.nodes import ListNode, Node, Scalar
from paraminspect.architecture.parse import parse_spec
from paraminspect.architecture.plan import ModelPlan
from paraminspect.architecture.recognise import looks_like_spec
from paraminspect.architecture.yaml_marks import parse_yaml

CONFIGS = Path(__file__).parents[2] / "configs"
COUNTS = {
    "mlp": 19,
    "shared_linear": 1,
    "custom_init": 2_090,
    "gpt2": 124_439_808,
    "llama-7b": 6_738_415_616,
    "resnet18": 11_689_512,
    "vit-b16": 86_567_656,
    # By hand from the layers; there is no published figure.
    "unet": 117_090,
    "lstm_tagger": 1_239_889,
    "autoencoder": 8_513,
    "lenet5": 61_706,
    "vgg11": 132_863_336,
    "llama-3-8b": 8_030_261_248,
    "mixtral-8x7b": 46_702_792_704,
    "gru_seq2seq": 8_610_576,
    "siamese": 38_951_745,
    "vae": 652_824,
}


def plan(name: str) -> ModelPlan:
    import torch

    path = CONFIGS / f"{name}.yaml"
    types = {each for each in dir(torch.nn) if isinstance(getattr(torch.nn, each), type)}
    found = plan_model(parse_spec(path.read_bytes(), source=str(path)))
    check_types(found, types)
    return found


def shapes(model: ModelPlan) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all parameters, each layer built by its own class, on the meta device."""
    import torch

    found: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        for each in model.root.walk():
            if each.kind == "parameter":
                shape = each.kwargs["shape"]
                assert isinstance(shape, tuple)
                found[each.path] = shape  # type: ignore[assignment]
            elif each.kind == "module":
                module = getattr(torch.nn, each.type)(*each.args, **each.kwargs)
                found |= {f"{each.path}.{name}": tuple(p.shape) for name, p in module.named_parameters()}
    for tie in model.ties:
        assert found.pop(tie.alias) == found[tie.source]
    return found


def count(found: dict[str, tuple[int, ...]]) -> int:
    import torch

    return sum(torch.Size(shape).numel() for shape in found.values())


def test_every_config_is_counted() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name: str) -> None:
    assert count(shapes(plan(name))) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_configs_are_recognised(name: str) -> None:
    assert looks_like_spec((CONFIGS / f"{name}.yaml").read_bytes())


def test_mlp_is_a_plain_sequential() -> None:
    model = plan("mlp")
    assert shapes(model) == {"0.weight": (3, 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)}
    assert model.root.kind == "sequential"
    assert [rules.name for rules in model.rule_sets] == ["gaussian", "constant", "xavier"]


def test_shared_linear_is_built_once() -> None:
    first, second = plan("shared_linear").root.steps
    assert (first.plan.type, second.plan.kind, second.plan.reference) == ("Linear", "reference", "0")
    assert plan("shared_linear").inputs[0].fill == 1


def test_gpt2_has_the_names_and_shapes_of_the_published_checkpoint() -> None:
    dim, layer = 768, {}
    for norm in ("ln_1", "ln_2"):
        layer |= {f"{norm}.weight": (dim,), f"{norm}.bias": (dim,)}
    for dense, inputs, outputs in (
        ("attn.c_attn", dim, 3 * dim),
        ("attn.c_proj", dim, dim),
        ("mlp.c_fc", dim, 4 * dim),
        ("mlp.c_proj", 4 * dim, dim),
    ):
        layer |= {f"{dense}.weight": (inputs, outputs), f"{dense}.bias": (outputs,)}
    published = {"wte.weight": (50257, dim), "wpe.weight": (1024, dim), "ln_f.weight": (dim,), "ln_f.bias": (dim,)}
    published |= {f"h.{index}.{name}": shape for index in range(12) for name, shape in layer.items()}
    model = plan("gpt2")
    assert shapes(model) == {f"transformer.{name}": shape for name, shape in published.items()}
    assert [(tie.alias, tie.source) for tie in model.ties] == [("lm_head.weight", "transformer.wte.weight")]


def test_llama_has_the_names_and_shapes_of_its_checkpoints() -> None:
    dim, hidden = 4096, 11008
    layer = {f"self_attn.{name}_proj.weight": (dim, dim) for name in "qkvo"}
    layer |= {"mlp.gate_proj.weight": (hidden, dim), "mlp.up_proj.weight": (hidden, dim)}
    layer |= {"mlp.down_proj.weight": (dim, hidden)}
    layer |= {"input_layernorm.weight": (dim,), "post_attention_layernorm.weight": (dim,)}
    expected = {f"model.layers.{index}.{name}": shape for index in range(32) for name, shape in layer.items()}
    expected |= {"model.embed_tokens.weight": (32000, dim), "model.norm.weight": (dim,), "lm_head.weight": (32000, dim)}
    assert shapes(plan("llama-7b")) == expected


def test_resnet18_has_torchvisions_names() -> None:
    found = shapes(plan("resnet18"))
    assert found["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert {name.split(".")[0] for name in found} == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}
    assert "layer1.0.downsample.0.weight" not in found


def test_vit_has_torchvisions_bare_parameters() -> None:
    found = shapes(plan("vit-b16"))
    assert found["class_token"] == (1, 1, 768)
    assert found["encoder.pos_embedding"] == (1, 197, 768)
    assert found["encoder.layers.11.self_attention.in_proj_weight"] == (2304, 768)


def plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


@pytest.mark.parametrize("name", COUNTS)
def test_a_config_as_json_is_the_same_model(name: str) -> None:
    text = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
    again = json.dumps(plain(parse_yaml(text).root), indent="\t")

    def sketch(text: str) -> list[tuple[object, ...]]:
        root = plan_model(parse_spec(text)).root
        return [(each.path, each.type, each.kind, each.args, each.kwargs, len(each.steps)) for each in root.walk()]

    assert sketch(again) == sketch(text)
    assert looks_like_spec(again.encode())
