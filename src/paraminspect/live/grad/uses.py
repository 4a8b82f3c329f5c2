"""Where a forward pass uses each parameter, and what part of the gradient each use gives.

Autograd's graph is walked from the loss down to the nodes that feed a parameter's AccumulateGrad. A node knows its
number in the order of the forward pass; hooks on the modules note that number at every beginning and end of a call, so
that a node belongs to the module that was at work. Views of a parameter (a transposition, a chunk of packed
projections) are looked through: each operation that reads one is a use of its own, and its part of the gradient goes
back through the view.

A segment that is checkpointed with reentry has no graph until the backward pass computes it again and goes through it
with `torch.autograd.backward`; that function is watched while the tracker is entered, and the graphs it is given are
walked like the first one. The calls in there are named as they were in the forward pass.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from paraminspect.live.build.forward import Call, CallPaths
from paraminspect.live.grad.gradients import dense
from paraminspect.tuples import NamedTuple

MAX_PART_BYTES: Final = 4 << 30
"""Parts of gradients that are kept until the whole is known; a tied embedding of 128,000 x 4,096 in float32 has two of
2 GiB."""

ACCUMULATE = "torch::autograd::AccumulateGrad"

VIEWS = frozenset({
    "AliasBackward0", "CloneBackward0", "ExpandBackward0", "PermuteBackward0", "ReshapeAliasBackward0", "SelectBackward0",
    "SliceBackward0", "SplitBackward0", "SplitWithSizesBackward0", "SqueezeBackward0", "SqueezeBackward1",
    "TBackward0", "ToCopyBackward0", "TransposeBackward0", "UnbindBackward0", "UnsafeViewBackward0",
    "UnsqueezeBackward0", "ViewBackward0",
})  # fmt: skip
"""Nodes that only look at a tensor in another way, or copy it; they save no tensors, so that they can be run by themselves."""

Position = tuple[int, ...]
"""Place of a node in the order of the forward pass: its number; of one in a segment that is computed again, first
that of the segment."""


class _Link(NamedTuple):
    """A view between a parameter and the operation that reads it.

    Attributes:
        output: Which of its outputs is read.
    """

    node: Node
    output: int


class Use:
    """One operation that reads a parameter.

    Attributes:
        path: Of the module at work, "" for the model itself.
        op: Operation, as autograd calls it: "addmm".
        position: In the order of the forward pass.
    """

    __slots__ = ("_chain", "_part", "lost", "op", "path", "position")

    def __init__(self, path: str, op: str, position: Position, chain: tuple[_Link, ...]) -> None:
        self.path = path
        self.op = op
        self.position = position
        self.lost = False
        """Whether its part was given up for its size."""

        self._chain = chain
        self._part: Tensor | None = None

    def add(self, part: Tensor) -> None:
        """Take what the operation gave back, a dense tensor; again if it runs more than once."""
        self._part = part if self._part is None else self._part + part

    def part(self) -> Tensor | None:
        """This use's part of the gradient, of the parameter's shape; None where none arrived or was kept."""
        part = None if self.lost else self._part
        for link in reversed(self._chain):
            if part is None:
                return None
            outputs: list[Tensor | None] = [None] * max(len(_metadata(link.node)), link.output + 1)
            outputs[link.output] = part
            part = _run(link.node, outputs)
        return part


class NodePaths(CallPaths):
    """Follows calls, and keeps for every node of the graph which module made it."""

    def __init__(self, model: nn.Module, on_return: Callable[[Call, object], None] | None = None) -> None:
        super().__init__(model, on_return)
        self.called: set[str] = set()
        self.backward = False
        self._marks: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._silent: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._replay: list[tuple[int, str]] = []
        self._running: object = None

    def path_of(self, number: int) -> str:
        """The module that was at work when this thread made the node of that number."""
        marks = self._marks[threading.get_ident()]
        place = bisect_right(marks, number, key=lambda mark: mark[0])
        return marks[place - 1][1] if place else ""

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.backward:
            self._recompute()
        super()._begin(module, args, kwargs)
        self.called.add(self.path)
        if not torch.is_grad_enabled() and not self.backward:
            # a segment with reentry: its node is the one made last, its calls come again in the same order
            self._silent[_next_number() - 1].append((id(module), self.path))
        self._mark()

    def _end(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        super()._end(module, args, kwargs, output)
        self._mark()

    def _mark(self) -> None:
        self._marks[threading.get_ident()].append((_next_number(), self.path))

    def _recompute(self) -> None:
        """A module runs during the backward pass: for the node that is at work, whose module is the caller."""
        node = torch._C._current_autograd_node()
        if node is self._running:
            return
        self._running = node
        number = _number(node)
        self.stack = [Call(self.path_of(number), self.model, ())]
        self._replay = list(self._silent.get(number, ()))

    def _name(self, module: nn.Module) -> str:
        for place, (known, path) in enumerate(self._replay):
            if known == id(module):
                del self._replay[: place + 1]
                return path
        return super()._name(module)


class UseTracker:
    """Finds the uses of a model's parameters while it is entered: enter, run forward, run backward, ask.

    Args:
        model: Whose modules are followed.
        parameters: That are looked for; more can be named until the backward pass.
        parts: Whether to keep each use's part of the gradient, of those parameters that have several uses.
        on_return: Called with each call of a module that returns, and its output.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Iterable[Tensor] = (),
        *,
        parts: bool = False,
        on_return: Callable[[Call, object], None] | None = None,
    ) -> None:
        self.calls = NodePaths(model, on_return)
        self.incomplete = False
        """Whether parts were left out, since together they are larger than MAX_PART_BYTES."""

        self.on_graph: Callable[[Iterable[Node]], None] | None = None
        """Called with the nodes of each graph that a backward pass is about to go through."""

        self._parts = parts
        self._parameters: dict[int, Tensor] = {}
        self._uses: dict[int, list[Use]] = {}
        self._meant: dict[int, tuple[Tensor, int]] = {}
        """By id of what forward reads in the place of a parameter: itself, held, and the id of that parameter."""

        self.look_for(parameters)
        self._positions: dict[Node, Position] = {}
        self._held = 0
        self._backward: Any = None

    def __enter__(self) -> UseTracker:
        self._backward = torch.autograd.backward

        def watched(tensors: Any, *args: Any, **kwargs: Any) -> None:
            self._watch(tensors)
            self._backward(tensors, *args, **kwargs)

        self.calls.__enter__()
        torch.autograd.backward = watched
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        torch.autograd.backward = self._backward
        self.calls.__exit__(kind, error, traceback)
        self._positions.clear()

    def look_for(self, parameters: Iterable[Tensor], standing_for: Iterable[tuple[Tensor, Tensor]] = ()) -> None:
        """Find the uses of these too.

        Args:
            standing_for: (another tensor that forward reads, the parameter that it stands for).
        """
        self._meant.update((id(read), (read, id(meant))) for read, meant in standing_for)
        for each in parameters:
            self._parameters[id(each)] = each
            self._uses.setdefault(id(each), [])

    @property
    def called(self) -> set[str]:
        """Paths of the modules that were called."""
        return self.calls.called

    def path_of(self, node: Node) -> str:
        """The module that was at work when this thread made a node."""
        return self.calls.path_of(_number(node))

    def uses(self, parameter: Tensor) -> list[Use]:
        """The uses of one of the parameters, in the order of the forward pass."""
        return sorted(self._uses[id(parameter)], key=lambda use: use.position)

    def _watch(self, tensors: Any) -> None:
        """Find the uses in a graph that is about to be gone through."""
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        self.calls.backward = True
        base: Position = ()
        if torch._C._current_graph_task_id() >= 0:
            base = self._positions.get(torch._C._current_autograd_node(), ())
        graph = _Graph([root.grad_fn for root in roots if root.grad_fn is not None], {*self._parameters, *self._meant})
        self._positions.update((node, (*base, _number(node))) for node in graph.nodes)
        if self.on_graph is not None:
            self.on_graph(graph.nodes)
        # A gradient that goes into .grad in several graphs is added to in place, and what is kept with it.
        copies = graph.is_open or bool(base)
        for key, places in graph.places.items():
            _, meant = self._meant.get(key, (None, key))
            if meant not in self._uses:
                continue
            for place in places:
                use = self._add(meant, place, base)
                if self._parts and (copies or len(places) > 1):
                    place.node.register_hook(self._keeper(use, place.slot, copies=copies))

    def _add(self, key: int, place: _Place, base: Position) -> Use:
        number = _number(place.node)
        use = Use(self.calls.path_of(number), operation_of(place.node), (*base, number, place.slot), place.chain)
        self._uses[key].append(use)
        return use

    def _keeper(
        self, use: Use, slot: int, *, copies: bool
    ) -> Callable[[Sequence[Tensor | None], Sequence[Tensor | None]], None]:
        def keep(inputs: Sequence[Tensor | None], _: Sequence[Tensor | None]) -> None:
            given = inputs[slot]
            if given is None:
                return
            part = dense(given)
            copies_it = copies and part is given
            self._held += part.numel() * part.element_size()
            if self._held > MAX_PART_BYTES:
                self.incomplete = use.lost = True
            else:
                use.add(part.clone() if copies_it else part)

        return keep


