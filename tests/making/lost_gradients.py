"""Models whose gradients are lost, each beside a twin in which the same clue stands and is not the reason.

Each case has two factories, `case_NAME` and `twin_NAME`, for a command line; all take one input [2,3], of ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

VALUES = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


class Net(nn.Module):
    """Two linear layers, a scale, what a case adds, and a forward pass over them."""

    def __init__(self, run: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.a = filled(nn.Linear(3, 3))
        self.b = filled(nn.Linear(3, 3))
        self.scale = nn.Parameter(torch.zeros(3))
        self.register_buffer("mask", torch.zeros(3))
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x * VALUES)


class Case(NamedTuple):
    """One reason.

    Attributes:
        due: (parameter, state, reason) of the model.
        other: The same of the twin.
    """

    run: Callable[..., Tensor]
    due: tuple[str, str, str | None]
    twin: Callable[..., Tensor]
    other: tuple[str, str, str | None]
    layers: Callable[[], dict[str, nn.Module]] = dict


def filled(layer: nn.Module, value: float = 0.25) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


class GivesNone(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        return given, None


class GivesZeros(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        return given * 0


class Passes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        return given * 2


class Reads(torch.autograd.Function):
    """Takes a layer that is no tensor: autograd does not know of its weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Linear) -> Tensor:
        return x @ layer.weight

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Any:
        return given, None


def twofold(x: Tensor) -> Tensor:
    return x * 2


