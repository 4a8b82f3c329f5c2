"""Models of every kind that people write, through every function; the oracle is a bare backward pass in torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import paraminspect as pi
from paraminspect.live.build.describe import describe_model

X = torch.linspace(-1, 1, 8).reshape(2, 4)
IDS = torch.tensor([[1, 2, 2], [0, 3, 1]])


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


class Late(nn.Module):
    """Makes its head when it first sees an input."""

    def __init__(self, *, always: bool = False) -> None:
        super().__init__()
        self.body, self.head, self.always = nn.Linear(4, 3), None, always

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        if self.head is None or self.always:
            self.head = nn.Sequential(nn.Linear(3, 2))
            self.register_buffer("scale", torch.ones(2))
        return self.head(x) * self.scale  # type: ignore[no-any-return]


class Twice(nn.Module):
    """A sparse embedding that is looked up twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4, sparse=True)

    def forward(self, ids: Tensor) -> Tensor:
        return (self.table(ids) * self.table(ids + 1)).sum(-1)  # type: ignore[no-any-return]


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(5, 4, mode="sum", sparse=True), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.bag(ids))  # type: ignore[no-any-return]


class Saving(nn.Module):
    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.first, self.second, self.reentrant = nn.Linear(4, 4), nn.Linear(4, 4), reentrant

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(self.second, self.first(x), use_reentrant=self.reentrant)
        return checkpoint(self.second, x, use_reentrant=self.reentrant)  # type: ignore[no-any-return]


class Hooked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.a.weight.register_hook(lambda grad: grad * 10)
        self.a.bias.register_hook(lambda grad: grad)
        self.b.register_full_backward_hook(lambda _, inputs, __: tuple(3 * each for each in inputs))
        self.b.register_full_backward_pre_hook(lambda _, outputs: None)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))  # type: ignore[no-any-return]


class Stepping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

        def step(parameter: Tensor) -> None:
            parameter.data -= parameter.grad  # type: ignore[operator]

        for each in self.a.parameters():
            each.register_post_accumulate_grad_hook(step)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x)  # type: ignore[no-any-return]


class Energy(nn.Module):
    """Its output is a gradient itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.net(x).tanh().sum(), x, create_graph=True)[0]


class Bounded(nn.Module):
    """Writes into its weight, its buffer and its own lists while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.seen: list[Tensor] = []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.a.weight.data.clamp_(-0.1, 0.1)
        self.seen.append(x)
        self.count = self.count + 1
        return self.norm(self.a(x)).square()  # type: ignore[no-any-return]


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.complex64) @ self.w).abs()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return functional.linear(self.table(ids), self.table.weight)


class Branches(nn.Module):
    """What comes back is no tensor: a loss of its own, and more."""

    def __init__(self, give: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.a, self.unused, self.give = nn.Linear(4, 4), nn.Linear(2, 2), give

    def forward(self, x: Tensor) -> Any:
        return self.give(self.a(x))


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        doubled = {name: 2 * each for name, each in self.a.named_parameters()}
        found: Tensor = torch.func.functional_call(self.a, doubled, (x,))
        return found


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear})  # type: ignore[no-any-return]


def partly_quantised() -> nn.Module:
    model = mlp()
    model[2] = torch.ao.quantization.quantize_dynamic(nn.Sequential(model[2]), {nn.Linear})[0]
    return nn.Sequential(nn.Linear(4, 4), Branches(lambda y: y), nn.Identity(), model[0])


def trained_quantised() -> nn.Module:
    model = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Linear(4, 3)).train()
    model.qconfig = torch.ao.quantization.get_default_qat_qconfig("fbgemm")  # type: ignore[assignment]
    return torch.ao.quantization.prepare_qat(model)  # type: ignore[no-any-return]


def first(output: Any) -> Tensor:
    return output.sum()  # type: ignore[no-any-return]


