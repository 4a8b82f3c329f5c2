"""A model is left as it was, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paraminspect.live.build import untouched
from paraminspect.live.build.containers import block_class
from paraminspect.live.build.untouched import is_of_torch, leaving_untouched


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(4, 3, max_norm=0.5)
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout()
        self.register_buffer("count", torch.tensor(torch.nan))

    def forward(self, x: Tensor) -> Tensor:
        self.count = torch.ones(())
        return self.drop(self.norm(self.embed(x))).sum()  # type: ignore[no-any-return]


def state_of(model: nn.Module) -> dict[str, Any]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: (id(each), each.detach().numpy().tobytes()) for name, each in tensors.items()}


@pytest.mark.parametrize("fails", [False, True])
def test_a_pass_leaves_nothing_behind(fails: bool) -> None:
    net = Net()
    net.norm.eval()
    with torch.no_grad():
        net.embed.weight[0] = torch.tensor([float("nan"), 9, 9])
    net.embed.weight.grad = old = torch.ones(4, 3)
    before, modes = state_of(net), [each.training for each in net.modules()]
    generators = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    try:
        with leaving_untouched(net) as kept:
            assert net.embed.weight.grad is None
            net.train()
            net(torch.tensor([0, 1, 2])).backward()
            assert state_of(net) != before
            random.random(), np.random.rand()
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert state_of(net) == before
    assert net.embed.weight.grad is old
    assert net.norm.weight.grad is None
    assert [each.training for each in net.modules()] == modes
    assert generators == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert kept.changed == []


def test_a_parameter_that_forward_writes_into_is_named_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Linear(2, 2)
    values = net.weight.detach().clone()
    for write in (lambda: net.weight.add_(1), lambda: net.weight.data.mul_(2), lambda: setattr(net.weight, "data", values + 1)):  # fmt: skip
        with leaving_untouched(net) as kept, torch.no_grad():
            write()
        assert (kept.changed, kept.lost) == (["weight"], [])
        assert torch.equal(net.weight, values)
    monkeypatch.setattr(untouched, "MAX_KEPT_BYTES", 8)
    with leaving_untouched(net) as kept, torch.no_grad():
        net.weight.add_(1)
    assert (kept.changed, kept.lost) == (["weight"], ["weight"])


def test_without_copies_what_is_written_is_named_and_what_a_layer_scales_is_put_back() -> None:
    net = Net().eval()
    net.more = nn.Linear(2, 2)
    values = net.embed.weight.detach().clone()
    with leaving_untouched(net, copies=False) as kept, torch.no_grad():
        net.more.bias.zero_()
        net(torch.tensor([0, 1, 2]))
        assert not torch.equal(net.embed.weight, values)
    assert (kept.changed, kept.lost) == (["more.bias"], ["more.bias"])
    assert torch.equal(net.embed.weight, values)
    assert kept._kept["more.weight"].values is None


def test_layers_of_torch_and_of_specs_are_known() -> None:
    plain = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert is_of_torch(plain)
    assert is_of_torch(
        nn.Sequential(block_class("Layer", nn.Sequential)(), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    )
    assert not is_of_torch(nn.Sequential(Net()))
    assert not is_of_torch(type("Layer", (nn.Sequential,), {"__module__": "blocks"})())


class Growing(nn.Module):
    """Makes and changes in forward whatever can be made and changed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.lazy = nn.LazyLinear(3)
        self.late: nn.Module | None = None
        self.cache: list[Tensor] = []
        self.seen = {"calls": 0}
        self.table = torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        if self.late is None:
            self.late = nn.Sequential(nn.Linear(2, 2))
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.first.bias = None
        self.first.weight.requires_grad_(False)
        self.cache.append(x)
        self.seen["calls"] += 1
        self.table += 1
        self.first.register_forward_hook(lambda *_: None)
        self.eval()
        return self.lazy(self.late(self.first(x)) * self.scale).sum()  # type: ignore[no-any-return]


def attributes(net: nn.Module) -> list[Any]:
    """Everything that a model is, by identity."""
    return [
        (
            path,
            type(module),
            {name: dict(each) if isinstance(each, dict) else each for name, each in vars(module).items()},
        )
        for path, module in net.named_modules()
    ]


def test_what_forward_makes_is_gone_again() -> None:
    net = Growing()
    before, state = attributes(net), torch.get_rng_state()
    with leaving_untouched(net) as kept:
        net(torch.ones(1, 2))
        assert [*kept.made()] == ["scale", "late.0.weight", "late.0.bias", "mask"]
    assert str(attributes(net)) == str(before)
    assert (net.cache, net.seen, net.table.tolist()) == ([], {"calls": 0}, [0, 0])
    assert (net.late, list(net._buffers), net._non_persistent_buffers_set) == (None, [], set())
    assert net.training
    assert net.first.weight.requires_grad
    assert is_lazy(net.lazy.weight)
    assert not net.first._forward_hooks
    assert torch.equal(torch.get_rng_state(), state)
    net(torch.ones(1, 2))  # runs as for the first time
    assert not is_lazy(net.lazy.weight)


def test_structure_that_is_wanted_stays() -> None:
    net = Growing()
    with leaving_untouched(net, structure=False):
        net(torch.ones(1, 2))
    assert [*dict(net.named_parameters())] == [
        "scale", "first.weight", "lazy.weight", "lazy.bias", "late.0.weight", "late.0.bias"
    ]  # fmt: skip
    assert net.training
    assert not is_lazy(net.lazy.weight)


@pytest.mark.parametrize(
    "values",
    [torch.tensor(torch.nan), torch.zeros(0, 3), torch.ones(2, dtype=torch.complex64).conj(), torch.ones(3).bool(),
     torch.ones(3).to(torch.float8_e4m3fn), torch.ones(1).expand(3)],
)  # fmt: skip
def test_any_kind_of_buffer(values: Tensor) -> None:
    net = nn.Module()
    net.register_buffer("kept", values)
    net.register_buffer("grown", torch.zeros(2))
    with leaving_untouched(net):
        net.grown.resize_(5)  # type: ignore[operator]
    assert net.kept is values
    assert net.grown.tolist() == [0, 0]


def test_hooks_that_step_in_backward_wait() -> None:
    net = nn.Linear(2, 2)
    ran: list[int] = []
    net.weight.register_post_accumulate_grad_hook(lambda _: ran.append(1))
    with leaving_untouched(net):
        net(torch.ones(1, 2)).sum().backward()
    assert ran == []
    net(torch.ones(1, 2)).sum().backward()
    assert ran == [1]


def test_a_buffer_that_did_not_change_is_not_written() -> None:
    """A view of it that autograd saved stays good."""
    net = nn.BatchNorm1d(2)
    version = net.running_mean._version  # type: ignore[union-attr]
    with leaving_untouched(net):
        pass
    assert net.running_mean._version == version  # type: ignore[union-attr]
