"""A model that stays on the meta device until it is cut into parts, so that no process ever has all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from torch import Tensor, nn

from paraminspect.errors import BackwardError, ParamInspectError
from paraminspect.live.build.describe import iter_tensors
from paraminspect.live.grad.asked import Shard
from paraminspect.live.ranks.freed import give_back_what_is_freed
from paraminspect.live.ranks.scatter import fill_tensors
from paraminspect.text import counted, list_some

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

GROUPS: Final = 8
"""Into at least as many groups of layers a model is cut, as far as its modules go; one is in memory as a whole at a time."""

LEAST_BYTES: Final = 1 << 20
"""Of a group: smaller modules are not cut further."""

MAX_NAMED: Final = 5
"""Modules that a note names."""


def shard_model(model: nn.Module, how: Shard, mesh: DeviceMesh, give: Callable[[str], Tensor]) -> list[str]:
    """Cut a model on the meta device into parts, and give this process the values of its own.

    Args:
        model: Is changed in place.
        mesh: Of `make_mesh`.
        give: All of a tensor by its name, the same in every process.

    Returns:
        What is to be said of it.

    Raises:
        BackwardError: A tensor of the model is no parameter or buffer.
    """
    give_back_what_is_freed()
    logging.getLogger("torch.distributed.tensor").setLevel(
        logging.ERROR
    )  # it tells of parts within parts that they are slow
    notes = []
    if how.tensor:
        notes += _cut_tensors(model, mesh["tp"])
    if how.data:
        for group in _groups(model):
            _cut_group(group, mesh["dp"])
        _cut_group(model, mesh["dp"])
    names, ties = _names(model), _ties(model)
    model.to_empty(device="cpu")
    for first, *others in ties:
        for name in others:  # of which torch makes tensors of their own
            _put(model, name, _get(model, first))
    fill_tensors([(name, _get(model, name)) for name in names], give)
    return notes


def make_mesh(how: Shard) -> DeviceMesh:
    """The processes in rows and columns: "dp", of which each has a part of the batch, and "tp".

    Raises:
        BackwardError: There are too many, or too few.
    """
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    world, tensor = dist.get_world_size(), how.tensor or 1
    if world % tensor or (not how.data and world != tensor):
        wanted = f"a multiple of {tensor}" if how.data else f"{tensor}"
        raise BackwardError(
            f"--shard {how.text} wants {wanted} processes, and there are {world}",
            hint=f"torchrun --nproc-per-node {tensor}",
        )
    return init_device_mesh("cpu", (world // tensor, tensor), mesh_dim_names=("dp", "tp"))


def _cut_tensors(model: nn.Module, mesh: DeviceMesh) -> list[str]:
    """Every Linear and Embedding by its outputs, which are gathered behind it; the rest is in every process."""
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    tied = _tied(model)
    left = []
    plan: dict[str, Any] = {}
    for path, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        if _outputs(module) % mesh.size() == 0 and not tied.intersection(map(id, own)):
            plan[path] = ColwiseParallel(output_layouts=Replicate())
        else:
            left.append(path or type(module).__name__)
    if plan:
        parallelize_module(model, mesh, plan)
    return (
        [f"in every process as a whole: {list_some(left, MAX_NAMED)} ({counted(len(left), 'module')})"] if left else []
    )


def _outputs(module: nn.Module) -> int:
    """Of a layer that is cut by its outputs, how many there are; 1 of any other."""
    if type(module) is nn.Linear:
        return module.out_features
    return module.embedding_dim if type(module) is nn.Embedding else 1


def _cut_group(module: nn.Module, mesh: DeviceMesh) -> None:
    from torch.distributed.fsdp import fully_shard

    fully_shard(module, mesh=mesh)


def _groups(model: nn.Module) -> list[nn.Module]:
    """Modules that are cut apart from the rest of the model, none inside another one."""
    tied = _tied(model)
    most = max(_nbytes(model) // GROUPS, LEAST_BYTES)

    def walk(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            nbytes = _nbytes(child)
            if not nbytes:
                continue
            if nbytes <= most or not any(map(_nbytes, child.children())):
                if not tied.intersection(map(id, child.parameters())) and _is_called(child):
                    yield child
            else:
                yield from walk(child)

    return list(dict.fromkeys(walk(model)))


def _is_called(module: nn.Module) -> bool:
    """Whether a module runs as one: those that only hold others do not."""
    return not isinstance(module, (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict))


def _tied(model: nn.Module) -> set[int]:
    """Ids of parameters that have several owners."""
    seen: set[int] = set()
    tied: set[int] = set()
    for module in model.modules():
        for each in module._parameters.values():
            if each is not None:
                (tied if id(each) in seen else seen).add(id(each))
    return tied


def _ties(model: nn.Module) -> list[list[str]]:
    """Names that go by one parameter."""
    names: dict[int, list[str]] = {}
    for name, each in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(each), []).append(name)
    return [each for each in names.values() if len(each) > 1]


def _nbytes(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())


def _names(model: nn.Module) -> list[str]:
    """Of all parameters and buffers, each once."""
    for each in iter_tensors(model):
        if each.kind == "tensor" and each.tensor.is_meta:
            raise BackwardError(
                f"{each.name} is neither parameter nor buffer, and cannot be shared out", hint="leave out --shard"
            )
    return [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]


def _get(model: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    found = getattr(model.get_submodule(path), leaf)
    if not isinstance(found, Tensor):
        raise ParamInspectError(f"{name} is no tensor")
    return found


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(path), leaf, tensor)
