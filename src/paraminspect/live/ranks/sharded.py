"""Tensors of which each process holds a part (DTensor): numbers about all of it, from what everybody has.

FSDP2 (`fully_shard`) and tensor parallelism (`parallelize_module`) both make parameters of that kind. Every process calls
what is here with the same tensors in the same order.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from paraminspect.errors import ElsewhereError, ParamInspectError, SourceError
from paraminspect.tuples import NamedTuple

_DTENSOR = "torch.distributed.tensor"
_FSDP = "torch.distributed.fsdp"

Model = TypeVar("Model")

_SUMS = 4
"""Columns that are added up; of those behind them the largest is taken."""


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor; there are none where torch's module of them was never imported."""
    module: Any = sys.modules.get(_DTENSOR)
    return module is not None and isinstance(tensor, module.DTensor)


def has_shards(model: nn.Module) -> bool:
    """Whether some parameter is."""
    return any(is_sharded(each) for each in model.parameters())


def local_part(tensor: Any) -> Tensor:
    """What this process has of a tensor, all of one that is not sharded; sums that are not made yet are made."""
    if not is_sharded(tensor):
        return tensor  # type: ignore[no-any-return]
    if any(each.is_partial() for each in tensor.placements):
        tensor = settled(tensor)
    local: Tensor = tensor.to_local()
    return local


def settled(tensor: Any) -> Any:
    """The same with every sum over processes made."""
    from torch.distributed.tensor import Replicate

    return tensor.redistribute(placements=[Replicate() if each.is_partial() else each for each in tensor.placements])


def whole_of(tensor: Any) -> Tensor:
    """All elements of a tensor, in this process too."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[no-any-return]


def join_rows(rows: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """Numbers of whole tensors from those of everybody's parts.

    No number is told from others by adding: the largest of some and one that is none is what gloo happens to compare first.

    Args:
        rows: For each part [norm, minimum, maximum, how many are not zero, norm of its parameter], float64 on the CPU.
        tensors: Which of them are sharded, and how.
    """
    joined = rows.clone()
    groups: dict[tuple[Any, tuple[int, ...]], list[int]] = {}
    for place, each in enumerate(tensors):
        if is_sharded(each):
            key = each.device_mesh, _shared_dims(each)  # type: ignore[attr-defined]
            groups.setdefault(key, []).append(place)
    for (mesh, dims), places in groups.items():
        joined[places] = _join(rows[places], mesh, dims)
    return joined


def _shared_dims(tensor: Any) -> tuple[int, ...]:
    """Dimensions of the mesh along which its parts lie."""
    return tuple(dim for dim, how in enumerate(tensor.placements) if not how.is_replicate() and not how.is_partial())


def _join(rows: Tensor, mesh: Any, dims: Sequence[int]) -> Tensor:
    import torch.distributed as dist

    norm, low, high, nonzero, weight = rows.unbind(1)
    lost = low.isnan()
    sums = torch.stack([norm.nan_to_num(0.0, math.inf).square(), nonzero, weight.square(), lost.double()], 1)
    ends = torch.stack([(-low).nan_to_num(-math.inf, math.inf), high.nan_to_num(-math.inf, math.inf)], 1)
    numbers = torch.cat([sums, ends], 1).to(mesh.device_type)
    for dim in dims:
        for part, how in ((numbers[:, :_SUMS], dist.ReduceOp.SUM), (numbers[:, _SUMS:], dist.ReduceOp.MAX)):
            made = part.contiguous()
            dist.all_reduce(made, op=how, group=mesh.get_group(dim))
            part.copy_(made)
    squares, nonzero, weights, lost, low, high = numbers.cpu().unbind(1)
    nan = torch.where(lost > 0, math.nan, 0.0)
    return torch.stack([squares.sqrt() + nan, -low + nan, high + nan, nonzero, weights.sqrt()], 1)


def mean_over_ranks(part: Tensor, like: Tensor) -> Tensor:
    """The mean of what each process has computed from its own batch, as FSDP2 takes it of whole gradients.

    Args:
        part: All of a tensor, or a DTensor of fewer dimensions of the mesh.
        like: The sharded tensor that it is a part of.
    """
    import torch.distributed as dist

    mesh: Any = like.device_mesh  # type: ignore[attr-defined]
    known = part.device_mesh.ndim if is_sharded(part) else 0  # type: ignore[attr-defined]
    made = whole_of(part).clone()
    for dim in range(mesh.ndim - known):
        dist.all_reduce(made, group=mesh.get_group(dim))
        made /= mesh.size(dim)
    return made


def whole_part(part: Tensor, gradient: Tensor) -> Tensor:
    """All of a part of a gradient: the mean of everybody's where the gradient is shared out."""
    return mean_over_ranks(part, gradient) if is_sharded(gradient) else part


