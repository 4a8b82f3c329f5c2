"""What a model is fed: the inputs and the loss of a spec, of options, or of both, a batch for every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from paraminspect.architecture.given import Given, evaluate_given
from paraminspect.architecture.loss import CLASSES, LOSSES, LossText
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.plan import INPUT, ModelPlan
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.build.inputs import make_tensor
from paraminspect.live.grad.input_files import read_tensors
from paraminspect.live.grad.losses import Loss, Target, choose_loss, load_loss
from paraminspect.live.grad.once import Inputs
from paraminspect.names.suggestions import suggest

Maker = TensorInput | Tensor
"""How a tensor is made in every step: drawn as described, or always the same."""


class Wanted(NamedTuple):
    """What the command line says of inputs and loss.

    Attributes:
        inputs: In the order of `--input`.
        target: Of `--target`, None without.
        loss: Of `--loss`; None takes that of the spec, or the output's own.
        loss_file: Of `--loss-file`, "" without.
        dtype: Floating-point tensors are converted to it; None leaves them as they are.
        device: "cpu", "cuda", "mps".
    """

    inputs: Sequence[Given] = ()
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
        has_inputs: Whether the inputs are at hand, so that only the loss is wanted.

    Raises:
        ParamInspectError: There is no input, or one that the model does not have; a file cannot be read.
    """

    def __init__(self, wanted: Wanted, plan: ModelPlan | None, seed: int, *, has_inputs: bool = False) -> None:
        self._wanted = wanted
        self._plan = plan
        self._seed = seed
        self._positional: list[tuple[str, Maker]] = []
        self._named: dict[str, Maker] = {}
        if plan is None and not has_inputs:
            self._take_freely()
        elif plan is not None and not has_inputs:
            self._take_for_spec(plan)
        self._target = None if wanted.target is None else self._one(wanted.target, "target")
        if wanted.loss_file:
            load_loss(wanted.loss_file)  # what is wrong with it is said before the model runs

    def batch(self, step: int = 0) -> tuple[Inputs, Loss]:
        """Inputs and loss of one step, the same whenever it is asked for.

        Raises:
            ParamInspectError: A tensor cannot be made as described.
        """
        positional = [self._make(name, each, step) for name, each in self._positional]
        named = {name: self._make(name, each, step) for name, each in self._named.items()}
        return Inputs(positional, named), self.loss(step)

    def loss(self, step: int = 0) -> Loss:
        """What one step starts its backward pass from.

        Raises:
            ParamInspectError: A target cannot be made as described.
        """
        if self._wanted.loss_file:
            spec = self._plan.loss.target if self._plan is not None else None
            made = self._target if self._target is not None else spec
            return load_loss(self._wanted.loss_file, None if made is None else self._make("target", made, step))
        text, origin = self._chosen_loss()
        return choose_loss(text, origin, self._chosen_target(text, step))

    def _chosen_loss(self) -> tuple[LossText | None, str]:
        """The loss, and whose it is where that is to be said: options go before the spec."""
        if self._wanted.loss is not None:
            return self._wanted.loss, ""
        if self._target is not None:
            return LossText("target"), ""
        if self._plan is not None and self._plan.loss.mark is not None:
            return self._plan.loss.text, "the spec"
        return None, ""

    def _chosen_target(self, text: LossText | None, step: int) -> Target:
        """What the loss compares with: that of an option, or of the spec if it is of the kind that the loss takes."""
        seed = self._seed + step
        if self._target is not None:
            return Target(self._make("target", self._target, step), seed)
        spec = self._plan.loss if self._plan is not None else None
        if text is None or spec is None or spec.target is None or not text.takes_target:
            return Target(seed=seed)
        target = self._make("target", spec.target, step)
        wants_classes = LOSSES[text.word].drawn == CLASSES
        fits = text.word in ("target", spec.kind) or target.is_floating_point() != wants_classes
        return Target(target, seed, "the spec's target") if fits else Target(seed=seed)

    def _make(self, name: str, maker: Maker, step: int) -> Tensor:
        if isinstance(maker, Tensor):
            tensor = maker
        else:
            source = self._plan.source if self._plan is not None else ""
            own = maker if maker.seed is None else replace(maker, seed=maker.seed + step)
            tensor = make_tensor(own, device="cpu", seed=self._seed + step, source=source)
        if self._wanted.dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(self._wanted.dtype)
        return tensor.to(self._wanted.device)

    def _take_freely(self) -> None:
        """For a factory: what has no name is positional, the rest goes by its name."""
        for given in self._wanted.inputs:
            for name, maker in self._several(given):
                if name:
                    self._named[name] = maker
                else:
                    self._positional.append((INPUT, maker))
        if not self._wanted.inputs:
            raise SourceError("a factory says no input", hint="--input 2,4, or a file, or NAME=.. for a named one")

    def _take_for_spec(self, plan: ModelPlan) -> None:
        """For a spec: its own inputs, those that options name replaced."""
        names = [each.name for each in plan.inputs] or [INPUT]
        makers: dict[str, Maker] = {each.name: each for each in plan.inputs}
        free = list(names)
        for given in self._wanted.inputs:
            for name, maker in self._several(given):
                if name and name not in names:
                    hint = suggest(name, names, "its inputs are")
                    raise ParamInspectError(f"{given.option}: the spec has no input {name!r}", hint=hint)
                if not name and not free:
                    raise ParamInspectError(f"{given.option} is given more often than the spec has inputs")
                where = name or free[0]
                free = [each for each in free if each != where]
                makers[where] = maker
        missing = [name for name in names if name not in makers]
        if missing == [INPUT]:
            raise SourceError("the spec has no input", hint="write input: [2, 4] in the spec, or --input 2,4")
        self._positional = [(name, makers[name]) for name in names]

    def _several(self, given: Given) -> list[tuple[str, Maker]]:
        """(name, how it is made) of each tensor that an option gives; "" where it has no name."""
        if not given.file:
            return [(given.name or "", evaluate_given(given, given.name or INPUT, self._variables()))]
        tensors = read_tensors(given.file)
        if given.name is not None:
            return [(given.name, _choose(tensors, given))]
        if len(tensors) == 1:
            return [("", next(iter(tensors.values())))]
        return list(tensors.items())

    def _one(self, given: Given, name: str) -> Maker:
        if given.file:
            return _choose(read_tensors(given.file), given)
        return evaluate_given(given, name, self._variables())

    def _variables(self) -> Mapping[str, Value]:
        return self._plan.vars if self._plan is not None else {}


def _choose(tensors: Mapping[str, Tensor], given: Given) -> Tensor:
    """The one tensor of a file, or that of the input's name."""
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    if given.name is not None and given.name in tensors:
        return tensors[given.name]
    raise ParamInspectError(
        f"{given.option}: {len(tensors):,} tensors in {given.file}, none of them {given.name or 'the only one'}",
        hint=f"they are {', '.join(list(tensors)[:6])}",
    )
