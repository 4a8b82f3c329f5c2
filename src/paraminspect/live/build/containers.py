"""The containers of a spec as modules: wired by name, residual, and blocks under names of their own."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from paraminspect.architecture.built_in import CONTAINERS
from paraminspect.architecture.built_in_facts import built_in_text
from paraminspect.architecture.model import Pick, Value
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.plan import ModulePlan, Returned
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.layers import apply_parameter
from paraminspect.text import shape_text
from paraminspect.tuples import NamedTuple

Child = nn.Module | nn.Parameter
"""What a container registers under a name."""

BLOCK_MODULE = "blocks"
"""`__module__` of the classes that a spec's blocks become."""


class StepError(Exception):
    """A step that is no module of its own, or has no such output, fails in forward."""

    def __init__(self, name: str, message: str, inputs: Sequence[object] = (), kind: str = "take") -> None:
        super().__init__(message)
        self.inputs = inputs
        self.name = name
        self.kind = kind


class Wire(NamedTuple):
    """How one child of a `Flow` is fed.

    Attributes:
        inputs: Names of earlier children or of the container's inputs.
        take: Indices applied to its output one after the other.
        op: Of a bare parameter; None for a module.
        picks: Indices and keys applied to each of the inputs; () where all are taken whole.
    """

    name: str
    inputs: tuple[str, ...]
    take: tuple[int, ...] = ()
    op: Value = None
    picks: tuple[tuple[Pick, ...], ...] = ()


class Flow(nn.Module):
    """Children in order, each fed by name; the last one's output is the output, or several are.

    Args:
        wires: In order; the children are registered by the one who builds it.
        entries: What its inputs are called, in order of the forward call.
        outputs: Where there are several: a mapping of those that have names, else a tuple.
    """

    def __init__(self, wires: Sequence[Wire], entries: Sequence[str], outputs: Sequence[Returned] = ()) -> None:
        super().__init__()
        self._wires = tuple(wires)
        self._entries = tuple(entries)
        self._outputs = tuple(outputs)
        last = {name: place for place, wire in enumerate(wires) for name in wire.inputs}
        kept = {each.source for each in outputs}
        self._spent = [
            [name for name in last if last[name] == place and name not in kept] for place in range(len(self._wires))
        ]

    def forward(self, *inputs: object) -> object:
        """As many inputs as `entries`."""
        if len(inputs) != len(self._entries):
            raise TypeError(f"{len(inputs)} inputs; expected {len(self._entries)}: {', '.join(self._entries)}")
        values: dict[str, object] = dict(zip(self._entries, inputs, strict=True))
        output: object = None
        for wire, spent in zip(self._wires, self._spent, strict=True):
            given = [values[name] for name in wire.inputs]
            if wire.picks:
                given = [_pick(wire.name, pick, each) for pick, each in zip(wire.picks, given, strict=True)]
            child = getattr(self, wire.name)
            output = child(*given) if wire.op is None else _apply(wire, child, given)
            values[wire.name] = output = _pick(wire.name, wire.take, output)
            for name in spent:
                del values[name]
        return self._several(values) if self._outputs else output

    def _several(self, values: Mapping[str, object]) -> object:
        found = [(each.name, _pick(each.source, each.pick, values[each.source])) for each in self._outputs]
        named = {name: value for name, value in found if name is not None}
        return named or tuple(value for _, value in found)


class Parallel(Flow):
    """Branches of the same input; a tuple of their outputs, or a mapping."""