def unsharded_parameters(model: nn.Module) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
    """(parameter that forward reads, sharded one that it is made of) of FSDP2, one group of layers in memory at a time.

    Afterwards the model has its sharded ones, as before the first forward pass.

    While `unshard` has been called, modules have the parameters that forward uses; it is the same object each time.
    """
    fsdp: Any = sys.modules.get(_FSDP)
    if fsdp is None:
        return
    for module in model.modules():
        if not isinstance(module, fsdp.FSDPModule):
            continue
        module.reshard()
        sharded = dict(module.named_parameters())
        module.unshard()
        try:
            pairs = [(each, sharded[name]) for name, each in module.named_parameters() if each is not sharded[name]]
        finally:
            module.reshard()
        yield from pairs


@contextmanager
def agreeing(peers: Peers | None) -> Iterator[None]:
    """What is inside is done by all processes, or fails in all of them: in some with the error of another one.

    Inside there is nothing that waits for others, and so it fails everywhere before anything does.
    """
    failed: ParamInspectError | MemoryError | None = None
    try:
        yield
    except (ParamInspectError, MemoryError) as error:
        if peers is None:
            raise
        failed = error
    if peers is not None and peers.any_has(failed is not None):
        raise failed or ElsewhereError("another process fails there; its error says of what")


class Peers(NamedTuple):
    """The processes that run the same model, each on its own part of a batch or of the model.

    Attributes:
        groups: They are all reached by going through these one after the other.
        device: Where these exchange tensors.
        holds_replicas: Whether each has all parameters, and gradients of its own (DistributedDataParallel).
    """

    groups: tuple[Any, ...]
    device: str
    holds_replicas: bool = False

    def any_has(self, found: bool) -> bool:
        """Whether anybody has found something."""
        import torch.distributed as dist

        flag = torch.tensor([int(found)], device=self.device)
        for group in self.groups:
            dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=group)
        return bool(flag.item())

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean of everybody's."""
        import torch.distributed as dist

        made = numbers.detach().clone()
        for group in self.groups:
            dist.all_reduce(made, group=group)
            made /= dist.get_world_size(group)
        return made

    def mean_gradients(
        self, gradients: Mapping[str, Tensor | None], like: Mapping[str, Tensor]
    ) -> dict[str, Tensor | None]:
        """The mean of everybody's, as DistributedDataParallel takes it; None where nobody has one.

        Args:
            like: The parameters by the same names: of zeros, where only others have a gradient.
        """
        present = torch.tensor([float(each is not None) for each in gradients.values()], device=self.device)
        shares = self.mean(present).tolist()
        return {
            name: self.mean(torch.zeros_like(like[name]) if each is None else each) if share else None
            for (name, each), share in zip(gradients.items(), shares, strict=True)
        }


def find_peers(model: object) -> Peers | None:
    """The processes that run this model together; None of one that runs alone."""
    module: Any = sys.modules.get("torch.nn.parallel.distributed")
    if module is not None and isinstance(model, module.DistributedDataParallel):
        return Peers((model.process_group,), model.device.type, holds_replicas=True)
    for each in model.parameters() if isinstance(model, nn.Module) else ():
        if is_sharded(each):
            return peers_in(each.device_mesh)  # type: ignore[attr-defined]
    return None


def peers_in(mesh: Any) -> Peers:
    """The processes of a mesh, each of which has parts of the model."""
    return Peers(tuple(mesh.get_group(dim) for dim in range(mesh.ndim)), mesh.device_type)


def refuse_hidden(model: object) -> None:
    """Refuse models whose parameters are not to be seen as they are.

    Raises:
        SourceError: Of FSDP1, or a stage of a pipeline.
    """
    kind = type(model)
    if kind.__module__.startswith("torch.distributed.pipelining"):
        raise SourceError(
            f"{kind.__name__} is a stage of a pipeline, which is fed by the one before it",
            hint="give its module, stage.submod, or the model before it is cut",
        )
    fsdp: Any = sys.modules.get(_FSDP)
    if fsdp is None or not isinstance(model, nn.Module):
        return
    if any(isinstance(each, fsdp.FullyShardedDataParallel) for each in model.modules()):
        raise SourceError(
            "FullyShardedDataParallel keeps parameters flattened, without their shapes",
            hint="fully_shard (FSDP2) keeps them; or give the model before it is wrapped",
        )


def without_replicas(model: Model) -> Model | nn.Module:
    """The model that DistributedDataParallel wraps; another one as it is."""
    module: Any = sys.modules.get("torch.nn.parallel.distributed")
    if module is not None and isinstance(model, module.DistributedDataParallel):
        return model.module  # type: ignore[no-any-return]
    return model