def scripted(what: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(what)


def no_grad(net: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net.a(x)


def logged(value: object) -> None:
    """Stands for a model that looks at a number and does nothing with it."""


def looked_at(tensor: Tensor) -> Tensor:
    logged(tensor.detach().sum() + tensor.data.sum())
    return tensor


def first(*values: Any) -> Any:
    """The first of some values, all of which have been computed."""
    return values[0]


def penalty(net: Any, x: Tensor, *, graph: bool) -> Tensor:
    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(net.a(x).sum(), x, create_graph=graph)
    return net.b(slope)


def penalty_unused(net: Any, x: Tensor) -> Tensor:
    penalty(net, x, graph=True)
    return net.b(net.a(x).detach())


def segment(run: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no input has requires_grad
        return checkpoint(run, x, use_reentrant=True)


def hooked(tensor: Tensor, factor: float) -> Tensor:
    tensor.register_hook(lambda gradient: gradient * factor)
    return tensor


def twice(tensor: Tensor, factor: float) -> Tensor:
    return tensor * 2 + tensor * factor


def zeroed(net: Any, x: Tensor) -> Tensor:
    return net.b(x) + net.a(x).mul(2).zero_()


def halves(net: Any, x: Tensor, factor: float) -> Tensor:
    return (net.a(x).half() * factor * factor).float()


def attended(net: Any, x: Tensor) -> Tensor:
    query, key, value = (each[None, None, :1] for each in (net.a(x), net.b(x), x))
    return functional.scaled_dot_product_attention(query, key, value) + net.b(x)


MUL = "mul in the model is by zero"
DETACHED = "detached in the model"

CASES: dict[str, Case] = {
    "function_none": Case(
        lambda net, x: GivesNone.apply(net.b(x), net.a.weight),
        ("a.weight", "none", "the backward of GivesNone in the model gives None"),
        lambda net, x: GivesNone.apply(net.a(x).detach() + net.b(x), net.b.weight),
        ("a.weight", "none", DETACHED),
    ),
    "function_zeros": Case(
        lambda net, x: GivesZeros.apply(net.a(x)),
        ("a.weight", "zero", "the backward of GivesZeros in the model gives zeros"),
        lambda net, x: GivesZeros.apply(net.a(x)) * 0,
        ("a.weight", "zero", MUL),
    ),
    "function_passes": Case(
        lambda net, x: Passes.apply(net.a(x)) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
        lambda net, x: Passes.apply(net.a(x)),
        ("a.weight", "ok", None),
    ),
    "function_closure": Case(
        lambda net, x: Reads.apply(net.b(x), net.a),
        ("a.weight", "none", "no gradient passes Reads in the model"),
        lambda net, x: first(net.b(net.a(x).detach()), Reads.apply(x, net.a)),
        ("a.weight", "none", DETACHED),
    ),
    "double_backward": Case(
        lambda net, x: penalty(net, x, graph=True),
        ("a.bias", "none", "the gradient that grad takes in the model does not depend on it"),
        penalty_unused,
        ("a.bias", "none", DETACHED),
    ),
    "no_double_backward": Case(
        lambda net, x: penalty(net, x, graph=False),
        ("a.weight", "none", "the gradient that grad takes in the model has no graph (create_graph)"),
        lambda net, x: penalty(net, x, graph=True),
        ("a.weight", "ok", None),
    ),
    "lora": Case(
        lambda net, x: net.c(net.a(x)),
        ("a.weight", "zero", "c.weight is zero, and no gradient passes it"),
        lambda net, x: net.c(net.a(x)) * 0,
        ("a.weight", "zero", MUL),
        lambda: {"c": filled(nn.Linear(3, 3), 0.0)},
    ),
    "zero_weight_beside": Case(
        lambda net, x: net.c(net.a(x) * 0),
        ("a.weight", "zero", "c.weight is zero, and no gradient passes it"),
        lambda net, x: net.c(net.a(x)) + net.a(x),
        ("a.weight", "ok", None),
        lambda: {"c": filled(nn.Linear(3, 3), 0.0)},
    ),
    "zero_convolution": Case(
        lambda net, x: net.c(net.a(x).unsqueeze(0)),
        ("a.weight", "zero", "c.weight is zero, and no gradient passes it"),
        lambda net, x: net.c(net.a(x).unsqueeze(0)) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
        lambda: {"c": filled(nn.Conv1d(2, 2, 1), 0.0)},
    ),
    "layer_scale": Case(
        lambda net, x: x + net.scale * net.a(x),
        ("a.weight", "zero", "scale is zero, and no gradient passes it"),
        lambda net, x: x + 0 * (net.scale * net.a(x)),
        ("a.weight", "zero", MUL),
    ),
    "zero_gamma": Case(
        lambda net, x: net.c(net.a(x)),
        ("a.weight", "zero", "c.weight is zero, and no gradient passes it"),
        lambda net, x: torch.relu(net.c(net.a(x)) - 1),
        ("a.weight", "zero", "relu in the model is zero for the whole batch"),
        lambda: {"c": filled(nn.BatchNorm1d(3), 0.0)},
    ),
    "zero_input": Case(
        lambda net, x: net.a(x * net.mask),
        ("a.weight", "zero", "the input of a (Linear) is zero for the whole batch"),
        lambda net, x: net.a(x * net.mask) * 0,
        ("a.weight", "zero", MUL),
    ),
    "buffer": Case(
        lambda net, x: net.a(x) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
        lambda net, x: (net.a(x) * net.mask).detach() + net.b(x),
        ("a.weight", "none", DETACHED),
    ),
    "product_in_part": Case(
        lambda net, x: net.a(x)[:, :2] * torch.tensor([0.0, 1.0]) * torch.tensor([1.0, 0.0]),
        ("a.weight", "zero", "the other factor of mul in the model is zero wherever a gradient arrives"),
        lambda net, x: net.a(x)[:, :2] * torch.tensor([0.0, 1.0]) * torch.tensor([0.0, 1.0]),
        ("a.weight", "ok", None),
    ),
    "round": Case(
        lambda net, x: net.b(net.a(x).round()),
        ("a.weight", "zero", "round in the model has a derivative of zero"),
        lambda net, x: net.b(net.a(x) + (net.a(x).round() - net.a(x)).detach()),
        ("a.weight", "ok", None),
    ),
    "sign": Case(
        lambda net, x: net.b(net.a(x).sign()),
        ("a.weight", "zero", "sign in the model has a derivative of zero"),
        lambda net, x: net.b(net.a(x).sign()) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
    ),
    "floor": Case(
        lambda net, x: net.b(net.a(x).floor()),
        ("a.weight", "zero", "floor in the model has a derivative of zero"),
        lambda net, x: first(net.b(net.a(x).detach()), net.a(x).floor()),
        ("a.weight", "none", DETACHED),
    ),
    "argmax": Case(
        lambda net, x: net.b(x)[:, net.a(x).argmax(1)],
        ("a.weight", "none", "no gradient passes argmax in the model"),
        lambda net, x: first(net.b(no_grad(net, x)), net.a(x).argmax(1)),
        ("a.weight", "none", "linear in a runs under no_grad"),
    ),
    "comparison": Case(
        lambda net, x: net.b(x) * (net.a(x) > 1),
        ("a.weight", "none", "no gradient passes gt in the model"),
        lambda net, x: first(net.b(x), net.a(x) > 1),
        ("a.weight", "none", "the output of a does not reach the loss"),
    ),
    "detach": Case(
        lambda net, x: net.b(net.a(x).detach()),
        ("a.weight", "none", DETACHED),
        lambda net, x: net.b(looked_at(net.a(x)).argmax(1, keepdim=True) * x),
        ("a.weight", "none", "no gradient passes argmax in the model"),
    ),
    "data": Case(
        lambda net, x: net.b(net.a(x).data),
        ("a.weight", "none", DETACHED),
        lambda net, x: first(net.b(x), net.a(x).data),
        ("a.weight", "none", "the output of a does not reach the loss"),
    ),
    "no_grad": Case(
        lambda net, x: net.b(no_grad(net, x)),
        ("a.weight", "none", "linear in a runs under no_grad"),
        lambda net, x: first(net.b(net.a(x).detach()), no_grad(net, x)),
        ("a.weight", "none", DETACHED),
    ),
    "no_grad_in_part": Case(
        lambda net, x: first(net.b(x), no_grad(net, x), net.a(x)),
        ("a.weight", "none", "the output of a does not reach the loss"),
        lambda net, x: net.a(x) + no_grad(net, x),
        ("a.weight", "ok", None),
    ),
    "item": Case(
        lambda net, x: net.b(x) * net.a(x).sum().item(),
        ("a.weight", "none", "it reaches the loss at most through Python: item in the model"),
        lambda net, x: first(net.b(net.a(x).detach()), logged(net.a(x).sum().item())),
        ("a.weight", "none", DETACHED),
    ),
    "checkpoint": Case(
        lambda net, x: net.b(x) + segment(net.a, x),
        ("a.weight", "none", "no gradient passes CheckpointFunction in a"),
        lambda net, x: segment(lambda y: net.b(net.a(y).detach()), net.c(x)),
        ("a.weight", "none", None),
        lambda: {"c": filled(nn.Linear(3, 3))},
    ),
    "dead_in_a_checkpoint": Case(
        lambda net, x: segment(lambda y: torch.relu(net.a(y) - 999), net.b(x)),
        ("a.weight", "zero", "relu in the model is zero for the whole batch"),
        lambda net, x: segment(lambda y: torch.relu(net.b(y) - 999), net.a(x)),
        ("a.weight", "zero", None),
    ),
    "function_transform": Case(
        lambda net, x: torch.func.grad(lambda y: net.a(y).sum())(x[0]) + net.b(x),
        ("a.bias", "none", None),
        lambda net, x: torch.func.vmap(net.a)(x).detach() + net.b(x),
        ("a.weight", "none", DETACHED),
    ),
    "script": Case(
        lambda net, x: net.b(scripted(twofold)(net.a(x).detach())),
        ("a.weight", "none", DETACHED),
        lambda net, x: first(net.b(x), scripted(twofold)(net.a(x))),
        ("a.weight", "none", "the output of a does not reach the loss"),
    ),
    "script_before": Case(
        lambda net, x: net.b(scripted(twofold)(net.a(x)).detach()),
        ("a.weight", "none", DETACHED),
        lambda net, x: net.b(scripted(twofold)(net.a(x))),
        ("a.weight", "ok", None),
    ),
    "scripted_layer": Case(
        lambda net, x: net.b(net.c(net.a(x).detach())),
        ("c.weight", "ok", None),
        lambda net, x: first(net.b(x), net.c(x)),
        ("c.weight", "none", "what the model makes of it does not reach the loss"),
        lambda: {"c": scripted(filled(nn.Linear(3, 3)))},
    ),
    "zeros_like": Case(
        lambda net, x: net.b(torch.zeros_like(net.a(x)) + x),
        ("a.weight", "none", "the output of a does not reach the loss"),
        lambda net, x: net.b(torch.zeros_like(net.a(x)) + net.a(x)),
        ("a.weight", "ok", None),
    ),
    "never_called": Case(
        lambda net, x: net.b(x),
        ("a.weight", "none", "a is never called"),
        lambda net, x: first(net.b(x), net.a.forward(x)),
        ("a.weight", "none", "what the model makes of it does not reach the loss"),
    ),
    "dropout": Case(
        lambda net, x: net.c(net.a(x)),
        ("a.weight", "zero", "c (Dropout) drops everything"),
        lambda net, x: net.c(net.a(x)) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
        lambda: {"c": nn.Dropout(1.0)},
    ),
    "sigmoid": Case(
        lambda net, x: net.c(net.a(x) + 1000),
        ("a.weight", "zero", "c (Sigmoid) is saturated for the whole batch"),
        lambda net, x: net.c(net.a(x) + torch.tensor([1000.0, 0.0, 0.0])),
        ("a.weight", "ok", None),
        lambda: {"c": nn.Sigmoid()},
    ),
    "tanh": Case(
        lambda net, x: torch.tanh(net.a(x) + 1000),
        ("a.weight", "zero", "tanh in the model is saturated for the whole batch"),
        lambda net, x: torch.tanh(net.a(x) + 1000) * 0,
        ("a.weight", "zero", MUL),
    ),
    "softmax": Case(
        lambda net, x: torch.softmax(net.a(x) + torch.tensor([1000.0, 0.0, 0.0]), 1)[:, 0],
        ("a.weight", "zero", "softmax in the model is saturated: it gives 0 and 1 only"),
        lambda net, x: torch.softmax(net.a(x) * torch.tensor([1.0, 0.0, 0.0]), 1)[:, 0],
        ("a.weight", "ok", None),
    ),
    "softmax_of_one": Case(
        lambda net, x: torch.softmax(net.a(x)[:, :1], 1),
        ("a.weight", "zero", "softmax in the model is over one element"),
        lambda net, x: torch.softmax(net.a(x)[:, :1], 1) * 0,
        ("a.weight", "zero", MUL),
    ),
    "dead_relu": Case(
        lambda net, x: torch.relu(net.a(x) - 1000),
        ("a.weight", "zero", "relu in the model is zero for the whole batch"),
        lambda net, x: torch.relu(net.a(x) - 1000) + net.a(x),
        ("a.weight", "ok", None),
    ),
    "dead_where_it_counts": Case(
        lambda net, x: torch.relu(net.a(x) - torch.tensor([1000.0, 0.0, 0.0]))[:, 0],
        ("a.weight", "zero", "relu in the model is zero wherever a gradient arrives"),
        lambda net, x: torch.relu(net.a(x) - torch.tensor([1000.0, 0.0, 0.0]))[:, 1],
        ("a.weight", "ok", None),
    ),
    "clamp": Case(
        lambda net, x: net.a(x).clamp(-2, -1),
        ("a.weight", "zero", "what clamp in the model takes is out of its range for the whole batch"),
        lambda net, x: net.a(x).clamp(-2, -1).detach() + net.b(x),
        ("a.weight", "none", DETACHED),
    ),
    "hardtanh": Case(
        lambda net, x: net.c(net.a(x) + 9),
        ("a.weight", "zero", "what c (Hardtanh) takes is out of its range for the whole batch"),
        lambda net, x: net.c(net.a(x) * 0) * 0,
        ("a.weight", "zero", MUL),
        lambda: {"c": nn.Hardtanh()},
    ),
    "underflow": Case(
        lambda net, x: halves(net, x, 1e-4),
        ("a.weight", "zero", "the gradient underflows float16 at mul in the model"),
        lambda net, x: halves(net, x, 1e-2),
        ("a.weight", "ok", None),
    ),
    "where": Case(
        lambda net, x: torch.where(x < 0, net.a(x), net.b(x)),
        ("a.weight", "zero", "where in the model takes nothing of it"),
        lambda net, x: torch.where(x < 0, net.a(x), net.b(x)) * 0,
        ("a.weight", "zero", MUL),
    ),
    "masked_fill": Case(
        lambda net, x: net.a(x).masked_fill(x > 0, 0),
        ("a.weight", "zero", "masked_fill in the model covers everything"),
        lambda net, x: net.a(x).masked_fill(x > 2, 0),
        ("a.weight", "ok", None),
    ),
    "where_it_counts": Case(
        lambda net, x: torch.where(x < 2, net.a(x), net.b(x))[1:],
        ("a.weight", "zero", "no gradient reaches what where in the model takes of it"),
        lambda net, x: torch.where(x < 2, net.a(x), net.b(x))[:1],
        ("a.weight", "ok", None),
    ),
    "never_picked": Case(
        lambda net, x: torch.stack([net.a(x), net.b(x) + 9]).amax(0),
        ("a.weight", "zero", "no gradient reaches its part of stack in the model"),
        lambda net, x: torch.stack([net.a(x) + 9, net.b(x)]).amax(0),
        ("a.weight", "ok", None),
    ),
    "padding": Case(
        lambda net, x: net.c(torch.zeros(2, dtype=torch.int64)),
        ("c.weight", "zero", "only the padding_idx of c (Embedding) is looked up"),
        lambda net, x: net.c(torch.tensor([0, 1])),
        ("c.weight", "ok", None),
        lambda: {"c": filled(nn.Embedding(9, 3, padding_idx=0))},
    ),
    "nothing_picked": Case(
        lambda net, x: net.a(x)[x < 0].sum() + net.b(x).sum(),
        ("a.weight", "zero", "sum in the model takes a tensor without elements"),
        lambda net, x: net.a(x)[x < 2].sum() + net.b(x).sum(),
        ("a.weight", "ok", None),
    ),
    "cancelling": Case(
        lambda net, x: twice(net.a(x), -2),
        ("a.weight", "zero", "the gradients that meet at a (Linear) cancel out"),
        lambda net, x: twice(net.a(x), -2) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
    ),
    "hook": Case(
        lambda net, x: hooked(net.a(x), 0),
        ("a.weight", "zero", "a hook makes the gradient of a (Linear) zero"),
        lambda net, x: twice(hooked(net.a(x), 0), 1),
        ("a.weight", "zero", "a hook makes the gradient of a (Linear) zero"),
    ),
    "hook_that_passes": Case(
        lambda net, x: hooked(net.a(x), 3) * net.mask,
        ("a.weight", "zero", "mask is zero, and no gradient passes it"),
        lambda net, x: hooked(net.a(x), 3),
        ("a.weight", "ok", None),
    ),
    "overwritten": Case(
        zeroed,
        ("a.weight", "zero", "what it gives is overwritten by zero in the model"),
        lambda net, x: zeroed(net, x) + net.a(x),
        ("a.weight", "ok", None),
    ),
    "equal_targets": Case(
        lambda net, x: functional.mse_loss(net.a(x), net.a(x).detach()),
        ("a.weight", "zero", "what mse_loss in the model compares is equal"),
        lambda net, x: functional.mse_loss(net.a(x), net.a(x).detach()) * 0,
        ("a.weight", "zero", MUL),
    ),
    "one_position": Case(
        attended,
        ("a.weight", "zero", "scaled_dot_product_flash_attention_for_cpu in the model attends to one position only"),
        lambda net, x: attended(net, x) * 0,
        ("a.weight", "zero", MUL),
    ),
    "cube_at_zero": Case(
        lambda net, x: (net.a(x) - net.a(x).detach()).pow(3),
        ("a.weight", "zero", "the derivative of pow in the model is zero for the whole batch"),
        lambda net, x: (net.a(x) - net.a(x).detach()).pow(1),
        ("a.weight", "ok", None),
    ),
    "sqrt_at_zero": Case(
        lambda net, x: torch.sqrt(net.a(x) * torch.tensor([0.0, 1.0, 1.0])),
        ("a.weight", "nan", "the gradient of sqrt in the model is the first that is not finite (taken at 0)"),
        lambda net, x: torch.sqrt(net.a(x) * torch.tensor([0.0, 1.0, 1.0]) + 1),
        ("a.weight", "ok", None),
    ),
    "broken_already": Case(
        lambda net, x: torch.where(x < 0, (net.a(x) * torch.inf).exp(), net.b(x)),
        (
            "a.weight",
            "nan",
            "the gradient of exp in the model is the first that is not finite "
            "(its values in the forward pass are not finite)",
        ),
        lambda net, x: torch.where(x < 0, (net.a(x) * 9).exp(), net.b(x)),
        ("a.weight", "zero", "where in the model takes nothing of it"),
    ),
}


SEVERED = (
    "function_closure",
    "double_backward",
    "no_double_backward",
    "argmax",
    "comparison",
    "detach",
    "data",
    "no_grad",
    "no_grad_in_part",
    "item",
    "checkpoint",
    "function_transform",
    "script",
    "script_before",
    "scripted_layer",
    "zeros_like",
    "never_called",
)
"""Cases in which no graph leads to the parameter."""

FLOWING = (
    "cancelling",
    "hook",
    "hook_that_passes",
    "dead_in_a_checkpoint",
    "dead_where_it_counts",
    "nothing_picked",
    "broken_already",
    "sqrt_at_zero",
)
"""Cases that depend on what goes through the graph."""

KEPT = tuple(name for name in CASES if name not in (*SEVERED, *FLOWING))
"""Cases that depend on what a node has kept."""


def _factory(run: Callable[..., Tensor], layers: Callable[[], dict[str, nn.Module]]) -> Callable[[], Net]:
    return lambda: Net(run, **layers())


for _name, _case in CASES.items():
    globals()[f"case_{_name}"] = _factory(_case.run, _case.layers)
    globals()[f"twin_{_name}"] = _factory(_case.twin, _case.layers)
