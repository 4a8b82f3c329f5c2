from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paraminspect.architecture.built_in import BUILTINS
from paraminspect.live.build.containers import Flow, Residual
from paraminspect.live.build.inputs import make_inputs
from paraminspect.live.build.layers import BUILTIN_MODULES, Attention, Rotary
from tests.making.live_models import open_live


def test_every_builtin_of_the_table_has_a_module() -> None:
    assert set(BUILTIN_MODULES) == set(BUILTINS) - {"Param"}


def test_mlp_equals_one_written_by_hand(configs: Path) -> None:
    live = open_live(str(configs / "mlp.yaml"), device="cpu")
    (x,) = make_inputs(live.plan, device="cpu")
    weights = live.model.state_dict()
    by_hand = (x @ weights["0.weight"].T + weights["0.bias"]).relu() @ weights["2.weight"].T + weights["2.bias"]
    torch.testing.assert_close(live.model(x), by_hand)


class Block(nn.Module):
    """torchvision's BasicBlock, with a projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


def by_hand(q: Tensor, k: Tensor, v: Tensor, *, heads: int, kv_heads: int, causal: bool) -> Tensor:
    """Attention as in the textbook, one head after the other."""
    size = q.shape[-1] // heads
    out = []
    for head in range(heads):
        shared = head // (heads // kv_heads)
        qh = q[..., head * size : (head + 1) * size]
        kh, vh = (each[..., shared * size : (shared + 1) * size] for each in (k, v))
        scores = qh @ kh.transpose(1, 2) / math.sqrt(size)
        if causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        out.append(scores.softmax(-1) @ vh)
    return torch.cat(out, -1)


@pytest.mark.parametrize(("heads", "kv_heads", "causal"), [(2, 0, False), (4, 2, True), (4, 1, False), (3, 3, True)])
def test_attention(heads: int, kv_heads: int, causal: bool) -> None:
    given = kv_heads or heads
    q, k, v = torch.randn(2, 5, heads * 4), torch.randn(2, 5, given * 4), torch.randn(2, 5, given * 4)
    attention = Attention(heads, kv_heads, causal)
    expected = by_hand(q, k, v, heads=heads, kv_heads=given, causal=causal)
    torch.testing.assert_close(attention(q, k, v), expected)
    torch.testing.assert_close(attention(torch.cat([q, k, v], -1)), expected)


def test_rotary() -> None:
    x = torch.randn(2, 5, 2 * 6)
    turned = Rotary(2, base=100.0)(x)
    half = 3
    for head in range(2):
        for position in range(5):
            for j in range(half):
                angle = position * 100.0 ** (-2 * j / 6)
                a, b = x[:, position, head * 6 + j], x[:, position, head * 6 + j + half]
                at = turned[:, position]
                torch.testing.assert_close(at[:, head * 6 + j], a * math.cos(angle) - b * math.sin(angle))
                torch.testing.assert_close(at[:, head * 6 + j + half], b * math.cos(angle) + a * math.sin(angle))


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        ("add", [4], lambda x, p: x + p),
        ("mul", [3, 1], lambda x, p: x * p),
        ("matmul", [4, 5], lambda x, p: x @ p),
        ("prepend", [1, 2, 4], lambda x, p: torch.cat([p.expand(2, 2, 4), x], 1)),
        ("append", [1, 1, 4], lambda x, p: torch.cat([x, p.expand(2, 1, 4)], 1)),
    ],
)
def test_bare_parameter(
    live: Callable[..., Any], op: str, shape: list[int], expected: Callable[[Tensor, Tensor], Tensor]
) -> None:
    model = live(f"model: [{{Param: {{shape: {shape}, op: {op}}}, name: p}}]", device="cpu").model
    ((name, p),) = model.named_parameters()
    assert (name, list(p.shape), p.requires_grad) == ("p", shape, True)
    nn.init.normal_(p)
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(model(x), expected(x, p))


def test_bare_parameters_at_first(live: Callable[..., Any]) -> None:
    layers = [
        "{Param: {shape: [3], op: add}, name: a}",
        "{Param: {shape: [3], op: mul}, name: b}",
        "{Param: {shape: [100, 3], op: matmul}, name: c}",
        "{Param: {shape: [1, 500, 3], op: prepend}, name: d}",
    ]
    model = live(f"model: [{', '.join(layers)}]", device="cpu").model
    assert not model.a.any()
    assert (model.b == 1).all()
    assert 0 < model.c.abs().max() <= 0.1
    assert 0.01 < model.d.std() < 0.03


def test_other_builtins(live: Callable[..., Any]) -> None:
    text = """
model:
  - {Transpose: [1, 2], name: t}
  - {Select: {dim: 1, index: -1}, from: input, name: s}
  - {Add, from: [t, t, t], name: sum}
  - {Multiply, from: [sum, t], name: product}
  - {Positions: 2, from: input, name: positions}
  - {Concat: {dim: 0}, from: [product, product], name: out}
input: [2, 3, 4]
"""
    opened = live(text, device="cpu")
    x = torch.randn(2, 3, 4)
    assert torch.equal(opened.model.s(x), x[:, -1])
    assert torch.equal(opened.model.positions(x), torch.arange(4))
    t = x.transpose(1, 2)
    torch.testing.assert_close(opened.model(x), torch.cat([3 * t * t] * 2))
    assert opened.shapes()["positions"] == ((4,),)


def test_residual(live: Callable[..., Any]) -> None:
    text = """
model:
  - {Residual: [{Linear: [4, 4]}, Tanh], name: plain}
  - {Residual: {body: [{Linear: [4, 2]}], shortcut: [{Linear: [4, 2, {bias: false}]}]}, name: projected}
"""
    model = live(text, device="cpu").model
    assert isinstance(model.plain, Residual)
    x = torch.randn(3, 4)
    torch.testing.assert_close(model.plain(x), model.plain.body(x) + x)
    torch.testing.assert_close(model.projected(x), model.projected.body(x) + model.projected.shortcut(x))
    assert [name for name, _ in model.named_parameters()][-1] == "projected.shortcut.0.weight"


def test_outputs_are_dropped_after_their_last_use(live: Callable[..., Any]) -> None:
    layers = "{Linear: [4, 4], name: a}, {Linear: [4, 4], name: b}, {Add, from: [a, b], name: s}, {Tanh, name: t}"
    model = live(f"model: [{layers}]", device="cpu").model
    alive = {}
    for name in "ab":
        getattr(model, name).register_forward_hook(lambda _, x, y, name=name: alive.update({name: weakref.ref(y)}))
    seen = []
    model.s.register_forward_pre_hook(lambda *_: seen.append({name for name in alive if alive[name]() is not None}))
    model.t.register_forward_pre_hook(lambda *_: seen.append({name for name in alive if alive[name]() is not None}))
    with torch.no_grad():
        model(torch.ones(1, 4))
    assert seen == [{"a", "b"}, set()]


def test_several_inputs(live: Callable[..., Any]) -> None:
    text = """
model:
  - {Linear: [3, 4], from: left, name: a}
  - {Linear: [5, 4], from: right, name: b}
  - {Add, from: [a, b]}
input: {left: [2, 3], right: [2, 5]}
"""
    opened = live(text, device="cpu")
    assert isinstance(opened.model, Flow)
    left, right = make_inputs(opened.plan, device="cpu")
    torch.testing.assert_close(opened.model(left, right), opened.model.a(left) + opened.model.b(right))
    with pytest.raises(TypeError, match="1 inputs; expected 2: left, right"):
        opened.model(left)