class _Place(NamedTuple):
    """An operation that reads a parameter, perhaps through views.

    Attributes:
        slot: Which of its inputs is the parameter.
        chain: Views between, the parameter's first.
    """

    node: Node
    slot: int
    chain: tuple[_Link, ...]


class _Graph:
    """The part of autograd's graph that lies below some roots.

    Attributes:
        nodes: All of them; held, since a node's Python object may be another one each time it is asked for.
        places: id of a parameter -> the operations that read it.
        is_open: Whether a function in Python is among them, which may go through graphs that are not there yet.
    """

    def __init__(self, roots: Sequence[Node], wanted: set[int]) -> None:
        self.nodes: dict[Node, None] = dict.fromkeys(roots)
        self.is_open = False
        self._readers: defaultdict[Node, list[tuple[Node, int, int]]] = defaultdict(list)
        leaves: dict[Node, int] = {}
        waiting = list(self.nodes)
        while waiting:
            node = waiting.pop()
            self.is_open = self.is_open or isinstance(node, BackwardCFunction)
            for index, (below, output) in enumerate(node.next_functions):
                if below is None:
                    continue
                name = below.name()
                if name == ACCUMULATE:
                    key = id(below.variable)  # type: ignore[attr-defined]
                    if key not in wanted:
                        continue
                    leaves[below] = key
                if name == ACCUMULATE or name in VIEWS:
                    self._readers[below].append((node, index, output))
                if below not in self.nodes:
                    self.nodes[below] = None
                    if name != ACCUMULATE:
                        waiting.append(below)
        self.places = {key: list(self._climb(leaf)) for leaf, key in leaves.items()}

    def _climb(self, leaf: Node) -> Iterable[_Place]:
        """The operations above a leaf; a view that nothing reads (the root itself) counts as one."""
        waiting: list[tuple[Node, int, int, tuple[_Link, ...]]] = [(*each, ()) for each in self._readers[leaf]]
        while waiting:
            node, index, _, chain = waiting.pop()
            above = self._readers.get(node, ()) if node.name() in VIEWS else ()
            if not above:
                yield _Place(node, index, chain)
                continue
            waiting += [(reader, at, out, (*chain, _Link(node, out))) for reader, at, out in above]


def _next_number() -> int:
    """The number that this thread's next node will have."""
    number: int = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
    return number


def _number(node: Any) -> int:
    number: int = node._sequence_nr()
    return number


def _metadata(node: Any) -> Sequence[Any]:
    found: Sequence[Any] = node._input_metadata
    return found


def _run(node: Any, outputs: list[Tensor | None]) -> Tensor | None:
    """A node's own backward: gradients of its outputs -> that of its first input."""
    with torch.no_grad():
        made = node(*outputs)
    found: Tensor | None = made[0] if isinstance(made, tuple) else made
    return found


def operation_of(node: Node) -> str:
    """What a node is the backward of: `AddmmBackward0` -> "addmm", `MkldnnRnnLayerBackward0` -> "mkldnn_rnn_layer"."""
    name = node.name().rpartition("::")[2].rstrip("0123456789").removesuffix("Backward")
    words = "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
    return words.lstrip("_") or "backward"