KINDS: dict[str, tuple[Callable[[], nn.Module], Tensor, Callable[[Any], Tensor]]] = {
    "plain": (mlp, X, first),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.LazyLinear(2)), X, first),
    "late": (Late, X, first),
    "anew": (lambda: Late(always=True), X, first),
    "scripted": (lambda: torch.jit.script(mlp()), X, first),
    "scripted inside": (lambda: nn.Sequential(torch.jit.script(nn.Linear(4, 3)), nn.Linear(3, 1)), X, first),
    "lazy norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LazyBatchNorm1d(), nn.Tanh()), X, first),
    "traced": (lambda: torch.jit.trace(mlp(), X), X, first),
    "fx": (lambda: torch.fx.symbolic_trace(mlp()), X, first),
    "data parallel": (lambda: nn.DataParallel(mlp()), X, first),
    "sparse twice": (Twice, IDS, first),
    "sparse bag": (Bag, IDS, first),
    "checkpointed": (lambda: Saving(reentrant=False), X, first),
    "checkpointed with reentry": (lambda: Saving(reentrant=True), X, first),
    "hooked": (Hooked, X, first),
    "double backward": (Energy, X, first),
    "writing": (Bounded, X, first),
    "complex": (Complex, X, first),
    "tied": (Tied, IDS, first),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), X, first),
    "old weight norm": (lambda: nn.utils.weight_norm(nn.Linear(4, 3)), X, first),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), X, first),
    "lstm": (lambda: nn.LSTM(4, 3, bidirectional=True), X, lambda y: y[0].sum()),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.3), X, first),
    "functional call": (Functional, X, first),
    "fake quantised": (trained_quantised, X, first),
    "partly quantised": (partly_quantised, X, first),
    "own loss": (lambda: Branches(lambda y: {"logits": y, "loss": y.square().mean()}), X, lambda y: y["loss"]),
    "losses": (lambda: Branches(lambda y: {"loss_a": y.sum(), "n": y, "loss_b": y.exp().mean()}), X, lambda y: y["loss_a"] + y["loss_b"]),
    "several": (lambda: Branches(lambda y: (IDS, [y.exp()], y)), X, lambda y: y[1][0].sum()),
}  # fmt: skip


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KINDS[kind][0]()


def bare(kind: str) -> dict[str, Tensor | None]:
    """What a script finds."""
    model = make(kind)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        KINDS[kind][2](model(KINDS[kind][1])).backward()  # type: ignore[no-untyped-call]
    return {
        name: None if each.grad is None else each.grad.to_dense() if each.grad.is_sparse else each.grad
        for name, each in model.named_parameters()
    }


def image(model: nn.Module) -> list[Any]:
    """All there is of a model: modules, attributes, hooks, and the values of tensors."""
    found: list[Any] = [torch.get_rng_state().tolist(), torch.is_grad_enabled()]
    for path, module in model.named_modules():
        found.append((path, type(module)))
        if not isinstance(module, torch.jit.ScriptModule):
            held = vars(module).items()
            found.append([(name, [*map(str, each)] if isinstance(each, (dict, list, set)) else str(each)) for name, each in held])  # fmt: skip
    for name, parameter in model.named_parameters():
        hooks = [*map(str, (parameter._post_accumulate_grad_hooks or {}).values())]
        hooks += [*map(str, (parameter._backward_hooks or {}).values())]
        found.append((name, id(parameter), type(parameter), parameter.requires_grad, parameter.grad, hooks))
    return found


