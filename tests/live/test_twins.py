"""Each config held against the same network written by hand: same weights, same values, same gradients.

A twin is a function of the weights by name and of the inputs, in torch's functions alone; recurrent layers are bare loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from paraminspect.live.build.inputs import make_inputs
from tests.making.live_models import open_live

Weights = Mapping[str, Tensor]
Twin = Callable[..., Any]
IMAGE = 32


def dense(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def conv(w: Weights, name: str, x: Tensor, **more: Any) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **more)


def batch_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (w[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def layer_norm(w: Weights, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, *, causal: bool = False) -> Tensor:
    """Softmax of the scores of each head, one after the other; heads of q share those of k and v in their order."""
    size = q.shape[-1] // heads
    out = []
    for head in range(heads):
        shared = head * (k.shape[-1] // size) // heads
        qh = q[..., head * size : (head + 1) * size]
        kh, vh = (each[..., shared * size : (shared + 1) * size] for each in (k, v))
        scores = qh @ kh.mT / math.sqrt(size)
        if causal:
            scores = scores + torch.full(scores.shape[-2:], -math.inf).triu(1)
        out.append(scores.softmax(-1) @ vh)
    return torch.cat(out, -1)


def lenet5(w: Weights, x: Tensor) -> Tensor:
    x = F.avg_pool2d(conv(w, "c1", x, padding=2).tanh(), 2)
    x = F.avg_pool2d(conv(w, "c3", x).tanh(), 2).flatten(1)
    return dense(w, "output", dense(w, "f6", dense(w, "c5", x).tanh()).tanh())


def vgg11(w: Weights, x: Tensor, *, norm: bool = False) -> Tensor:
    place = 0
    for step in [1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"]:
        if step == "M":
            x = F.max_pool2d(x, 2)
            place += 1
            continue
        x = conv(w, f"features.{place}", x, padding=1)
        if norm:
            x = batch_norm(w, f"features.{place + 1}", x)
        x = x.relu()
        place += 3 if norm else 2
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    return dense(w, "classifier.6", dense(w, "classifier.3", dense(w, "classifier.0", x).relu()).relu())


def resnet18(w: Weights, x: Tensor) -> Tensor:
    x = batch_norm(w, "bn1", conv(w, "conv1", x, stride=2, padding=3)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = batch_norm(w, f"{at}.bn1", conv(w, f"{at}.conv1", x, stride=stride, padding=1)).relu()
            y = batch_norm(w, f"{at}.bn2", conv(w, f"{at}.conv2", y, padding=1))
            if stride == 2:
                x = batch_norm(w, f"{at}.downsample.1", conv(w, f"{at}.downsample.0", x, stride=2))
            x = (x + y).relu()
    return dense(w, "fc", x.mean((2, 3)))


def unet(w: Weights, x: Tensor) -> Tensor:
    def double(name: str, x: Tensor) -> Tensor:
        for place in (0, 3):
            x = batch_norm(w, f"{name}.{place + 1}", conv(w, f"{name}.{place}", x, padding=1)).relu()
        return x

    def up(name: str, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, w[f"{name}.weight"], w[f"{name}.bias"], 2)

    one = double("down1", x)
    two = double("down2", F.max_pool2d(one, 2))
    bottom = double("bottom", F.max_pool2d(two, 2))
    two = double("merge2", torch.cat([two, up("up2", bottom)], 1))
    return conv(w, "head", double("merge1", torch.cat([one, up("up1", two)], 1)))


def vit(w: Weights, x: Tensor) -> Tensor:
    x = conv(w, "conv_proj", x, stride=8).flatten(2).mT
    x = torch.cat([w["class_token"].expand(len(x), -1, -1), x], 1) + w["encoder.pos_embedding"]
    for layer in range(2):
        at = f"encoder.layers.{layer}"
        packed = F.linear(
            layer_norm(w, f"{at}.ln_1", x, 1e-6),
            w[f"{at}.self_attention.in_proj_weight"],
            w[f"{at}.self_attention.in_proj_bias"],
        )
        x = x + dense(w, f"{at}.self_attention.out_proj", attend(*packed.chunk(3, -1), 2))
        y = dense(w, f"{at}.mlp.0", layer_norm(w, f"{at}.ln_2", x, 1e-6))
        x = x + dense(w, f"{at}.mlp.3", F.gelu(y))
    return dense(w, "heads", layer_norm(w, "encoder.ln", x, 1e-6)[:, 0])


def gpt2(w: Weights, words: Tensor) -> Tensor:
    def conv1d(name: str, x: Tensor) -> Tensor:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["transformer.wte.weight"][words] + w["transformer.wpe.weight"][: words.shape[1]]
    for layer in range(2):
        at = f"transformer.h.{layer}"
        q, k, v = conv1d(f"{at}.attn.c_attn", layer_norm(w, f"{at}.ln_1", x)).chunk(3, -1)
        x = x + conv1d(f"{at}.attn.c_proj", attend(q, k, v, 2, causal=True))
        y = F.gelu(conv1d(f"{at}.mlp.c_fc", layer_norm(w, f"{at}.ln_2", x)), approximate="tanh")
        x = x + conv1d(f"{at}.mlp.c_proj", y)
    return layer_norm(w, "transformer.ln_f", x) @ w["transformer.wte.weight"].mT


def rotate(x: Tensor, heads: int, base: float) -> Tensor:
    """Pairs (j, j + d/2) of each head as complex numbers, turned by position * base ** (-2j / d)."""
    half = x.shape[-1] // heads // 2
    parts = x.unflatten(-1, (heads, 2, half))
    angles = torch.arange(x.shape[1])[:, None] * base ** (-torch.arange(half) / half)
    turned = torch.complex(parts[..., 0, :], parts[..., 1, :]) * torch.polar(torch.ones(()), angles)[:, None]
    return torch.cat([turned.real, turned.imag], -1).flatten(2)


def llama(w: Weights, words: Tensor, *, base: float, feed: Twin) -> Tensor:
    def norm(name: str, x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"]

    x = w["model.embed_tokens.weight"][words]
    for layer in range(2):
        at = f"model.layers.{layer}"
        y = norm(f"{at}.input_layernorm", x)
        q, k, v = (dense(w, f"{at}.self_attn.{name}_proj", y) for name in "qkv")
        y = attend(rotate(q, 4, base), rotate(k, 2, base), v, 4, causal=True)
        x = x + dense(w, f"{at}.self_attn.o_proj", y)
        x = x + feed(w, at, norm(f"{at}.post_attention_layernorm", x))
    return dense(w, "lm_head", norm("model.norm", x))


def gated(w: Weights, at: str, x: Tensor) -> Tensor:
    y = F.silu(dense(w, f"{at}.mlp.gate_proj", x)) * dense(w, f"{at}.mlp.up_proj", x)
    return dense(w, f"{at}.mlp.down_proj", y)


def mixed(w: Weights, at: str, x: Tensor) -> Tensor:
    """As in Mixtral: the positions of each expert are looked up, and it runs on those alone."""
    at = f"{at}.block_sparse_moe"
    flat = x.flatten(0, 1)
    weights, chosen = dense(w, f"{at}.gate", flat).softmax(-1).topk(2)
    weights = weights / weights.sum(-1, keepdim=True)
    out = torch.zeros_like(flat)
    for expert in range(3):
        rows, rank = torch.where(chosen == expert)
        y = flat[rows]
        e = f"{at}.experts.{expert}"
        y = dense(w, f"{e}.w2", F.silu(dense(w, f"{e}.w1", y)) * dense(w, f"{e}.w3", y))
        out = out.index_add(0, rows, y * weights[rows, rank, None])
    return out.view_as(x)


def gru(w: Weights, name: str, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    out = []
    for step in range(x.shape[1]):
        ir, iz, new = F.linear(x[:, step], w[f"{name}.weight_ih_l0"], w[f"{name}.bias_ih_l0"]).chunk(3, -1)
        hr, hz, hn = F.linear(h, w[f"{name}.weight_hh_l0"], w[f"{name}.bias_hh_l0"]).chunk(3, -1)
        z = (iz + hz).sigmoid()
        h = (1 - z) * (new + (ir + hr).sigmoid() * hn).tanh() + z * h
        out.append(h)
    return torch.stack(out, 1), h


def lstm(w: Weights, x: Tensor, suffix: str) -> Tensor:
    size = w[f"lstm.weight_hh_{suffix}"].shape[1]
    h = c = x.new_zeros(len(x), size)
    out = []
    for step in range(x.shape[1]):
        both = F.linear(x[:, step], w[f"lstm.weight_ih_{suffix}"], w[f"lstm.bias_ih_{suffix}"])
        i, f, g, o = (both + F.linear(h, w[f"lstm.weight_hh_{suffix}"], w[f"lstm.bias_hh_{suffix}"])).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append(h)
    return torch.stack(out, 1)


def tagger(w: Weights, words: Tensor) -> Tensor:
    x = F.embedding(words, w["embed.weight"], 0)
    back = lstm(w, x.flip(1), "l0_reverse").flip(1)
    return dense(w, "tag", torch.cat([lstm(w, x, "l0"), back], -1))


def seq2seq(w: Weights, source: Tensor, target: Tensor) -> Tensor:
    x = F.embedding(source, w["encoder.embedding.weight"], 0)
    memory, h = gru(w, "encoder.rnn", x, x.new_zeros(len(x), 6))
    said, _ = gru(w, "decoder.rnn", F.embedding(target, w["decoder.embedding.weight"], 0), h)
    context = torch.einsum("bth,bsh->bts", said, memory).softmax(-1) @ memory
    return dense(w, "decoder.out", dense(w, "decoder.combine", torch.cat([context, said], -1)).tanh())


def siamese(w: Weights, left: Tensor, right: Tensor) -> Tensor:
    def tower(x: Tensor) -> Tensor:
        for layer in range(1, 4):
            x = F.max_pool2d(conv(w, f"tower.conv{layer}", x).relu(), 2)
        return dense(w, "tower.fc", conv(w, "tower.conv4", x).relu().flatten(1)).sigmoid()

    return dense(w, "head", (tower(left) - tower(right)).abs()).sigmoid()


def vae(w: Weights, x: Tensor) -> dict[str, Tensor]:
    x = x.flatten(1)
    h = dense(w, "fc1", x).relu()
    mu, logvar = dense(w, "fc21", h), dense(w, "fc22", h)
    z = mu + torch.randn_like(mu) * (logvar / 2).exp()
    picture = dense(w, "fc4", dense(w, "fc3", z).relu()).sigmoid()
    bce = F.binary_cross_entropy(picture, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.square() - logvar.exp())
    return {"picture": picture, "mu": mu, "logvar": logvar, "loss_bce": bce, "loss_kl": kl}


def autoencoder(w: Weights, x: Tensor) -> Tensor:
    for layer in ("conv1", "conv2"):
        x = conv(w, f"encoder.{layer}", x, stride=2, padding=1)
        x = x.relu() if layer == "conv1" else x
    x = F.conv_transpose2d(x, w["encoder.conv2.weight"], w["decoder.conv2.bias"], 2, 1).relu()
    return F.conv_transpose2d(x, w["encoder.conv1.weight"], w["decoder.conv1.bias"], 2, 1).sigmoid()


LLAMA = {"vocab": 11, "dim": 16, "hidden": 12, "heads": 4, "kv_heads": 2, "depth": 2}
SMALL: dict[str, tuple[dict[str, Any], Twin]] = {
    "autoencoder": ({"width": 2}, autoencoder),
    "gpt2": ({"vocab": 11, "context": 16, "dim": 8, "heads": 2, "depth": 2}, gpt2),
    "gru_seq2seq": ({"source_vocab": 9, "target_vocab": 8, "dim": 5, "hidden": 6}, seq2seq),
    "lenet5": ({}, lenet5),
    "llama-3-8b": (LLAMA, lambda w, words: llama(w, words, base=5e5, feed=gated)),
    "llama-7b": ({**LLAMA, "eps": 1e-5}, lambda w, words: llama(w, words, base=1e4, feed=gated)),
    "lstm_tagger": ({"vocab": 9, "dim": 4, "hidden": 3, "tags": 5}, tagger),
    "mixtral-8x7b": ({**LLAMA, "experts": 3}, lambda w, words: llama(w, words, base=1e6, feed=mixed)),
    "resnet18": ({"width": 2, "classes": 3, "image": IMAGE}, resnet18),
    "siamese": ({"width": 2, "hidden": 5, "image": 65, "features": 8}, siamese),
    "unet": ({"width": 2}, unet),
    "vae": ({"hidden": 7, "latent": 3}, vae),
    "vgg11": ({"width": 2, "hidden": 5, "classes": 3, "image": IMAGE}, vgg11),
    "vgg11 with norm": (
        {"width": 2, "hidden": 5, "classes": 3, "image": IMAGE, "norm": True},
        lambda w, x: vgg11(w, x, norm=True),
    ),
    "vit-b16": ({"image": 16, "patch": 8, "dim": 8, "heads": 2, "depth": 2, "hidden": 6, "classes": 3}, vit),
}
SELF_EVIDENT = {"mlp", "shared_linear", "custom_init"}


def test_every_config_has_a_twin(configs: Path) -> None:
    assert {path.stem for path in configs.glob("*.yaml")} == {name.split()[0] for name in SMALL} | SELF_EVIDENT


@pytest.mark.parametrize("name", SMALL)
def test_a_config_is_its_twin(configs: Path, name: str) -> None:
    variables, twin = SMALL[name]
    live = open_live(str(configs / f"{name.split(maxsplit=1)[0]}.yaml"), device="cpu", variables=variables)
    model = live.model.eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5 * parameter.shape[-1] ** -0.5, generator=generator)
    weights = {each: tensor.detach().clone().requires_grad_() for each, tensor in model.named_parameters()}
    weights |= {each: buffer.clone() for each, buffer in model.named_buffers()}
    assert live.plan is not None
    inputs = make_inputs(live.plan, device="cpu")
    torch.manual_seed(2)
    found = model(*inputs)
    torch.manual_seed(2)
    expected = twin(weights, *inputs)
    torch.testing.assert_close(found, expected)
    for output in (found, expected):
        parts = output.values() if isinstance(output, Mapping) else [output]
        sum(each.square().sum() for each in parts).backward()
    for each, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, weights[each].grad, rtol=1e-4, atol=1e-5)
