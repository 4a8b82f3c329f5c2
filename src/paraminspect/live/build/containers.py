"""The containers of a spec as modules: wired by name, residual, and blocks under names of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from paraminspect.architecture.built_in import CONTAINERS
from paraminspect.architecture.model import Value
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.plan import ModulePlan
from paraminspect.live.build.complaints import first_line
from paraminspect.live.build.layers import apply_parameter
from paraminspect.text import shape_text

Child = nn.Module | nn.Parameter
"""What a container registers under a name."""

BLOCK_MODULE = "blocks"
"""`__module__` of the classes that a spec's blocks become."""


class StepError(Exception):
    """A step that is no module of its own, or has no such output, fails in forward."""

    def __init__(self, wire: Wire, message: str, inputs: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.inputs = inputs
        self.name = wire.name
        self.kind = "Param" if wire.op is not None else "take"


class Wire(NamedTuple):
    """How one child of a `Flow` is fed.

    Attributes:
        inputs: Names of earlier children or of the container's inputs.
        take: Indices applied to its output one after the other.
        op: Of a bare parameter; None for a module.
    """

    name: str
    inputs: tuple[str, ...]
    take: tuple[int, ...] = ()
    op: Value = None


class Flow(nn.Module):
    """Children in order, each fed by name; the last one's output is the output.

    Args:
        wires: In order; the children are registered by the one who builds it.
        entries: What its inputs are called, in order of the forward call.
    """

    def __init__(self, wires: Sequence[Wire], entries: Sequence[str]) -> None:
        super().__init__()
        self._wires = tuple(wires)
        self._entries = tuple(entries)
        last = {name: place for place, wire in enumerate(wires) for name in wire.inputs}
        self._spent = [[name for name in last if last[name] == place] for place in range(len(self._wires))]

    def forward(self, *inputs: object) -> object:
        """As many inputs as `entries`."""
        if len(inputs) != len(self._entries):
            raise TypeError(f"{len(inputs)} inputs; expected {len(self._entries)}: {', '.join(self._entries)}")
        values: dict[str, object] = dict(zip(self._entries, inputs, strict=True))
        output: object = None
        for wire, spent in zip(self._wires, self._spent, strict=True):
            given = [values[name] for name in wire.inputs]
            child = getattr(self, wire.name)
            output = child(*given) if wire.op is None else _apply(wire, child, given)
            values[wire.name] = output = _take(wire, output)
            for name in spent:
                del values[name]
        return output


class Residual(nn.Module):
    """`body(x) + shortcut(x)`, or `body(x) + x` where there is no child `shortcut`."""

    body: nn.Module
    shortcut: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Input x -> the shape that both sides broadcast to."""
        other = self.shortcut(x) if "shortcut" in self._modules else x
        result: Tensor = self.body(x) + other
        return result


_BLOCKS: dict[tuple[str, str], type[nn.Module]] = {}


def block_class(name: str, base: type[nn.Module]) -> type[nn.Module]:
    """The subclass of a container that prints the name of a block; one for each name and kind of container."""
    key = name, base.__name__
    if key not in _BLOCKS:
        _BLOCKS[key] = type(name, (base,), {"__module__": BLOCK_MODULE, "__doc__": f"The block {name} of a spec."})
    return _BLOCKS[key]


def make_container(plan: ModulePlan, entries: Sequence[str]) -> nn.Module:
    """A container without its children.

    Args:
        plan: Of kind "sequential", "flow" or "residual".
        entries: What its inputs are called.
    """
    base: type[nn.Module] = {"sequential": nn.Sequential, "flow": Flow, "residual": Residual}[plan.kind]
    cls = base if plan.type in CONTAINERS else block_class(plan.type, base)
    if plan.kind != "flow":
        return cls()
    wires = [
        Wire(step.name, step.inputs, step.take, step.plan.kwargs["op"] if step.plan.type == "Param" else None)
        for step in plan.steps
    ]
    return cls(wires, entries)


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
        raise StepError(wire, f"{wire.op} of {shape_text(p.shape)} to {_kind(x)}; expected a tensor")
    try:
        return apply_parameter(wire.op, p, x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise StepError(wire, f"{wire.op} of {shape_text(p.shape)}: {first_line(error)}", given) from error


def _take(wire: Wire, output: object) -> object:
    for index in wire.take:
        if not isinstance(output, (tuple, list)):
            raise StepError(wire, f"take {index} of {_kind(output)}; expected a tuple")
        if not -len(output) <= index < len(output):
            raise StepError(wire, f"take {index} of a tuple of {len(output)}")
        output = output[index]
    return output


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {shape_text(value.shape)}"
    return "a tuple" if isinstance(value, (tuple, list)) else f"a {type(value).__name__}"
