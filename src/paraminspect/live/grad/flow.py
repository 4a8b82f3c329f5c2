"""What gradient goes through each node of autograd's graph, and where on the way to a parameter it is lost.

Each node is given the gradients of its outputs and gives those of its inputs. Where something arrives and nothing (None,
zeros, or what is no number) leaves towards a parameter, the gradient is lost, or broken; from the parameter the graph is
climbed until all such places are found. Nothing but that is kept of a node, and where several gradients are added up,
their sum until the node that takes it runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.graph import Node

from paraminspect.live.grad.gradients import dense
from paraminspect.live.grad.uses import ACCUMULATE
from paraminspect.tuples import NamedTuple

Passing = Literal["none", "zero", "broken", "ok"]
"""None; zeros or no elements; some that are no finite number; else."""

MISSING: frozenset[Passing] = frozenset({"none"})
LOST: frozenset[Passing] = frozenset({"none", "zero"})
BROKEN: frozenset[Passing] = frozenset({"broken"})

_SAME = {"none": MISSING, "zero": LOST, "broken": BROKEN}
"""By what leaves a node: what may have arrived there without anything being lost, or broken, in it."""

Gradients = Sequence[Tensor | None]

Place = object
"""A node, or the id of a parameter."""


class Leak(NamedTuple):
    """A node at which a gradient is lost.

    Attributes:
        slot: The input whose gradient that is.
        given: Gradients of the node's outputs.
        made: Gradients of its inputs.
        passing: What leaves by the slot.
    """

    node: Node
    slot: int
    given: Gradients
    made: Gradients
    passing: Passing


class GradientFlow:
    """Watches graphs that a backward pass goes through.

    Args:
        wanted: Parameters whose gradients are asked about.
        explain: What to say of a node that loses a gradient or breaks it; called while the node's saved tensors are
            there.
        explain_meeting: What to say of a node (None for a parameter itself) that gradients reach and none goes into:
            their sum is zero (True), or a hook has changed it.
    """

    def __init__(
        self,
        wanted: Iterable[Tensor],
        explain: Callable[[Leak], str],
        explain_meeting: Callable[[Node | None, bool], str],
    ) -> None:
        self._wanted: set[Place] = {id(each) for each in wanted}
        self._explain = explain
        self._explain_meeting = explain_meeting
        self._edges: defaultdict[Place, list[tuple[Node, int]]] = defaultdict(list)
        """The nodes that give a place its gradients, and the input of each."""

        self._left: dict[tuple[Node, int], Passing] = {}
        self._why: dict[tuple[Node, int], str] = {}
        self._sums: dict[tuple[Place, int], Tensor] = {}
        self._cancelled: dict[Place, bool] = {}

    def watch(self, nodes: Iterable[Node]) -> None:
        """Watch the nodes of one graph that lie above the parameters asked about."""
        edges: defaultdict[Place, list[tuple[Node, int]]] = defaultdict(list)
        for node in nodes:
            for slot, (below, _) in enumerate(node.next_functions):
                if below is not None:
                    edges[_place(below)].append((node, slot))
        above: dict[Node, None] = {}
        waiting: list[Place] = [place for place in edges if place in self._wanted]
        reached = set(waiting)
        while waiting:
            place = waiting.pop()
            self._edges[place] += edges[place]
            for node, _ in edges[place]:
                above[node] = None
                if node not in reached:
                    reached.add(node)
                    waiting.append(node)
        for node in above:
            node.register_hook(self._watcher(node))

    def origins(self, parameter: Tensor, kinds: frozenset[Passing]) -> list[str]:
        """What is to be said of each place where the gradient of a parameter is lost; each text once.

        Args:
            kinds: MISSING, LOST or BROKEN.
        """
        found: dict[str, None] = {}
        waiting: list[Place] = [id(parameter)]
        seen = set(waiting)
        while waiting:
            place = waiting.pop()
            if kinds is LOST and any(self._left.get(edge) in ("ok", "broken") for edge in self._edges[place]):
                node = place if isinstance(place, Node) else None
                found[self._explain_meeting(node, self._is_cancelled(place))] = None
            for edge in self._edges[place]:
                if self._left.get(edge) not in kinds:
                    continue
                if edge in self._why:
                    found[self._why[edge]] = None
                elif edge[0] not in seen:
                    seen.add(edge[0])
                    waiting.append(edge[0])
        return [text for text in found if text]

    def _watcher(self, node: Node) -> Callable[[Gradients, Gradients], None]:
        slots = [(slot, _place(below), output) for slot, (below, output) in enumerate(node.next_functions) if below]
        slots = [each for each in slots if each[1] in self._edges]

        def look(made: Gradients, given: Gradients) -> None:
            arrived = None
            for slot, place, output in slots:
                passing = self._left[node, slot] = passing_of([made[slot]])
                self._add(place, output, made[slot])
                if passing != "ok":
                    arrived = passing_of(given) if arrived is None else arrived
                    if arrived not in _SAME[passing]:
                        self._why[node, slot] = self._explain(Leak(node, slot, given, made, passing))
            self._cancelled[node] = self._is_cancelled(node)
            for key in [each for each in self._sums if each[0] is node]:
                del self._sums[key]

        return look

    def _add(self, place: Place, output: int, gradient: Tensor | None) -> None:
        """Add to what arrives at a place from several nodes."""
        if gradient is None or len(self._edges[place]) < 2:
            return
        known = self._sums.get((place, output))
        gradient = dense(gradient)
        self._sums[place, output] = gradient if known is None else known + gradient

    def _is_cancelled(self, place: Place) -> bool:
        """Whether the sum of what arrives there from several nodes is zero."""
        if place in self._cancelled:
            return self._cancelled[place]
        sums = [each for (at, _), each in self._sums.items() if at is place or at == place]
        return bool(sums) and passing_of(sums) in LOST


def passing_of(gradients: Gradients) -> Passing:
    """The liveliest of some gradients."""
    present = [each for each in gradients if each is not None]
    if not present:
        return "none"
    numbers = [each if each.layout == torch.strided else each.coalesce().values() for each in present]
    if any(not bool(torch.isfinite(each).all()) for each in numbers):
        return "broken"
    return "ok" if any(bool(each.any()) for each in numbers) else "zero"


def _place(node: Node) -> Place:
    return id(node.variable) if node.name() == ACCUMULATE else node  # type: ignore[attr-defined]
