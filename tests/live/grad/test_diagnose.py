"""Why a gradient is missing, zero or no number, and what is said of models that cannot be run backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from paraminspect.errors import ParamInspectError
from paraminspect.live.grad.backward import backward_report


class Net(nn.Module):
    """Layers by name, and a forward pass over them."""

    def __init__(self, run: Callable[[Net, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def linear(bias: float | None = None) -> nn.Linear:
    made = nn.Linear(3, 3)
    if bias is not None:
        nn.init.constant_(made.bias, bias)
    return made


def reasons(model: nn.Module, **options: object) -> dict[str, tuple[str, str | None]]:
    report = backward_report(model, torch.ones(2, 3), **options)
    return {record.name: (record.state, record.reason) for record in report.parameters if record.state != "ok"}


def detached(net: Net, x: Tensor) -> Tensor:
    return net.a(x) + net.b(x).detach() + net.c(x).data


def silent(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = net.b(x)
    return net.a(x) + y


def unused_output(net: Net, x: Tensor) -> Tensor:
    net.b(x)
    return net.a(x)


def rounded(net: Net, x: Tensor) -> Tensor:
    return net.a(x)[:, net.b(x).argmax(1)]


@pytest.mark.parametrize(
    ("run", "due"),
    [
        (lambda net, x: net.a(x), "b is never called"),
        (detached, "detached in the model"),
        (silent, "linear in b runs under no_grad"),
        (unused_output, "the output of b does not reach the loss"),
        (rounded, "no gradient passes argmax in the model"),
    ],
)
def test_no_gradient(run: Callable[[Net, Tensor], Tensor], due: str) -> None:
    layers = {"a": linear(), "b": linear()}
    if run is detached:
        layers["c"] = linear()
    found = reasons(Net(run, **layers))
    assert found == {f"{name}.{part}": ("none", due) for name in layers if name != "a" for part in ("weight", "bias")}


def test_the_outermost_module_that_never_ran_is_named() -> None:
    branch = nn.Sequential(nn.Sequential(linear()), linear())
    found = reasons(Net(lambda net, x: net.a(x), a=linear(), branch=branch))
    assert set(found.values()) == {("none", "branch is never called")}
    assert len(found) == 4


def test_a_module_that_does_not_use_its_parameter() -> None:
    class Odd(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return functional.linear(x, self.weight)

    found = reasons(Net(lambda net, x: net.a(x), a=Odd(3, 3)))
    assert found == {"a.bias": ("none", "a does not use it")}


def test_a_dead_relu_and_what_it_feeds() -> None:
    found = reasons(nn.Sequential(linear(-100), nn.ReLU(), linear()))
    before = ("zero", "1 (ReLU) is zero for the whole batch")
    assert found == {
        "0.weight": before,
        "0.bias": before,
        "2.weight": ("zero", "the input of 2 (Linear) is zero for the whole batch"),
    }


def test_a_dead_relu_on_one_of_two_paths_explains_nothing() -> None:
    def run(net: Net, x: Tensor) -> Tensor:
        y = net.a(x)
        return torch.relu(y - 1000) + y

    assert reasons(Net(run, a=linear())) == {}


def test_a_weight_of_zeros_stops_the_gradient() -> None:
    last = linear()
    nn.init.zeros_(last.weight)
    found = reasons(nn.Sequential(linear(), nn.Tanh(), last))
    assert set(found.values()) == {("zero", "2.weight is zero, and no gradient passes it")}
    assert set(found) == {"0.weight", "0.bias"}


def test_the_first_operation_whose_gradient_is_no_number() -> None:
    def run(net: Net, x: Tensor) -> Tensor:
        return torch.where(x > 2, net.root(net.a(x) * 0), 1.0)

    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sqrt()

    found = reasons(Net(run, a=linear(), root=Root()))
    why = "the gradient of sqrt in root is the first that is not finite (taken at 0)"
    assert found == {"a.weight": ("nan", why), "a.bias": ("nan", why)}


def test_frozen() -> None:
    model = nn.Sequential(linear(), linear())
    model[0].requires_grad_(False)
    assert set(reasons(model).values()) == {("frozen", "requires_grad is False")}


def test_reasons_are_not_looked_for_unless_asked() -> None:
    calls: list[int] = []

    def run(net: Net, x: Tensor) -> Tensor:
        calls.append(1)
        return net.a(x)

    assert reasons(Net(run, a=linear(), b=linear()), reasons=False) == {
        "b.weight": ("none", None),
        "b.bias": ("none", None),
    }
    assert len(calls) == 1


@pytest.mark.parametrize("last", [nn.Softmax(-1), nn.LayerNorm(3), nn.BatchNorm1d(3)])
def test_a_loss_that_is_flat_by_construction(last: nn.Module) -> None:
    torch.manual_seed(0)  # rounding is divided by what the batch deviates
    model = nn.Sequential(nn.Linear(3, 3), last)
    x = torch.rand(4, 3)
    for loss in ("sum", "mean"):
        assert any(
            "is flat, and these gradients are rounding" in note for note in backward_report(model, x, loss).notes
        )
    assert backward_report(model, x, "target").notes == ()
    assert backward_report(nn.Sequential(last, nn.Linear(3, 3)), x).notes == ()


def refusal(model: nn.Module, x: Tensor, loss: object = "sum") -> tuple[str, str | None]:
    with pytest.raises(ParamInspectError) as caught:
        backward_report(model, x, loss)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value.message, caught.value.hint


def test_a_loss_that_is_no_number_names_the_first_module() -> None:
    broken = linear()
    nn.init.constant_(broken.weight, float("nan"))
    message, hint = refusal(nn.Sequential(linear(), nn.ReLU(), broken, linear()), torch.ones(1, 3))
    assert (
        message == "the loss is nan: 2 (Linear) is the first to give one: its weight has elements that are not numbers"
    )
    assert hint == "paraminspect show prints it"

    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.log(-x.abs())

    message, hint = refusal(nn.Sequential(linear(), Log()), torch.ones(1, 3))
    assert message == "the loss is nan: 1 (Log) is the first to give one"
    assert hint is not None
    message, _ = refusal(linear(), torch.full((1, 3), float("nan")))
    assert message == "the loss is nan: the input has elements that are not numbers"
    message, hint = refusal(linear(), torch.ones(1, 3), lambda y: (y.sum() - y.sum()) / 0)
    assert (message, hint) == ("the loss is nan, though no module gives one", "look at the loss function")


@pytest.mark.parametrize(
    ("model", "x", "message", "hint"),
    [
        (nn.Linear(4, 3), torch.ones(2, 5), "mat1 and mat2 shapes", "it takes 4 in dimension 1: [2,4]"),
        (nn.Conv2d(3, 4, 3), torch.ones(2, 1, 8, 8), "expected input", "it takes 3 in dimension 1: [2,3,8,8]"),
        (nn.LSTM(4, 3), torch.ones(2, 5), "input.size(-1) must be equal", "it takes 4 in dimension 1: [2,4]"),
        (nn.Embedding(10, 2), torch.ones(2, 5), "Expected tensor", "dtype: int64, high: 10}"),
        (nn.Embedding(10, 2), torch.tensor([3, 10]), "index out of range", "dtype: int64, high: 10"),
        (nn.BatchNorm1d(3), torch.ones(1, 3), "more than 1 value per channel", "--eval"),
        (nn.Linear(4, 3), torch.ones(2, 4).double(), "same dtype", "dtype: float32 in the input, or --dtype"),
    ],
)
def test_a_forward_pass_that_fails_says_what_to_do(model: nn.Module, x: Tensor, message: str, hint: str) -> None:
    found, advice = refusal(nn.Sequential(model), x)
    assert found.startswith(f"forward fails at 0 ({type(model).__name__}) with input ")
    assert message in found
    assert hint in (advice or "")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda y: y, "the loss has the shape [2,3]; expected one element"),
        (lambda y: y.sum().item(), "the loss is a float; expected a tensor of one element"),
        (lambda y: y.sum().detach(), "the loss depends on no parameter: it has no graph"),
        (lambda y: (y > 0).sum(), "the loss is of type int64, through which no gradient flows"),
        (lambda y: 1 / 0, "the loss fails with output [2,3]: division by zero"),
    ],
)
def test_a_loss_that_no_backward_pass_can_start_from(loss: object, message: str) -> None:
    assert refusal(linear(), torch.ones(2, 3), loss)[0] == message


def test_a_backward_pass_that_fails() -> None:
    def run(net: Net, x: Tensor) -> Tensor:
        y = net.a(x).exp()
        z = y * 2
        y += 1
        return z

    message, _ = refusal(Net(run, a=linear()), torch.ones(2, 3))
    assert message.startswith("the backward pass fails: one of the variables needed for gradient computation has been")


def test_all_frozen_has_no_graph() -> None:
    assert refusal(linear().requires_grad_(False), torch.ones(1, 3))[0].startswith("the loss depends on no parameter")
