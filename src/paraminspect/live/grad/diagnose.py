"""Why a gradient is missing, zero or no number: the same run once more, with every operation watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge
from torch.overrides import TorchFunctionMode

from paraminspect.live.build.forward import CallPaths, iter_tensors
from paraminspect.live.build.untouched import leaving_untouched
from paraminspect.live.grad.once import BackwardRun, go_back
from paraminspect.live.grad.uses import VIEWS, UseTracker, operation_of
from paraminspect.records import GradState

RECTIFIERS = frozenset({"relu", "relu_", "relu6", "threshold", "threshold_", "clamp", "clamp_min"})
"""Functions that give zero, and let no gradient back, for a whole range of inputs."""

DETACHING = frozenset({"detach", "detach_", "__get__", "item", "tolist", "numpy"})
"""Functions that leave the graph on purpose; `__get__` is that of `tensor.data`."""


class _Cut(NamedTuple):
    """An operation whose inputs have a gradient and whose output has none.

    Attributes:
        path: Of the module at work.
    """

    path: str
    op: str
    nodes: list[Node]


class _Watcher(TorchFunctionMode):
    """Looks at every call of a torch function in the forward pass."""

    def __init__(self, calls: CallPaths, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.calls = calls
        self.users: dict[str, list[tuple[str, bool]]] = {name: [] for name in parameters}
        """Modules that use each parameter, and whether they do so with gradients enabled."""

        self.cuts: list[_Cut] = []
        self.dead: dict[Node, str] = {}
        """Nodes of outputs through which no gradient flows back, and why."""

        self.starved: dict[str, str] = {}
        """Parameters that meet an input of zeros only, and where."""

        self._names = {id(each): name for name, each in parameters.items()}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():
            self._look(getattr(func, "__name__", ""), [*iter_tensors([args, kwargs or {}])], result)
        return result

    def _look(self, op: str, given: Sequence[Tensor], result: Any) -> None:
        made = [*iter_tensors(result)]
        if not given or not (made or op in DETACHING):
            return
        path = self.calls.path
        used = [each for each in given if id(each) in self._names]
        for parameter in used:
            self.users[self._names[id(parameter)]].append((path, torch.is_grad_enabled()))
        flowing = [each for each in given if each.requires_grad]
        if flowing and torch.is_grad_enabled() and not any(each.requires_grad for each in made):
            nodes = [node for each in flowing if (node := get_gradient_edge(each).node) is not None]
            self.cuts.append(_Cut(path, op, nodes))
        if made and made[0].grad_fn is not None and made[0].is_floating_point():
            self._look_for_zeros(op, path, given, used, made[0])

    def _look_for_zeros(
        self, op: str, path: str, given: Sequence[Tensor], used: Sequence[Tensor], output: Tensor
    ) -> None:
        assert output.grad_fn is not None
        if op in RECTIFIERS and not output.count_nonzero():
            self.dead[output.grad_fn] = f"{self._at(path, op)} is zero for the whole batch"
        if not used:
            return
        fed = next((each for each in given if id(each) not in self._names and each.is_floating_point()), None)
        if fed is not None and fed.numel() and not fed.count_nonzero():
            for parameter in used:
                if parameter.dim() > 1:
                    self.starved[self._names[id(parameter)]] = (
                        f"the input of {self._at(path, op)} is zero for the whole batch"
                    )
        weight = used[0]
        if weight.dim() > 1 and weight.numel() and not weight.count_nonzero():
            self.dead[output.grad_fn] = f"{self._names[id(weight)]} is zero, and no gradient passes it"

    def _at(self, path: str, op: str) -> str:
        call = self.calls.stack[-1] if self.calls.stack else None
        kind = type(call.module).__name__ if call is not None else ""
        if kind.lower().startswith(op.rstrip("_")) or (call is not None and any(True for _ in call.module.parameters(recurse=False))):  # fmt: skip
            return f"{path} ({kind})" if path else kind
        return f"{op.rstrip('_')} in {path or 'the model'}"


def find_reasons(run: BackwardRun, states: Mapping[str, GradState]) -> dict[str, str]:
    """Why parameters are in the states they are in, by name, as far as it can be known.

    Args:
        run: Whose backward pass gave the states; it is run once more if there is something to explain.
        states: By parameter name.
    """
    reasons = {name: "requires_grad is False" for name, state in states.items() if state == "frozen"}
    parameters = dict(run.model.named_parameters())  # not those that forward makes, each time anew
    missing = [name for name, state in states.items() if state == "none" and name in parameters]
    zero = [name for name, state in states.items() if state == "zero" and name in parameters]
    broken = [name for name, state in states.items() if state in ("nan", "inf")]
    if not (missing or zero or broken):
        return reasons
    with leaving_untouched(run.model), torch.enable_grad(), UseTracker(run.model, parameters.values()) as tracker:
        watcher = _Watcher(tracker.calls, parameters)
        with watcher:
            output = run.output(tracker.calls)
            loss = run.loss(output)
        leaves = {name: get_gradient_edge(parameters[name]).node for name in [*missing, *zero]}
        reasons |= _explain_missing(missing, watcher, leaves, tracker.called, run.model)
        reasons |= _explain_zero(zero, watcher, leaves, loss)
        if broken:
            culprit = _find_broken(loss, tracker)
            reasons |= dict.fromkeys(broken, culprit) if culprit else {}
    return reasons


def _explain_missing(
    names: Sequence[str], watcher: _Watcher, leaves: Mapping[str, Node], called: set[str], model: nn.Module
) -> dict[str, str]:
    """For parameters without gradient: never used, used without gradients, cut off, or used for nothing."""
    cuts = sorted(watcher.cuts, key=lambda cut: cut.op not in DETACHING)
    behind = _nodes_behind(cuts)
    reasons = {}
    for name in names:
        users = watcher.users[name]
        owner = name.rpartition(".")[0]
        cut = behind.get(leaves[name])
        if not users:
            idle = _outermost_idle(owner, called)
            reasons[name] = f"{idle} is never called" if idle is not None else f"{owner or 'the model'} does not use it"
        elif not any(enabled for _, enabled in users):
            reasons[name] = f"{users[0][0] or 'the model'} runs under no_grad"
        elif cut is not None:
            where = cut.path or "the model"
            what = "detached in" if cut.op in DETACHING else f"no gradient passes {cut.op} in"
            reasons[name] = f"{what} {where}"
        else:
            reasons[name] = f"the output of {users[0][0] or 'an operation'} does not reach the loss"
    return reasons


def _outermost_idle(path: str, called: set[str]) -> str | None:
    """The outermost module around `path` of which nothing ran; None where the innermost one did run."""
    parts = path.split(".") if path else []
    for end in range(1, len(parts) + 1):
        outer = ".".join(parts[:end])
        if not any(each == outer or each.startswith(f"{outer}.") for each in called):
            return outer
    return None


def _nodes_behind(cuts: Iterable[_Cut]) -> dict[Node, _Cut]:
    """Node -> the first cut from which it can be reached."""
    found: dict[Node, _Cut] = {}
    for cut in cuts:
        waiting = [node for node in cut.nodes if node not in found]
        found.update(dict.fromkeys(waiting, cut))
        while waiting:
            for below, _ in waiting.pop().next_functions:
                if below is not None and below not in found:
                    found[below] = cut
                    waiting.append(below)
    return found


def _explain_zero(names: Sequence[str], watcher: _Watcher, leaves: Mapping[str, Node], loss: Tensor) -> dict[str, str]:
    """For gradients of zeros: an input of zeros, or every path from the loss goes through what lets nothing back."""
    assert loss.grad_fn is not None
    alive = set(_reachable(loss.grad_fn, watcher.dead))
    reasons = {}
    for name in names:
        if name in watcher.starved:
            reasons[name] = watcher.starved[name]
        elif leaves[name] not in alive:
            blocks = [why for node, why in watcher.dead.items() if leaves[name] in _reachable(node, {})]
            if blocks:
                reasons[name] = blocks[0]
    return reasons


def _reachable(root: Node, dead: Mapping[Node, str]) -> dict[Node, None]:
    """Nodes below a root; below a dead one only the parameters that it reads itself, perhaps through views."""
    found: dict[Node, None] = {root: None}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for below, _ in node.next_functions:
            if below is None or below in found or (node in dead and not _is_leaf(below)):
                continue
            found[below] = None
            waiting.append(below)
    return found


def _is_leaf(node: Node | None) -> bool:
    """Whether it is a parameter, perhaps behind views."""
    while node is not None and node.name() in VIEWS and node.next_functions:
        node = node.next_functions[0][0]
    return node is not None and not node.next_functions


def _find_broken(loss: Tensor, tracker: UseTracker) -> str | None:
    """The operation whose backward is the first to give something that is not finite."""
    first: list[str] = []

    def watch(node: Node) -> None:
        def look(inputs: Sequence[Tensor | None], _: Sequence[Tensor | None]) -> None:
            if not first and _is_broken(inputs):
                first.append(f"{operation_of(node)} in {tracker.path_of(node) or 'the model'}")

        node.register_hook(look)

    assert loss.grad_fn is not None
    for node in _reachable(loss.grad_fn, {}):
        if node.next_functions:
            watch(node)
    go_back(loss)
    return f"the gradient of {first[0]} is the first that is not finite" if first else None


def _is_broken(gradients: Iterable[Tensor | None]) -> bool:
    return any(each is not None and not bool(torch.isfinite(each).all()) for each in gradients)
