"""One forward and one backward pass, in which it is counted what each module does and keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy

from paraminspect.architecture.plan import ModelPlan
from paraminspect.live.build.describe import iter_tensors as tensors_of
from paraminspect.live.build.forward import Call, Inputs, call_model, iter_tensors
from paraminspect.live.cost.cost_plan import Attention
from paraminspect.live.cost.flops import FlopCounter, Stack
from paraminspect.live.cost.kept import Kept, storage_of
from paraminspect.live.grad.once import go_back
from paraminspect.live.grad.uses import NodePaths
from paraminspect.tuples import NamedTuple


class Measured(NamedTuple):
    """What a pass took, by paths of modules; a module has what those have that it calls.

    Attributes:
        forward: FLOPs.
        backward: The same; what is computed again on the way back is in it.
        saved: Bytes kept for the backward pass.
        shapes: Of outputs, the first time.
        ran: Operation -> how often it ran.
        uncounted: The same of those without a formula.
        functions: Names of the user's own autograd functions.
        goes_back: Whether there was anything to go back from.
        attention: As it was asked for.
    """

    forward: Mapping[str, int]
    backward: Mapping[str, int]
    saved: Mapping[str, int]
    shapes: Mapping[str, tuple[tuple[int, ...], ...]]
    ran: Mapping[str, int]
    uncounted: Mapping[str, int]
    functions: tuple[str, ...]
    goes_back: bool
    attention: Attention

    def has_run(self, path: str) -> bool:
        """Whether a module ran, or one inside it."""
        return not path or path in self.shapes or any(each.startswith(f"{path}.") for each in self.shapes)


def measure(model: nn.Module, inputs: Inputs, plan: ModelPlan | None, attention: Attention = "auto") -> Measured:
    """Run a model in the mode that it is in, and go back from all that it returns.

    Args:
        model: Its gradients, buffers and modules may be others afterwards.
        plan: Of a spec's model, for the places in error messages.

    Raises:
        ParamInspectError: It fails.
    """
    calls = _Calls(model)
    counter = FlopCounter(calls.at, is_bounded=plan is not None)
    kept = Kept(calls.at)
    with calls, _kernels(attention), torch.enable_grad(), counter:
        with kept.watching():
            output = call_model(calls, inputs.positional, inputs.named, plan=plan)
        forward, counter.flops = counter.flops, Counter()
        held = {storage_of(each.tensor)[0] for each in tensors_of(model) if not is_lazy(each.tensor)}
        saved = kept.nbytes(held)
        ends = [each for each in iter_tensors(output) if each.requires_grad]
        functions = _own_functions(ends)
        del output
        calls.backward = True
        if ends:
            go_back(*ends)
    return Measured(
        calls.by_path(forward),
        calls.by_path(counter.flops),
        calls.by_path(saved),
        calls.shapes,
        counter.ran,
        counter.uncounted,
        functions,
        bool(ends),
        attention,
    )


class _Calls(NodePaths):
    """Follows calls, and says which modules an operation is for: those at work, or on the way back those that were."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, self._returned)
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
        self._stacks: dict[str, Stack] = {}

    def at(self) -> Stack:
        """Paths of these modules, the outermost first."""
        node = torch._C._current_autograd_node() if self.backward else None
        if node is not None and not (node is self._running and len(self.stack) > 1):
            return self._stack_of(self.path_of(node._sequence_nr()))
        # of a segment that is computed again, the first is the module around it
        around = self._stack_of(self.stack[0].path) if self.backward and self.stack else ()
        return (*around, *[call.path for call in self.stack]) or ("",)

    def by_path(self, sums: Mapping[Stack, int]) -> dict[str, int]:
        """What each module has, with those that it calls and those inside it."""
        found: Counter[str] = Counter()
        for stack, number in sums.items():
            for path in {outer for each in stack for outer in _with_outer(each)}:
                found[path] += number
        return dict(found)

    def _stack_of(self, path: str) -> Stack:
        """Of a module, when it ran forward."""
        return self._stacks.get(path, ("",))

    def _returned(self, call: Call, output: object) -> None:
        if not self.backward:
            self._stacks.setdefault(call.path, (*[each.path for each in self.stack], call.path))
        self.shapes.setdefault(call.path, tuple(tuple(each.shape) for each in iter_tensors(output)))


def _with_outer(path: str) -> Iterator[str]:
    """A path and those of the modules around it."""
    yield path
    while path:
        path = path.rpartition(".")[0]
        yield path


@contextmanager
def _kernels(attention: Attention) -> Iterator[None]:
    """Which kernels torch takes inside: of recurrent layers those whose steps can be counted, not oneDNN's."""
    original = functional.scaled_dot_product_attention

    def fused(*args: Any, dropout_p: float = 0.0, **kwargs: Any) -> Tensor:
        return original(*args[:4], **kwargs)  # the fifth is the dropout

    has_onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    if attention == "fused":
        functional.scaled_dot_product_attention = fused
    try:
        with sdpa_kernel(SDPBackend.MATH) if attention == "math" else nullcontext():
            yield
    finally:
        functional.scaled_dot_product_attention = original
        torch._C._set_mkldnn_enabled(has_onednn)


def _own_functions(ends: Iterable[Tensor]) -> tuple[str, ...]:
    """Names of the autograd functions in Python, torch's own apart, that a backward pass will go through."""
    met: dict[Node, None] = dict.fromkeys(each.grad_fn for each in ends if each.grad_fn is not None)
    waiting = list(met)
    names: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        written = getattr(node, "_forward_cls", None)  # of a function in Python
        if written is not None and not written.__module__.startswith("torch."):
            names[written.__name__] = None
        for below, _ in node.next_functions:
            if below is not None and below not in met:
                met[below] = None
                waiting.append(below)
    return tuple(names)
