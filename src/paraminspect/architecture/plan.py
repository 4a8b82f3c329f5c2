"""A model, decided down to each module: what `live/` builds without asking anything more of the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from paraminspect.architecture.model import Loss, Pick, RuleSet, TensorInput, Tie, Value
from paraminspect.architecture.nodes import Mark
from paraminspect.tuples import NamedTuple

ModuleKind = Literal["module", "builtin", "parameter", "sequential", "flow", "residual", "experts", "list", "reference"]

INPUT = "input"
"""What `Step.inputs` calls the input of the container."""


class ModulePlan(NamedTuple):
    """One module (or bare parameter) to build.

    Attributes:
        kind: How it is built.
            "module": call the class `type` (of torch.nn or of a modules file) with `args` and `kwargs`.
            "builtin": the built-in `type` of `built_in.BUILTINS`; `kwargs` holds every declared argument, checked.
            "parameter": a bare learnable tensor, kwargs `shape` and `op` (`built_in.PARAM_OPS`). It has no module:
            the container registers it under the step's name, so `path` is the parameter's own dotted name.
            "sequential": steps one after the other, each with one input, none a parameter: `nn.Sequential`.
            "flow": steps wired by name (`Step.inputs`, `Step.picks`, `Step.take`), run in order; the last step's output
            is the output, or `outputs` says of what it is made.
            "residual": one step `body`, perhaps a second one `shortcut`, both fed the input: body(x) + shortcut(x),
            or body(x) + x.
            "experts": two steps, `gate` and `experts`, both fed the input, kwargs `top` and `normalize`.
            "list": modules that the container around them runs: `nn.ModuleList`.
            "reference": the module or parameter that was already built at `reference`; type and arguments repeat those
            of the first occurrence, the steps do not.
        path: Dotted name in the model, "" for the model itself.
        type: Class name as written: "Linear", "Sequential", "Add", a block's name ("Block"). A container that is a
            block is a subclass of its kind that prints this name.
        mark: Where it is written: for errors of its constructor and its forward.
        args: Positional arguments, as plain values; lists are tuples.
        kwargs: Named arguments.
        steps: Children of a container, in order.
        shared: Name of the `shared` entry it comes from, else None.
        reference: Path of the first occurrence of a shared module, for kind "reference", else None.
        entries: What the inputs of a container are called, in order.
        outputs: What a flow returns, where it is not the last step's output.
        parametrize: How tensors of a "module" are computed from others, in order.
    """

    kind: ModuleKind
    path: str
    type: str
    mark: Mark
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = {}
    steps: tuple[Step, ...] = ()
    shared: str | None = None
    reference: str | None = None
    entries: tuple[str, ...] = (INPUT,)
    outputs: tuple[Returned, ...] = ()
    parametrize: tuple[Parametrization, ...] = ()

    def walk(self) -> Iterator[ModulePlan]:
        """This plan and all below it, in the order of building (and of `named_modules()`)."""
        yield self
        for step in self.steps:
            yield from step.plan.walk()


class Step(NamedTuple):
    """A child of a container, and how it is fed.

    Attributes:
        name: Of the child: last part of `plan.path`.
        inputs: Where its positional inputs come from, one or more: names of earlier steps, or `INPUT`; in the
            root of a model whose inputs have names of their own, these instead of `INPUT`.
        take: Indices applied to its output one after the other (`output[0][1]` is (0, 1)); () for all of it.
        picks: The same for each of `inputs`, applied to what that gives; () where all are taken whole.
    """

    name: str
    plan: ModulePlan
    inputs: tuple[str, ...]
    take: tuple[int, ...] = ()
    picks: tuple[tuple[Pick, ...], ...] = ()


class Returned(NamedTuple):
    """One of several outputs of a flow.

    Attributes:
        name: Its key in a mapping; None in a tuple.
        source: Name of a step or an input.
        pick: Indices and keys applied to what that gives.
    """

    name: str | None
    source: str
    pick: tuple[Pick, ...] = ()


class Parametrization(NamedTuple):
    """A tensor that a layer computes from others.

    Attributes:
        tensor: Its name in the layer: "weight".
        kind: One of `built_in.PARAMETRIZATIONS`.
        kwargs: Every argument that is declared there.
        mark: Where it is written.
    """

    tensor: str
    kind: str
    kwargs: Mapping[str, Value]
    mark: Mark


class ModelPlan(NamedTuple):
    """A whole model.

    Attributes:
        root: The model; a container with path "".
        source: What the user typed, for error messages.
        vars: Values by name, for the expressions of rules.
        ties: To apply after building, in order. That the modules of both names exist has been checked as far as
            the spec tells; the tensors themselves and their shapes have not.
        inputs: How each input is made, in order of the forward call; empty where the spec describes none.
        loss: What `grad` takes by default.
        rule_sets: One unnamed set, or named ones.
        aliases: Where a YAML alias stands for a layer, for the hint that `shared` gives.
        size: Modules and bare parameters, references included.
        classes: Names of the classes that layers are of, and where each is named first.
        blocks: Names of the blocks, and where each is defined.
    """

    root: ModulePlan
    source: str = ""
    vars: Mapping[str, Value] = {}
    ties: tuple[Tie, ...] = ()
    inputs: tuple[TensorInput, ...] = ()
    loss: Loss = Loss()
    rule_sets: tuple[RuleSet, ...] = ()
    aliases: tuple[Mark, ...] = ()
    size: int = 0
    classes: Mapping[str, Mark] = {}
    blocks: Mapping[str, Mark] = {}
