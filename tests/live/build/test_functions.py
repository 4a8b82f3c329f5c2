"""Built-ins that are functions, branches, experts and parametrized layers, held against torch itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from paraminspect.architecture.functions import FUNCTIONS
from paraminspect.live.build.functions import FUNCTION_MODULES
from tests.making.live_models import open_live

X = torch.linspace(0.1, 2.4, 24).reshape(2, 3, 4)
Y = X.flip(0) + 0.5
PLACES = torch.tensor([[[2, 0, 1, 1]], [[0, 0, 1, 2]]])
PICTURE, SMALL = torch.linspace(-1, 1, 50).reshape(1, 2, 5, 5), torch.zeros(1, 2, 3, 2)

# layer, inputs, what torch says
CASES: list[tuple[str, tuple[Tensor, ...], Callable[..., Any]]] = [
    ("{Reshape: [0, -1]}", (X,), lambda x: x.view(2, 12)),
    ("{Permute: [2, 0, 1]}", (X,), lambda x: x.permute(2, 0, 1)),
    ("{Squeeze: 1}", (X[:, :1],), lambda x: x.squeeze(1)),
    ("{Unsqueeze: -1}", (X,), lambda x: x[..., None]),
    ("{Expand: [-1, 3, 4]}", (X[:, :1],), lambda x: x.expand(2, 3, 4)),
    ("{Flip: 1}", (X,), lambda x: x.flip(1)),
    ("{Roll: {shifts: [1, 2], dims: [1, 2]}}", (X,), lambda x: torch.roll(x, (1, 2), (1, 2))),
    ("{Slice: {dim: -1, start: 1, step: 2}}", (X,), lambda x: x[:, :, 1::2]),
    ("{Slice: [1, 0, -1]}", (X,), lambda x: x[:, :-1]),
    ("{Chunk: 2}", (X,), lambda x: x.chunk(2, -1)),
    ("{Split: {sizes: [1, 3]}}", (X,), lambda x: x.split([1, 3], -1)),
    ("{Split: [2, {dim: 1}]}", (X,), lambda x: x.split(2, 1)),
    ("{Stack: 1}", (X, Y), lambda x, y: torch.stack([x, y], 1)),
    ("{Gather: 1}", (X, PLACES), lambda x, i: x.gather(1, i)),
    ("{IndexSelect: 2}", (X, torch.tensor([3, 0])), lambda x, i: x[:, :, i]),
    ("{Mean: [1, 2]}", (X,), lambda x: x.mean((1, 2))),
    ("Mean", (X,), lambda x: x.mean()),
    ("{Sum: [1, {keepdim: true}]}", (X,), lambda x: x.sum(1, keepdim=True)),
    ("{Max: -1}", (X,), lambda x: x.max(-1).values),
    ("{Min: 0}", (X,), lambda x: x.min(0).values),
    ("Normalize", (X,), lambda x: x / x.norm(dim=-1, keepdim=True)),
    ("{Scale: [-2, 1]}", (X,), lambda x: 1 - 2 * x),
    ("{Power: 0.5}", (X,), torch.sqrt),
    ("Exp", (X,), torch.exp),
    ("Log", (X,), torch.log),
    ("Abs", (-X,), torch.abs),
    ("Sin", (X,), torch.sin),
    ("Cos", (X,), torch.cos),
    ("Subtract", (X, Y), torch.sub),
    ("Divide", (X, Y), torch.div),
    ("Maximum", (X, Y), torch.maximum),
    ("Minimum", (X, Y), torch.minimum),
    ("MatMul", (X, Y.mT), torch.matmul),
    ("{Einsum: 'bij,bkj->bik'}", (X, Y), lambda x, y: x @ y.mT),
    ("CausalMask", (X,), lambda x: torch.tensor([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)),
    ("{Equal: 1}", (PLACES,), lambda x: x.eq(1)),
    ("MaskFill", (X, X > 1), lambda x, m: torch.where(m, -torch.inf, x)),
    ("{Interpolate: bilinear}", (SMALL, PICTURE), lambda a, b: functional.interpolate(a, (5, 5), mode="bilinear")),
    ("Crop", (PICTURE, SMALL), lambda a, b: a[..., 1:4, 1:3]),
    ("Detach", (X,), torch.detach),
    ("Noise", (X,), torch.randn_like),
]


def built(layer: str, inputs: int = 1) -> nn.Module:
    names = [f"x{place}" for place in range(inputs)]
    inner = layer[1:-1] if layer.startswith("{") else layer
    text = f"model: [{{{inner}, from: [{', '.join(names)}]}}]\n"
    text += f"input: {{{', '.join(f'{name}: [1]' for name in names)}}}"
    return open_live("spec.yaml", text=text, device="cpu").model


def test_every_function_is_here() -> None:
    assert {row.name for row in FUNCTIONS} == set(FUNCTION_MODULES)
    assert {row.name for row in FUNCTIONS} == {layer.strip("{}").partition(":")[0] for layer, _, _ in CASES}
    assert all(cls.__doc__ for cls in FUNCTION_MODULES.values())


@pytest.mark.parametrize(("layer", "inputs", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_function_is_torchs(layer: str, inputs: tuple[Tensor, ...], expected: Callable[..., Any]) -> None:
    module = built(layer, len(inputs))
    ours = [each.clone().requires_grad_(each.is_floating_point()) for each in inputs]
    theirs = [each.clone().requires_grad_(each.is_floating_point()) for each in inputs]
    torch.manual_seed(3)
    found = module(*ours)
    torch.manual_seed(3)
    wanted = expected(*theirs)
    torch.testing.assert_close(found, wanted)
    on_meta = module(*(each.to("meta") for each in inputs))
    flat = torch.utils._pytree.tree_leaves
    assert [each.shape for each in flat(on_meta)] == [each.shape for each in flat(found)]
    if not flat(wanted)[0].requires_grad:
        assert not flat(found)[0].requires_grad
        return
    for output in (found, wanted):
        sum(each.square().nan_to_num(neginf=0).sum() for each in flat(output)).backward()
    for mine, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, its.grad)


@pytest.mark.parametrize(
    ("layer", "inputs", "message"),
    [
        ("{Reshape: [-1, -1]}", 1, "expected one -1 at most"),
        ("{Chunk: [3]}", 1, "3 equal parts of dimension -1 of [2,3,4]"),
        ("{Chunk: 5000}", 1, "5,000 parts; the limit is 4,096"),
        ("{Squeeze: 1}", 1, "dimension 1 of [2,3,4]; expected size 1"),
        ("{Reshape: [24, 1, 1, 0]}", 1, "0 in a dimension that [2,3,4] does not have"),
        ("{Slice: 3}", 1, "dimension 3 of [2,3,4]"),
    ],
)
def test_what_a_function_refuses(refused: Callable[..., Any], layer: str, inputs: int, message: str) -> None:
    assert message in str(refused(f"model: [{layer}]\ninput: [2, 3, 4]"))


def test_parts_are_bounded_before_they_are_made(refused: Callable[..., Any]) -> None:
    assert "1,000,000 parts; the limit" in str(refused("model: [{Split: 1}]\ninput: [1, 1000000]"))


def test_constants_are_printed() -> None:
    text = "model: [{Mean: [1, 2]}, Exp, {Slice: {dim: 1, end: 2}}, {Scale: 0.5}, {Mean: 1}]"
    lines = str(open_live("spec.yaml", text=text).model).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [
        "(0): Mean(dim=[1,2])",
        "(1): Exp()",
        "(2): Slice(dim=1, end=2)",
        "(3): Scale(factor=0.5)",
        "(4): Mean(dim=[1])",
    ]


@pytest.mark.parametrize("join", ["{Concat: -1}", "{Concat: -1, from: [0.0, 0.1]}", "{Concat: -1, from: [p.a, p.b]}"])
def test_branches_join(join: str) -> None:
    name, branches = ("p", "{a: ReLU, b: [Tanh]}") if "p.a" in join else ("'0'", "[ReLU, [Tanh]]")
    text = f"model: [{{Parallel: {branches}, name: {name}}}, {join}]"
    model = open_live("spec.yaml", text=text, device="cpu").model
    torch.testing.assert_close(model(X - 1), torch.cat([(X - 1).relu(), (X - 1).tanh()], -1))


def test_outputs_are_a_mapping_or_a_tuple() -> None:
    text = "model: [{Tanh, name: t}, {Chunk: 2, name: c}]\noutputs: "
    named = open_live("spec.yaml", text=text + "{y: t, first: c.0, x: input}", device="cpu").model(X)
    assert list(named) == ["y", "first", "x"]
    torch.testing.assert_close(named["first"], X.tanh()[..., :2])
    listed = open_live("spec.yaml", text=text + "[c.1, t]", device="cpu").model(X)
    torch.testing.assert_close(listed, (X.tanh()[..., 2:], X.tanh()))


def test_a_bare_parameter_is_a_branch() -> None:
    text = "model: [{Parallel: [{Param: {shape: [4], op: mul}, name: p}, ReLU]}]"
    model = open_live("spec.yaml", text=text, device="cpu").model
    assert list(model.state_dict()) == ["0.p"]
    torch.testing.assert_close(model(X), (X, X))


@pytest.mark.parametrize(("top", "normalize"), [(1, False), (2, True), (4, True)])
def test_experts_are_a_loop_over_positions(top: int, normalize: bool) -> None:
    text = (
        "model: [{MixtureOfExperts: {gate: {Linear: [4, 4]}, expert: [{Linear: [4, 5]}, ReLU], count: 4, "
        f"top: {top}, normalize: {str(normalize).lower()}}}}}]"
    )
    model = open_live("spec.yaml", text=text, device="cpu").model
    moe: Any = model[0]  # type: ignore[index]
    found = model(X)
    for row in range(2):
        for place in range(3):
            x = X[row, place]
            weights, chosen = moe.gate(x).softmax(-1).topk(top)
            weights = weights / weights.sum() if normalize else weights
            expected = sum(weight * moe.experts[int(expert)](x) for weight, expert in zip(weights, chosen, strict=True))
            torch.testing.assert_close(found[row, place], expected)


def test_experts_of_pictures_and_a_gate_of_the_wrong_size(refused: Callable[..., Any]) -> None:
    text = "model: [{{MixtureOfExperts: {{gate: [{{Mean: [2, 3]}}, {{Linear: [2, {}]}}], expert: {{Conv2d: [2, 3, 3]}}, count: 2, top: 1}}}}]\ninput: [1, 2, 5, 5]"
    assert open_live("spec.yaml", text=text.format(2)).shapes()[""] == ((1, 3, 3, 3),)
    assert "the gate gives [1,3]; expected [..,2], a score an expert" in str(refused(text.format(3)))


@pytest.mark.parametrize("outputs", [3, 4, 5])
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrized_layers_are_torchs(kind: str, outputs: int) -> None:
    text = f"model: [{{Linear: [4, {outputs}], parametrize: {{weight: {kind}}}}}]"
    outline = open_live("spec.yaml", text=text)
    model = open_live("spec.yaml", text=text, device="cpu").model
    plain = open_live("spec.yaml", text=f"model: [{{Linear: [4, {outputs}]}}]", device="cpu").model[0]  # type: ignore[index]
    twin = getattr(parametrizations, kind)(plain)
    assert [record.shape for record in outline.records] == [tuple(each.shape) for each in model.state_dict().values()]
    if kind == "weight_norm":
        torch.testing.assert_close(model(X), twin(X))
    twin.load_state_dict({name.removeprefix("0."): each for name, each in model.state_dict().items()})
    torch.testing.assert_close(model.eval()(X), twin.eval()(X))
    for name, each in model.state_dict().items():
        torch.testing.assert_close(outline.tensor(name), each)


def test_a_parametrization_that_cannot_be(refused: Callable[..., Any]) -> None:
    error = refused("model: [{Linear: [4, 3], parametrize: {wieght: weight_norm}}]")
    assert str(error) == "spec.yaml:1:40: Linear at 0: parametrize of wieght, which it has not"
    assert error.hint == "did you mean weight?"
    assert "orthogonal of bias" in str(refused("model: [{Linear: [4, 3], parametrize: {bias: orthogonal}}]"))