class Residual(nn.Module):
    """`body(x) + shortcut(x)`, or `body(x) + x` where there is no child `shortcut`."""

    body: nn.Module
    shortcut: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Input x -> the shape that both sides broadcast to."""
        other = self.shortcut(x) if "shortcut" in self._modules else x
        result: Tensor = self.body(x) + other
        return result


class MixtureOfExperts(nn.Module):
    """A mixture of experts, each of which runs on all of the input: the reference that sparse kernels are held against.

    Args:
        top: How many experts each position has.
        normalize: Whether their weights are divided by their sum.
    """

    gate: nn.Module
    experts: nn.ModuleList

    def __init__(self, top: int, normalize: bool) -> None:
        super().__init__()
        self.top = top
        self.normalize = normalize

    def forward(self, x: Tensor) -> Tensor:
        """Input x -> the weighted sum of the experts' outputs; the gate gives [.., experts], the softmax is float32's."""
        scores: Tensor = self.gate(x)
        if scores.dim() == 0 or scores.shape[-1] != len(self.experts):
            raise ValueError(
                f"the gate gives {shape_text(scores.shape)}; expected [..,{len(self.experts)}], a score an expert"
            )
        shares = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        kept, chosen = shares.topk(self.top, dim=-1)
        if self.normalize:
            kept = kept / kept.sum(-1, keepdim=True)
        weights = torch.zeros_like(shares).scatter(-1, chosen, kept)
        return functools.reduce(
            operator.add, (self._weighed(expert(x), weights[..., place]) for place, expert in enumerate(self.experts))
        )

    @staticmethod
    def _weighed(output: Tensor, weight: Tensor) -> Tensor:
        """Weights of the leading dimensions, times all that stands there."""
        return output * weight.to(output.dtype).reshape(*weight.shape, *(1,) * (output.dim() - weight.dim()))

    def extra_repr(self) -> str:
        return built_in_text("MixtureOfExperts", vars(self))


_BLOCKS: dict[tuple[str, str], type[nn.Module]] = {}


def block_class(name: str, base: type[nn.Module]) -> type[nn.Module]:
    """The subclass of a container that prints the name of a block; one for each name and kind of container."""
    key = name, base.__name__
    if key not in _BLOCKS:
        _BLOCKS[key] = type(name, (base,), {"__module__": BLOCK_MODULE, "__doc__": f"The block {name} of a spec."})
    return _BLOCKS[key]


def is_block(cls: type) -> bool:
    """Whether a class is one that `block_class` made."""
    return cls in _BLOCKS.values()


def make_container(plan: ModulePlan) -> nn.Module:
    """A container without its children.

    Args:
        plan: Of kind "sequential", "flow", "residual", "experts" or "list".
    """
    if plan.kind == "list":
        return nn.ModuleList()
    if plan.kind == "experts":
        top = plan.kwargs["top"]
        assert isinstance(top, int)
        return MixtureOfExperts(top, bool(plan.kwargs["normalize"]))
    base: type[nn.Module] = {"sequential": nn.Sequential, "flow": Flow, "residual": Residual}[plan.kind]
    if plan.kind == "flow" and plan.type == "Parallel":
        base = Parallel
    cls = base if plan.type in CONTAINERS else block_class(plan.type, base)
    if plan.kind != "flow":
        return cls()
    wires = [
        Wire(
            step.name, step.inputs, step.take, step.plan.kwargs["op"] if step.plan.type == "Param" else None, step.picks
        )
        for step in plan.steps
    ]
    return cls(wires, plan.entries, plan.outputs)


def attach(owner: nn.Module, name: str, child: Child, mark: Mark) -> None:
    """Register a child.

    Raises:
        SpecError: At `mark`: modules have an attribute of that name.
    """
    try:
        if isinstance(child, nn.Parameter):
            owner.register_parameter(name, child)
        else:
            owner.add_module(name, child)
    except KeyError:
        raise mark.error(
            f"a layer named {name}, which every module has for something else", hint="choose another name"
        ) from None


def _apply(wire: Wire, p: Tensor, given: Sequence[object]) -> Tensor:
    (x,) = given
    if not isinstance(x, Tensor):
        raise StepError(
            wire.name, f"{wire.op} of {shape_text(p.shape)} to {_kind(x)}; expected a tensor", given, "Param"
        )
    try:
        return apply_parameter(wire.op, p, x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise StepError(
            wire.name, f"{wire.op} of {shape_text(p.shape)}: {first_line(error)}", given, "Param"
        ) from error


def _pick(name: str, picks: Sequence[Pick], output: object) -> object:
    """Elements of tuples and mappings, one after the other.

    Raises:
        StepError: There is none; of the layer `name`, which asks for it or gives it.
    """
    for step in picks:
        if isinstance(output, Mapping):
            if str(step) not in output:
                raise StepError(name, f"take {step} of a mapping of {', '.join(output)}")
            output = output[str(step)]
            continue
        if not isinstance(output, (tuple, list)) or isinstance(step, str):
            raise StepError(
                name, f"take {step} of {_kind(output)}; expected a {'mapping' if isinstance(step, str) else 'tuple'}"
            )
        if not -len(output) <= step < len(output):
            raise StepError(name, f"take {step} of a tuple of {len(output)}")
        output = output[step]
    return output


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {shape_text(value.shape)}"
    return "a tuple" if isinstance(value, (tuple, list)) else f"a {type(value).__name__}"
