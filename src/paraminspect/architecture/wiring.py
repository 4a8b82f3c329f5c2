"""Which layers of a list stand, what they are called, and where `from` leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from paraminspect.architecture.built_in import BUILTINS
from paraminspect.architecture.model import Layer, Name, Pick, Source
from paraminspect.architecture.nodes import Mark, shown
from paraminspect.architecture.plan import ModulePlan, Returned, Step
from paraminspect.architecture.values import Scope
from paraminspect.names.suggestions import closest


class Wiring:
    """The layers of one list.

    Args:
        layers: As written; those whose `if` is false are left out, and do not count.
        entries: What the inputs of the list are called.
        scope: Of the variables in `if`.

    Raises:
        SpecError: Two layers of one name, or one called like an input.
    """

    def __init__(self, layers: Sequence[Layer], entries: Sequence[str], scope: Scope) -> None:
        self.layers = standing(layers, scope)
        self.left_out = {layer.name.text for layer in layers if layer.name} - {
            layer.name.text for layer in self.layers if layer.name
        }
        self.entries = tuple(entries)
        self.places = _child_names(self.layers, entries)
        self.names = [name for name, place in self.places.items() if place >= 0]

    def find(self, source: Source, place: int, what: str = "from") -> str:
        """The layer or input that a source names, seen from the layer at `place` of those that stand.

        Args:
            what: It is written for.

        Raises:
            SpecError: There is none, or none that has an output there.
        """
        given, mark = source.name.text, source.name.mark
        if given.startswith("-"):
            return self._behind(int(given), place, mark, what)
        if self.places.get(given, place) < place:
            return given
        if given in self.places:
            which = "itself" if self.places[given] == place else "a later layer"
            raise mark.error(f"{what} names {which}: {given}", hint="only earlier layers have an output")
        if given in self.left_out:
            raise mark.error(
                f"{what} names a layer that its if leaves out: {given}", hint="give this layer the same if"
            )
        known = [name for name, index in self.places.items() if index < place]
        raise mark.error(
            f"{what} names an unknown layer: {shown(given)}",
            hint=closest(given, known) or f"known here are {', '.join(known[-8:])}",
        )

    def _behind(self, back: int, place: int, mark: Mark, what: str) -> str:
        """-1 is the layer before; before the first stands the first input."""
        if place + back < -1 or back == 0:
            raise mark.error(
                f"{what} is {back}, and {place} layers stand before", hint="-1 is the layer before; input is the input"
            )
        return self.entries[0] if place + back == -1 else self.names[place + back]


def standing(layers: Sequence[Layer], scope: Scope) -> list[Layer]:
    """Those whose `if` is true, or that have none."""
    return [layer for layer in layers if layer.condition is None or scope.flag(layer.condition, "if")]


def check_pick(pick: tuple[Pick, ...], name: str, plan: ModulePlan | None, mark: Mark) -> None:
    """Refuse an element that a list of branches, or a block of several outputs, does not have.

    Args:
        name: Of the layer whose output it is.
        plan: Of that layer; None for an input.

    Raises:
        SpecError: At `mark`.
    """
    if not pick or plan is None or not plan.outputs:
        return
    keys = [str(place) if each.name is None else each.name for place, each in enumerate(plan.outputs)]
    if str(pick[0]) not in keys:
        known = ", ".join(f"{name}.{key}" for key in keys[:8])
        raise mark.error(
            f"{name} has no output {pick[0]}",
            hint=closest(f"{name}.{pick[0]}", [f"{name}.{key}" for key in keys]) or f"it has {known}",
        )


def _child_names(layers: Sequence[Layer], entries: Sequence[str]) -> dict[str, int]:
    """Place of each name that `from` can mean: -1 for the inputs, which come first, then the children in order.

    A child is called by its own name, or by its place in the list; all names differ.
    """
    places = dict.fromkeys(entries, -1)
    for index, layer in enumerate(layers):
        name = layer.name.text if layer.name else str(index)
        mark = layer.name.mark if layer.name else layer.mark
        if name in places:
            if places[name] < 0:
                raise mark.error(f"a layer named {name}, as an input of the model is", hint="choose another name")
            raise mark.error(f"duplicate name {name} in one list of layers", hint="give each layer its own name")
        places[name] = index
    return places


def kind_of(steps: Sequence[Step], entry: str) -> Literal["sequential", "flow"]:
    """Plain where each step gets the previous output whole and all are modules."""
    previous = entry
    for step in steps:
        if step.inputs != (previous,) or step.take or step.picks or step.plan.type == "Param":
            return "flow"
        previous = step.name
    return "sequential"


def branches(path: str, mark: Mark, steps: Sequence[Step], *, is_named: bool = False) -> ModulePlan:
    """The plan of steps that are all fed the input, and of what they give, together."""
    outputs = tuple(Returned(step.name if is_named else None, step.name) for step in steps)
    return ModulePlan("flow", path, "Parallel", mark, steps=tuple(steps), outputs=outputs)


def check_fed(plan: ModulePlan, inputs: Sequence[Name]) -> None:
    """Refuse an input that nothing takes.

    Raises:
        SpecError: Where it is named.
    """
    fed = {name for step in plan.steps for name in step.inputs} | {each.source for each in plan.outputs}
    for name in inputs:
        if name.text not in fed:
            raise name.mark.error(
                f"the input {name.text} is never used", hint=f"write from: {name.text} in the layer that takes it"
            )


def plan_of(steps: Mapping[str, Step], name: str) -> ModulePlan | None:
    """Of what gives an output whole; None of an input, or where a part is taken already."""
    step = steps.get(name)
    return None if step is None or step.take else step.plan


def gives_several(steps: Mapping[str, Step], name: str, picks: Sequence[object]) -> bool:
    """Whether an output is known to be a tuple or a mapping."""
    plan = None if any(picks) else plan_of(steps, name)
    if plan is None:
        return False
    return bool(plan.outputs) or (plan.type in BUILTINS and BUILTINS[plan.type].gives == "several")