@pytest.mark.parametrize("uses", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_a_bare_script_and_the_model_is_as_it_was(kind: str, uses: bool) -> None:
    due, model = bare(kind), make(kind)
    torch.manual_seed(1)
    before = image(model)
    report = pi.backward(model, KINDS[kind][1], uses=uses)
    assert image(model) == before
    assert report.gradients.keys() == due.keys()
    for record in report.parameters:
        grad, found = due[record.name], report.gradients[record.name]
        assert (grad is None) == (found is None) == (record.state == "none")
        if grad is None or found is None:
            continue
        torch.testing.assert_close(found, grad)
        assert record.norm == pytest.approx(torch.linalg.vector_norm(grad.to(torch.complex128 if grad.is_complex() else torch.float64)).item(), rel=1e-5)  # fmt: skip
        if uses and "scripted" not in kind and kind != "traced":
            parts = report.parts[record.name]
            assert len(parts) == len(record.uses) > 0
            torch.testing.assert_close(sum(part for part in parts if part is not None), grad)


@pytest.mark.parametrize("kind", [each for each in KINDS if each not in ("lazy", "lazy norm", "complex")])
def test_rows_and_rules_are_of_the_parameters(kind: str) -> None:
    model = make(kind)
    names = [name for name, _ in model.named_parameters()]
    before = image(model)
    assert [each.name for each in pi.open(model)] == names
    assert [each.name for each in pi.plan_init(model, ["*=normal(std=0.5)"]).records] == names
    assert pi.ties(model) == []
    assert image(model) == before
    steps = pi.apply_init(model, ["*=constant(0.5)"])
    assert [each.name for each in steps] == names
    assert all((each == 0.5).all() for each in model.parameters())


def test_lazy_layers_have_no_values_to_draw() -> None:
    model = make("lazy")
    assert [each.shape for each in pi.open(model)] == [None] * 4
    with pytest.raises(pi.ParamInspectError):
        pi.apply_init(model, ["*=zeros"])
    with pytest.raises(pi.ParamInspectError, match=r"0\.weight has no values yet: its layer is lazy"):
        pi.stats(model)


NOTES = {
    "late": "made in forward: head.0.weight, head.0.bias, scale; an optimizer that was made before does not have them",
    "anew": "made in forward: head.0.weight, head.0.bias, scale; an optimizer that was made before does not have them",
    "writing": "the forward pass changes a.weight itself",
}


@pytest.mark.parametrize("kind", [*NOTES, "plain", "lazy", "sparse twice"])
def test_what_is_said_of_a_model_that_changes(kind: str) -> None:
    assert pi.backward(make(kind), KINDS[kind][1]).notes == ((NOTES[kind],) if kind in NOTES else ())


def test_layers_that_are_made_late_go_by_their_names() -> None:
    report = pi.backward(make("late"), X, uses=True)
    assert [use.module for each in report.parameters for use in each.uses] == ["body", "body", "head.0", "head.0"]
    assert report.made == ("head.0.weight", "head.0.bias", "scale")


def test_hooks_that_change_gradients_or_wait_for_them_are_named() -> None:
    changing = pi.backward(make("hooked"), X).notes
    assert [note.partition(" (test_kinds")[0] for note in changing] == [
        "b: the hook <lambda>",
        "a.weight: the hook <lambda>",
    ]
    model = Stepping()
    values = model.a.weight.detach().clone()
    (waiting,) = pi.backward(model, X).notes
    assert waiting.startswith("a.weight, a.bias: the post-accumulate-grad hook step (test_kinds.py:")
    assert waiting.endswith(") was not run; gradients are those before it")
    assert torch.equal(model.a.weight, values)
    model(X).sum().backward()  # it does now
    assert not torch.equal(model.a.weight, values)


@pytest.mark.parametrize(
    ("make_it", "message", "hint"),
    [
        (quantised, "Sequential has no parameters, so that there are no gradients", "weights of quantised layers"),
        (nn.ReLU, "ReLU has no parameters", None),
        (lambda: nn.Linear(4, 4).requires_grad_(False), "the loss depends on no parameter: requires_grad is False for all 2 of them", None),
        (lambda: Branches(lambda y: y / {}["k"]), r"forward fails at the model \(Branches\) .*: KeyError: 'k' \(.*:\d+\)", None),
        (lambda: Branches(lambda _: sys.exit(3)), "forward fails at .*: SystemExit: 3", None),
        (lambda: nn.Sequential(Branches(lambda _: next(iter([])))), r"forward fails at 0 \(Branches\).*: StopIteration", None),
        (lambda: Branches(lambda y: torch.distributions.Normal(y, 1.0, validate_args=False)), "no floating-point tensor: a Normal", "--loss output.NAME"),
        (lambda: Branches(torch.fft.fft), r"no floating-point tensor: \[2,4\] complex64", "--loss-file"),
        (lambda: Branches(lambda y: torch.nested.nested_tensor([y[0]])), "the loss fails with output nested", None),
        (lambda: Branches(lambda y: y.detach()), "the loss depends on no parameter", "detached"),
        (lambda: Branches(lambda y: y * float("nan")), "the loss is nan: the model", None),
        (lambda: nn.Linear(3, 3), r"forward fails at the model \(Linear\) with input \[2,4\]", r"it takes 3"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_one_clear_line(make_it: Callable[[], nn.Module], message: str, hint: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_it()
    before = image(model)
    with pytest.raises(pi.ParamInspectError, match=message) as caught:
        pi.backward(model, X)
    assert image(model) == before
    assert "\n" not in str(caught.value)
    assert (hint or "") in (caught.value.hint or "")


def test_whatever_a_model_raises_is_a_paraminspect_error() -> None:
    class Locked(nn.Linear):
        def named_parameters(self, *_: Any, **__: Any) -> Any:
            raise LookupError("no names here")

    with pytest.raises(pi.ParamInspectError, match=r"backward: LookupError: no names here \(.*test_kinds.py:\d+\)"):
        pi.backward(Locked(4, 4), X)

    def interrupted(_: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pi.backward(Branches(interrupted), X)
    with pytest.raises(TypeError, match="missing a required argument"):
        pi.backward()  # type: ignore[call-arg]


def test_what_is_compiled_runs_as_it_is_written() -> None:
    """No compiler is at work, and uses are of the operations themselves."""

    def compiler(*_: Any) -> Any:
        raise AssertionError("at work")

    plain = mlp()
    report = pi.backward(torch.compile(plain, backend=compiler), X, uses=True)  # type: ignore[arg-type]
    assert [each.name for each in report.parameters] == [f"_orig_mod.{name}" for name, _ in plain.named_parameters()]
    assert [use.op for each in report.parameters for use in each.uses] == ["addmm"] * 4
    plain(X).sum().backward()
    for parameter, found in zip(plain.parameters(), report.gradients.values(), strict=True):
        assert parameter.grad is not None
        assert found is not None
        assert torch.equal(parameter.grad, found)


def test_quantised_layers_are_told_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pi.open(quantised())
    assert list(model) == []
    assert model.notes == ("quantised, with weights that are packed and no parameters: 0, 2",)


def test_every_kind_is_described() -> None:
    for kind in KINDS:
        assert [each.name for each in describe_model(make(kind)) if each.kind == "parameter"]


def test_what_forward_takes_away_has_rows() -> None:
    class Pruned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.gone = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            self._modules.pop("gone", None)
            return self.kept(x)  # type: ignore[no-any-return]

    model = Pruned()
    reasons = {each.name: each.reason for each in pi.backward(model, X).parameters if each.state == "none"}
    assert reasons == dict.fromkeys(["gone.weight", "gone.bias"], "the forward pass takes gone out of the model")
    assert "gone.weight" in model.state_dict()


def test_a_lazy_layer_that_does_not_run_is_told_of() -> None:
    model = mlp()
    model[0].add_module("unused", nn.LazyLinear(2))
    with pytest.raises(pi.ParamInspectError, match=r"0\.unused\.weight has no shape: it is lazy"):
        pi.backward(model, X)
    assert pi.cost(model, X).totals.parameters == 23
