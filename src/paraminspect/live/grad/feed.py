"""What goes into a backward pass: a batch for every step, and the loss of the options or of the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from paraminspect.architecture.given import Given
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import ParamInspectError
from paraminspect.live.build.feeding import Maker, Ready, make_given
from paraminspect.live.build.forward import Inputs
from paraminspect.live.build.inputs import make_tensor
from paraminspect.live.grad.losses import LossFunction, load_loss, make_loss
from paraminspect.outcomes import WITH_TARGET, LossName


class Wanted(NamedTuple):
    """What the command line says of the loss.

    Attributes:
        target: Of `--target`, None without.
        loss: Name of `--loss`; None takes that of the spec, or "sum".
        loss_file: Of `--loss-file`, "" without.
        dtype: A floating-point target is converted to it; None leaves it as it is.
        device: "cpu", "cuda", "mps".
    """

    target: Given | None = None
    loss: LossName | None = None
    loss_file: str = ""
    dtype: torch.dtype | None = None
    device: str = "cpu"


class Feed:
    """Makes batches.

    Args:
        wanted: Goes before the spec.
        plan: Of a spec's model; None for a factory.
        seed: Of the run; step N draws with `seed + N`.
        inputs: Makes those of a step.

    Raises:
        ParamInspectError: A file cannot be read.
    """

    def __init__(
        self, wanted: Wanted, plan: ModelPlan | None, seed: int, inputs: Callable[[int], Inputs] | None = None
    ) -> None:
        self._wanted = wanted
        self._plan = plan
        self._seed = seed
        self._inputs = inputs or (lambda step: Inputs())
        self._target = None if wanted.target is None else self._one(wanted.target)
        if wanted.loss_file:
            load_loss(wanted.loss_file)  # what is wrong with it is said before the model runs

    def batch(self, step: int = 0) -> tuple[Inputs, LossFunction | LossName]:
        """Inputs and loss of one step, the same whenever it is asked for.

        Raises:
            ParamInspectError: A tensor cannot be made as described.
        """
        return self._inputs(step), self.loss(step)

    def loss(self, step: int = 0) -> LossFunction | LossName:
        """What one step starts its backward pass from.

        Raises:
            ParamInspectError: A target cannot be made as described.
        """
        name, made = self._chosen_loss()
        if name not in WITH_TARGET and not self._wanted.loss_file:
            return name
        target = None if made is None else self._make(made, step)
        if self._wanted.loss_file:
            return load_loss(self._wanted.loss_file, target)
        if made is not self._target and target is not None and name != "target":
            fits = target.is_floating_point() == (name == "mse")  # else one is drawn
            target = target if fits else None
        return make_loss(name, target, seed=self._seed + step)

    def _chosen_loss(self) -> tuple[LossName, Maker | None]:
        """The loss, and how its target is made: options go before the spec."""
        wanted, spec = self._wanted, self._plan.loss if self._plan is not None else None
        if self._target is not None:
            return wanted.loss or "target", self._target
        if spec is None or spec.kind != "target":
            return wanted.loss or (spec.kind if spec is not None else "sum"), None
        return wanted.loss or "target", spec.target

    def _make(self, maker: Maker, step: int) -> Tensor:
        if isinstance(maker, Ready):
            tensor = maker.value
            assert isinstance(tensor, Tensor)
        else:
            source = self._plan.source if self._plan is not None else ""
            own = maker if maker.seed is None else replace(maker, seed=maker.seed + step)
            tensor = make_tensor(own, device="cpu", seed=self._seed + step, source=source)
        if self._wanted.dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(self._wanted.dtype)
        return tensor.to(self._wanted.device)

    def _one(self, given: Given) -> Maker:
        made = [maker for _, maker in make_given(given, self._variables(), "target")]
        value = made[0].value if isinstance(made[0], Ready) else None
        if len(made) > 1 or not (isinstance(made[0], TensorInput) or isinstance(value, Tensor)):
            found = f"{len(made):,} tensors" if len(made) > 1 else f"the value {value!r}"
            raise ParamInspectError(f"{given.option} is {found}; expected one tensor")
        return made[0]

    def _variables(self) -> Mapping[str, Value]:
        return self._plan.vars if self._plan is not None else {}
