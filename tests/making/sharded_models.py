"""Started by torchrun: what the library says of models that are sharded in several ways, against the same model unsharded."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from paraminspect import ParamInspectError, apply_init, backward, plan_init

RULES = [
    "*weight=normal(std=0.02)",
    "*bias=uniform(-1, 1)",
    "up.weight=orthogonal",
    "down.weight=trunc_normal(std=0.5)",
    "norm.weight=add(1)",
    "up.bias=ones(part=1/4)",
    "lost.bias=keep",
]


class Net(nn.Module):
    """Uneven rows, a tied weight, a layer that gets nothing, one whose gradient is zero and one whose gradient is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.up = nn.Linear(6, 12)
        self.down = nn.Linear(12, 6)
        self.norm = nn.LayerNorm(6)
        self.zero = nn.Linear(6, 3)
        self.broken = nn.Linear(6, 1)
        self.lost = nn.Linear(6, 3)
        self.lost.requires_grad_(False)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor, breaks: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        x = self.norm(x + self.down(torch.relu(self.up(x))))
        x = x + 0 * self.zero(x).sum(-1, keepdim=True) + self.lost(x).sum(-1, keepdim=True)
        return self.head(x).square().mean() + (self.broken(x.detach()) * breaks).square().sqrt().sum()


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def by_fsdp(model: Net) -> nn.Module:
    for each in (model.up, model.down):
        fully_shard(each)
    fully_shard(model)
    return model


def by_fsdp_from_meta(_: Net) -> nn.Module:
    with torch.device("meta"):
        model = Net()
    fully_shard(model)
    model.to_empty(device="cpu")
    with torch.no_grad():  # of what no rule gives values, or a rule builds upon
        for name, parameter in net().named_parameters():
            if name.startswith(("norm", "lost")):
                local = model.get_parameter(name)
                from torch.distributed.tensor import distribute_tensor

                local.copy_(distribute_tensor(parameter.detach(), local.device_mesh, local.placements))
    return model


