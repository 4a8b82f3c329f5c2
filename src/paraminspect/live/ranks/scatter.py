"""Rules on a sharded model, in place: each tensor is drawn by one process, and its parts are sent to those that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from paraminspect.errors import ElsewhereError, ParamInspectError
from paraminspect.live.init.apply import check_steps, give
from paraminspect.live.init.draw import Drawing, one_thread
from paraminspect.live.init.functions import OwnFunctions
from paraminspect.live.init.run import measure, with_statistics
from paraminspect.live.ranks.sharded import is_sharded, peers_in, whole_of
from paraminspect.outcomes import InitStep
from paraminspect.rules.steps import InitPlan, PlannedStep


class _Carrying:
    """The tensors of a plan, each drawn by one of the processes: in turn, as many at a time as there are processes."""

    def __init__(self, plan: InitPlan, tensors: Sequence[Any], drawing: Drawing, own: OwnFunctions) -> None:
        self._steps = list(zip(plan.steps, tensors, strict=True))
        self._drawing = drawing
        self._own = own
        self._done: dict[int, list[InitStep]] = {}

    def run(self) -> list[InitStep]:
        """Carry it out; what was done, in the order of the plan."""
        check_steps(self._steps, self._own)
        sharded = [place for place, (step, tensor) in enumerate(self._steps) if step.acts and is_sharded(tensor)]
        for place, (step, tensor) in enumerate(self._steps):
            if step.acts and not is_sharded(tensor):
                self._here(place, step, tensor)
        while sharded:
            mesh = self._steps[sharded[0]][1].device_mesh
            together = [place for place in sharded if self._steps[place][1].device_mesh == mesh][: min(mesh.shape)]
            self._round(together, mesh)
            sharded = [place for place in sharded if place not in together]
        return [step for place in range(len(self._steps)) for step in self._done.get(place, ())]

    def _here(self, place: int, step: PlannedStep, tensor: Tensor) -> None:
        """A tensor that every process has: drawn by each, the same everywhere."""
        if step.draws:
            give(step, tensor, self._drawing.draw(step, lambda: tensor))
        self._done[place] = [_measured(act, tensor) for act in step.acts]

    def _round(self, places: Sequence[int], mesh: Any) -> None:
        """Draw one tensor in each of some processes, then send them round, one after the other."""
        mine: tuple[Tensor, list[InitStep]] | None = None
        error: ParamInspectError | None = None
        turn = _turn(mesh)
        for owner, place in enumerate(places):
            step, tensor = self._steps[place]
            held = whole_of(tensor.detach()) if _wants_values(step) else None  # all processes ask for it
            if owner != turn:
                continue
            try:
                values = held if not step.draws else self._drawing.draw(step, lambda held=held: held)  # type: ignore[misc]
                assert values is not None
                values = values.to(tensor.dtype)
                mine = values, [_measured(act, values) for act in step.acts]
            except ParamInspectError as found:
                error = found
        if peers_in(mesh).any_has(error is not None):
            raise error or ElsewhereError("another process could not initialise a parameter; its error says which")
        for owner, place in enumerate(places):
            step, tensor = self._steps[place]
            values, said = mine if owner == turn and mine is not None else (None, None)
            if step.draws:
                _scatter(tensor, values, owner)
            self._done[place] = _tell(mesh, owner, said)


def apply_sharded(plan: InitPlan, tensors: Sequence[Tensor], seed: int, own: OwnFunctions) -> list[InitStep]:
    """Carry a plan out in place, every process its part; see `live.init.apply.apply_plan`.

    The values are those of one process to the bit, however many there are: each tensor is drawn as a whole by one of
    them. Every process has to call this, and has one tensor in memory at a time.

    Raises:
        ParamInspectError: On the process that a tensor could not be drawn by, and on all others.
    """
    with one_thread(), torch.no_grad():
        return _Carrying(plan, tensors, Drawing(seed, own), own).run()


def fill_tensors(tensors: Sequence[tuple[str, Any]], give: Callable[[str], Tensor]) -> None:
    """Give values to the tensors of a sharded model: each is made by one process, those that are not sharded by every one.

    Args:
        tensors: By name, the same everywhere and in the same order.
        give: All of a tensor by its name.

    Raises:
        ParamInspectError: On the process that a tensor could not be made by, and on all others.
    """
    sharded = [(name, tensor) for name, tensor in tensors if is_sharded(tensor)]
    with torch.no_grad():
        for name, tensor in tensors:
            if not is_sharded(tensor):
                tensor.copy_(give(name))
        while sharded:
            mesh = sharded[0][1].device_mesh
            together = [each for each in sharded if each[1].device_mesh == mesh][: min(mesh.shape)]
            _fill_round(together, mesh, give)
            names = {name for name, _ in together}
            sharded = [each for each in sharded if each[0] not in names]


def _fill_round(tensors: Sequence[tuple[str, Any]], mesh: Any, give: Callable[[str], Tensor]) -> None:
    turn = _turn(mesh)
    mine: Tensor | None = None
    error: ParamInspectError | None = None
    if 0 <= turn < len(tensors):
        name, tensor = tensors[turn]
        try:
            mine = give(name).detach().to(tensor.dtype)
        except ParamInspectError as found:
            error = found
    if peers_in(mesh).any_has(error is not None):
        raise error or ElsewhereError("another process could not make a parameter; its error says which")
    for owner, (_, tensor) in enumerate(tensors):
        _scatter(tensor, mine if owner == turn else None, owner)


def _wants_values(step: PlannedStep) -> bool:
    return bool(step.acts) and (not step.draws or step.needs_values)


def _turn(mesh: Any) -> int:
    """Which tensor of a round this process draws; none where it is not on the diagonal of the mesh, as owners are."""
    place = set(mesh.get_coordinate())
    return place.pop() if len(place) == 1 else -1


def _scatter(tensor: Any, values: Tensor | None, owner: int) -> None:
    """Give everybody the part of a tensor that is theirs."""
    from torch.distributed.tensor import distribute_tensor

    mesh = tensor.device_mesh
    full = torch.empty(tensor.shape, dtype=tensor.dtype) if values is None else values.contiguous()
    source: int | None = owner
    if not all(how.is_shard() or how.is_replicate() for how in tensor.placements):
        full = _broadcast(full, mesh, owner)  # parts within parts: torch sends only such as are of one size (2.13)
        source = None
    made = distribute_tensor(full, mesh, tensor.placements, src_data_rank=source)
    tensor.detach().to_local().copy_(made.to_local())


def _broadcast(full: Tensor, mesh: Any, owner: int) -> Tensor:
    """All of a tensor, everywhere."""
    import torch.distributed as dist

    full = full.to(mesh.device_type)
    for dim in range(mesh.ndim):
        dist.broadcast(full, group=mesh.get_group(dim), group_src=owner)
    return full


def _tell(mesh: Any, owner: int, said: list[InitStep] | None) -> list[InitStep]:
    """What was measured by the owner, everywhere."""
    import torch.distributed as dist

    told: list[Any] = [said]
    for dim in range(mesh.ndim):
        dist.broadcast_object_list(told, group=mesh.get_group(dim), group_src=owner)
    found: list[InitStep] = told[0]
    return found


def _measured(act: PlannedStep, tensor: Tensor) -> InitStep:
    return with_statistics(act.record(), measure(tensor.detach()[act.rows]))
