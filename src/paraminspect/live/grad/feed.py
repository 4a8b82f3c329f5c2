"""What goes into a backward pass: a batch for every step, and the loss of the options or of the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from paraminspect.architecture.given import Given
from paraminspect.architecture.loss import CLASSES, LOSSES, LossText
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import ParamInspectError
from paraminspect.live.build.feeding import Maker, Ready, make_given
from paraminspect.live.build.forward import Inputs, map_tensors
from paraminspect.live.build.inputs import make_tensor
from paraminspect.live.grad.losses import Loss, Target, choose_loss, load_loss, why_no_sum
from paraminspect.live.grad.rows import Rows
from paraminspect.tuples import NamedTuple


class Wanted(NamedTuple):
    """What the command line says of the loss.

    Attributes:
        target: Of `--target`, None without.
        loss: Of `--loss`; None takes that of the spec, or the output's own.
        loss_file: Of `--loss-file`, "" without.
        dtype: A floating-point target is converted to it; None leaves it as it is.
        device: "cpu", "cuda", "mps".
    """

    target: Given | None = None
    loss: LossText | None = None
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

    def batch(self, step: int = 0, rows: Rows | None = None) -> tuple[Inputs, Loss]:
        """Inputs and loss of one step, the same whenever it is asked for.

        Args:
            rows: Those that are fed; None for all.

        Raises:
            ParamInspectError: A tensor cannot be made as described.
        """
        inputs = self._inputs(step)
        if rows is not None:
            inputs = Inputs(*map_tensors(tuple(inputs), rows.of))
        return inputs, self.loss(step, rows)

    def why_no_sum(self, output: object, total: int) -> str:
        """Why the loss of the first step is no sum or mean over the rows of the output, in words; "" if it is.

        Args:
            output: Of which every tensor has rows.
            total: How many rows the batch has.
        """
        if self._wanted.loss_file:
            return f"the loss {self._wanted.loss_file} is not known to add up over rows"
        text, _ = self._chosen_loss()
        target = self._chosen_target(text, 0).tensor
        if target is not None and target.shape[:1] != (total,):
            return "the target has no such rows"
        return why_no_sum(text, output, target)

    def loss(self, step: int = 0, rows: Rows | None = None) -> Loss:
        """What one step starts its backward pass from.

        Args:
            rows: Those that the output has; None for all.

        Raises:
            ParamInspectError: A target cannot be made as described.
        """
        if self._wanted.loss_file:
            spec = self._plan.loss.target if self._plan is not None else None
            made = self._target if self._target is not None else spec
            return load_loss(self._wanted.loss_file, None if made is None else self._make(made, step))
        text, origin = self._chosen_loss()
        return choose_loss(text, origin, self._chosen_target(text, step)._replace(rows=rows))

    def _chosen_loss(self) -> tuple[LossText | None, str]:
        """The loss, and whose it is where that is to be said: options go before the spec.

        A target that is given serves the spec's loss; where that takes none, it is what the same part of the output is held against.
        """
        if self._wanted.loss is not None:
            return self._wanted.loss, ""
        spec = self._plan.loss.text if self._plan is not None and self._plan.loss.mark is not None else None
        if self._target is not None and (spec is None or not spec.takes_target):
            return LossText("target", spec.part if spec is not None else ()), ""
        return spec, "" if spec is None else "the spec"

    def _chosen_target(self, text: LossText | None, step: int) -> Target:
        """What the loss compares with: that of an option, or of the spec if it is of the kind that the loss takes."""
        seed = self._seed + step
        if self._target is not None:
            return Target(self._make(self._target, step), seed)
        spec = self._plan.loss if self._plan is not None else None
        if text is None or spec is None or spec.target is None or not text.takes_target:
            return Target(seed=seed)
        target = self._make(spec.target, step)
        wants_classes = LOSSES[text.word].drawn == CLASSES
        fits = text.word in ("target", spec.kind) or target.is_floating_point() != wants_classes
        return Target(target, seed, "the spec's target") if fits else Target(seed=seed)

    def _make(self, maker: Maker, step: int) -> Tensor:
        if isinstance(maker, Ready):
            tensor = maker.value
            assert isinstance(tensor, Tensor)
        else:
            source = self._plan.source if self._plan is not None else ""
            own = maker if maker.seed is None else maker._replace(seed=maker.seed + step)
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
