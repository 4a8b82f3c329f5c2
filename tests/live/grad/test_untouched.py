"""A model is left as it was, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paraminspect.live.grad.untouched import leaving_untouched


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
    changed: list[str] = []
    try:
        with leaving_untouched(net, changed):
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
    assert changed == []


def test_a_parameter_that_forward_changes_is_named() -> None:
    net = nn.Linear(2, 2)
    changed: list[str] = []
    with leaving_untouched(net, changed), torch.no_grad():
        net.weight.add_(1)
    assert changed == ["weight"]


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