def by_tensors(model: Net) -> nn.Module:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("tp",))
    parallelize_module(model, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    return model


def by_both(model: Net) -> nn.Module:
    mesh = init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=("dp", "tp"))
    parallelize_module(model, mesh["tp"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    fully_shard(model, mesh=mesh["dp"])
    return model


def whole(tensor: Any) -> torch.Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def check_init(shard: Callable[[Net], nn.Module]) -> None:
    alone, sharded = net(), shard(net())
    due = apply_init(alone, RULES, seed=3)
    assert [step.target.name for step in plan_init(sharded, RULES).steps] == [
        step.target.name for step in plan_init(alone, RULES).steps
    ]
    assert apply_init(sharded, RULES, seed=3) == due
    for name, parameter in alone.named_parameters():
        found = dict(sharded.named_parameters()).get(name, dict(sharded.named_parameters()).get(f"module.{name}"))
        assert torch.equal(whole(found), parameter), name


def check_backward(shard: Callable[[Net], nn.Module], *, breaks: float, split: bool) -> None:
    alone, sharded = net().double(), shard(net().double())
    tokens = torch.arange(4 * 5).reshape(4, 5) % 7
    # of a mean over as many elements on every rank, the mean of their gradients is the gradient of all
    weight = torch.ones(4, 1, 1, dtype=torch.float64)
    weight[-1] = breaks
    due = backward(alone, (tokens, weight / 4), uses=True)
    size, rank = (dist.get_world_size(), dist.get_rank()) if split else (1, 0)
    part = slice(rank * 4 // size, (rank + 1) * 4 // size)
    found = backward(sharded, (tokens[part], weight[part] / (4 / size)), uses=True)
    for one, other in zip(found.parameters, due.parameters, strict=True):
        assert (one.name, one.shape, one.state) == (other.name, other.shape, other.state), (one, other)
        for field in ("norm", "max_abs", "norm_ratio"):
            mine, theirs = getattr(one, field), getattr(other, field)
            assert (mine is None) == (theirs is None), (one, other)
            if mine is not None and not math.isnan(theirs):
                assert math.isclose(mine, theirs, rel_tol=1e-11, abs_tol=1e-15), (one, other)
        assert one.zero_fraction == other.zero_fraction
        if not has_views(sharded):
            assert [(use.module, use.op) for use in one.uses] == [(use.module, use.op) for use in other.uses], (
                one,
                other,
            )
            for mine, theirs in zip(one.uses, other.uses, strict=True):
                if theirs.norm is not None and not math.isnan(theirs.norm):
                    assert math.isclose(mine.norm, theirs.norm, rel_tol=1e-9, abs_tol=1e-15), (one, other)
    if not math.isnan(due.total_norm):
        assert math.isclose(found.total_norm, due.total_norm, rel_tol=1e-11)


def has_views(model: nn.Module) -> bool:
    return any(
        getattr(each, "device_mesh", None) is not None and each.device_mesh.ndim > 1 for each in model.parameters()
    )


def complaint(call: Callable[[], object]) -> str:
    try:
        call()
    except ParamInspectError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def check_one_that_fails() -> None:
    def bad(tensor: torch.Tensor) -> None:
        if dist.get_rank() == 1:
            raise ValueError("broken here")

    said = complaint(lambda: apply_init(by_fsdp(net()), ["up.*=bad", "down.*=bad"], functions={"bad": bad}))
    assert ("broken here" in said) == (dist.get_rank() == 1), said


def check_what_fails_in_one() -> None:
    """A loss that raises; a forward or a backward pass that does, where each process has all of the model."""

    def raises(value: Any) -> Any:
        if dist.get_rank() == 1:
            raise ValueError("broken here")
        return value

    class Raising(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return raises(gradient)

    class Broken(Net):
        def __init__(self, how: Callable[[Any], Any]) -> None:
            super().__init__()
            self.how = how

        def forward(self, tokens: torch.Tensor, breaks: torch.Tensor) -> torch.Tensor:
            return self.how(super().forward(tokens, breaks))

    batch = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 1, 1)
    said = [complaint(lambda: backward(by_fsdp(net()), batch, raises))]
    models = [DistributedDataParallel(Broken(how)) for how in (raises, Raising.apply)]
    said += [complaint(lambda model=model: backward(model, batch)) for model in models]  # type: ignore[misc]
    for each in said:
        assert ("broken here" in each) == (dist.get_rank() == 1), said
        assert ("another process fails there" in each) == (dist.get_rank() != 1), said


def check_loss_that_is_no_number_in_one() -> None:
    weight = torch.full((2, 1, 1), math.nan if dist.get_rank() == 1 else 1.0)
    said = complaint(lambda: backward(by_fsdp(net()), (torch.zeros(2, 3, dtype=torch.int64), weight)))
    assert ("in another process" in said) == (dist.get_rank() != 1), said


def main() -> None:
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    kinds: dict[str, tuple[Callable[[Net], nn.Module], bool]] = {
        "fsdp": (by_fsdp, True),
        "tp": (by_tensors, False),
        "ddp": (DistributedDataParallel, True),
    }
    if dist.get_world_size() == 4:
        kinds = {"both": (by_both, False)}
    for name, (shard, split) in kinds.items():
        check_init(shard)
        for breaks in (1.0, 0.0):
            check_backward(shard, breaks=breaks, split=split)
        if dist.get_rank() == 0:
            print(f"{name} ok", flush=True)
    if dist.get_world_size() == 2:
        check_init(by_fsdp_from_meta)
        check_one_that_fails()
        check_loss_that_is_no_number_in_one()
        check_what_fails_in_one()
    dist.destroy_process_group()
    # without taking the interpreter down: a thread of gloo may still let go of its last tensor, and is ended by that there
    os._exit(0)


if __name__ == "__main__":
    main()
