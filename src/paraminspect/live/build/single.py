"""Values of single tensors of a spec's model, without the rest of it: layer by layer, as they would be drawn."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from torch import Tensor, nn

from paraminspect.architecture.plan import ModulePlan
from paraminspect.errors import LimitExceededError, SelectionError
from paraminspect.limits import Bound, effort
from paraminspect.live.build.build import Builder
from paraminspect.live.build.construct import Construction
from paraminspect.live.build.containers import Child
from paraminspect.live.build.describe import find_tensor
from paraminspect.live.build.memory import held_memory

DRAWN: Final = Bound("bytes of layers drawn in one run", 1 << 30, 8)
"""A second a GiB. A layer is drawn as a whole for each of its tensors, unless they are asked for one after the other."""

ONE_DRAWN: Final = 1 << 14
"""Bytes that making one tensor takes as long as."""


class Drawer:
    """Draws tensors of a model that stays on the meta device; equal to those of the model built on "cpu".

    The layer that was drawn last is kept, so that asking in the order of the model draws each layer once and holds
    one at a time.

    Args:
        builder: That has built the model.
        model: On the meta device.
    """

    def __init__(self, builder: Builder, model: nn.Module, max_bytes: int) -> None:
        self._builder = builder
        self._model = model
        self._max_bytes = max_bytes
        self._last: tuple[str, Child] | None = None
        self._source = f"the model of {builder.plan.source}"

    @cached_property
    def _nbytes(self) -> int:
        return held_memory(self._model)

    def draw(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor of the model, in memory.

        Args:
            name: Any of its names.
            tensor: The model's own, on the meta device.

        Raises:
            LimitExceededError: Its layer is larger than `max_bytes`, or layers were drawn many times over.
        """
        origin = self._builder.origins.get(id(tensor))
        plan, local = (origin.plan, origin.name) if origin is not None else self._of_attribute(name)
        leaf = self._leaf(plan)
        return find_tensor(leaf, local).tensor if isinstance(leaf, nn.Module) else leaf

    def _of_attribute(self, name: str) -> tuple[ModulePlan, str]:
        """The layer of a tensor that is neither parameter nor buffer, and its name in there."""
        plans = {plan.path: plan for plan in self._builder.plan.root.walk() if plan.kind in ("module", "reference")}
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            plan = plans.get(".".join(parts[:end]))
            if plan is not None:
                return plans.get(plan.reference or "", plan), ".".join(parts[end:])
        raise SelectionError(f"{name} cannot be drawn on its own")

    def _leaf(self, plan: ModulePlan) -> Child:
        if self._last is None or self._last[0] != plan.path:
            tensors = self._tensors_of(plan)
            nbytes = sum(each.numel() * each.element_size() for each in tensors)
            if nbytes > self._max_bytes:
                raise LimitExceededError(f"bytes in {plan.path}", limit=self._max_bytes, actual=nbytes)
            run = effort()
            run.allow(self._source, self._nbytes)
            run.spend(DRAWN, nbytes + ONE_DRAWN * len(tensors))
            self._last = None
            self._last = plan.path, self._builder.leaf(plan, Construction("cpu"))
        return self._last[1]

    def _tensors_of(self, plan: ModulePlan) -> list[Tensor]:
        if plan.kind == "parameter":
            return [self._model.get_parameter(plan.path)]
        module = self._model.get_submodule(plan.path)
        return [*module.parameters(), *module.buffers()]
