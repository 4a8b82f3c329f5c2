"""Where values leave autograd's graph in a forward pass, and whether what is made of them reaches the loss.

Every call of a torch function is seen, with what it is given and what it makes. A tensor is marked with the parameters
that went into it, and with the cuts: calls whose inputs have a graph and whose result has none of it. Marks stand on the
bytes, so that they stay with views, with `.data` and with what is written in place.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import CheckpointFunction

from paraminspect.live.build.forward import CallPaths, iter_tensors
from paraminspect.live.build.modes import Mode
from paraminspect.tuples import NamedTuple

DETACHING = frozenset({"detach", "detach_", "__get__"})
"""Functions that leave the graph on purpose; `__get__` is that of `tensor.data`."""

READING = frozenset({
    "item", "tolist", "numpy", "__array__", "__bool__", "__int__", "__float__", "__complex__", "__index__", "__dlpack__",
    "data_ptr", "equal", "allclose", "is_nonzero", "untyped_storage", "storage", "__contains__",
})  # fmt: skip
"""Functions that give numbers to Python."""

SHAPED = ("_like", "new_")
"""Parts of the names of functions that take the shape of a tensor and none of its values."""


class _Cut(NamedTuple):
    """A call whose inputs have a graph and whose result has none of it.

    Attributes:
        text: What to say of it.
        parameters: Marks of those that are in the graph of the inputs.
        is_checkpoint: Whether it stands in a segment that is computed again, with a graph, if the graph leads to it.
    """

    text: str
    parameters: int
    is_checkpoint: bool


class _Bytes:
    """What is known of one storage.

    Attributes:
        marks: Of the parameters and cuts that its numbers come from.
        aliases: Cuts whose result is in the same storage, which only a tensor outside of the graph has passed.
    """

    __slots__ = ("aliases", "marks", "reference")

    def __init__(self, reference: StorageWeakRef) -> None:
        self.reference = reference  # without it the address could be used again
        self.marks = 0
        self.aliases: list[int] = []


class _Unseen(Mode):
    """Marks what is computed in no call of a torch function: by a script, say."""

    def __init__(self, marks: Severed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._severed = marks

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunction():
            result = func(*args, **(kwargs or {}))
            if not self._severed.is_at_work:
                self._severed.spread([*iter_tensors([args, kwargs or {}])], [*iter_tensors(result)])
        return result


class Severed(TorchFunctionMode):
    """Watches a forward pass and the loss, while it is entered.

    Args:
        calls: Of the model, entered.
        missing: Parameters without gradient, by name.
    """

    def __init__(self, calls: CallPaths, missing: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.calls = calls
        self.users: dict[str, str] = {}
        """Module that first reads each parameter, by its name."""

        self.called_on: set[int] = set()
        """ids of the parameters that were read."""

        self._missing = {id(each): name for name, each in missing.items()}
        self._marks = {id(each): 1 << place for place, each in enumerate(missing.values())}
        self._cuts: list[_Cut] = []
        self._read: list[tuple[int, str]] = []
        self._bytes: dict[int, _Bytes] = {}
        self._graphs: dict[Node, int] = {}
        self._is_blind = any(type(each).__name__ == "OptimizedModule" for each in calls.model.modules())
        self._unseen = _Unseen(self)
        self.is_at_work = False
        for each in missing.values():
            if (known := self._of(each)) is not None:
                known.marks |= self._marks[id(each)]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = [*iter_tensors([args, kwargs or {}])]
        with torch._C.DisableTorchFunction():
            before = [_version(each) for each in given]
        outer, self.is_at_work = self.is_at_work, True
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self.is_at_work = outer
        if given:
            with torch._C.DisableTorchFunction():
                self._look(getattr(func, "__name__", ""), given, before, [*iter_tensors(result)])
        return result

    def __enter__(self) -> Severed:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._unseen.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._unseen.__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]
        super().__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]

    def spread(self, given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Mark what was made of some tensors."""
        marks = 0
        for each in given:
            self._note_user(each)
            marks |= self._values(each)
        if marks:
            for each in made:
                if (known := self._of(each)) is not None:
                    known.marks |= marks

    def why(self, name: str, parameter: Tensor, loss: Tensor, called: set[str]) -> str | None:
        """Why a parameter is not in the graph of the loss; None where that cannot be said, or it is there.

        Args:
            called: Paths of the modules that ran.
        """
        mark, reached = self._marks[id(parameter)], self._values(loss)
        if self._in_graph(loss) & mark:
            return None
        cuts = [cut for place, cut in enumerate(self._cuts) if cut.parameters & mark and reached & self._mark(place)]
        if cuts:
            recomputes = any(type(node) is CheckpointFunction._backward_cls for node in self._graphs)
            texts = dict.fromkeys(cut.text for cut in cuts if not (cut.is_checkpoint and recomputes))
            return " and ".join([*texts][:2]) or None
        if reached & mark or self._is_blind:
            return None
        if name not in self.users:
            return self._unused(name, called)
        read = next((text for marks, text in self._read if marks & mark), "")
        if read:
            return f"it reaches the loss at most through Python: {read}"
        user = self.users[name]
        return (
            f"the output of {user} does not reach the loss"
            if user
            else "what the model makes of it does not reach the loss"
        )

    def _unused(self, name: str, called: set[str]) -> str:
        owner = name.rpartition(".")[0]
        parts = owner.split(".") if owner else []
        modules = dict(self.calls.model.named_modules(remove_duplicate=False))
        for end in range(1, len(parts) + 1):
            outer = ".".join(parts[:end])
            if outer not in modules:
                return f"the forward pass takes {outer} out of the model"
            ran = any(each == outer or each.startswith(f"{outer}.") for each in called)
            if not ran and not any(id(each) in self.called_on for each in modules[outer].parameters()):
                return f"{outer} is never called"
        return f"{owner or 'the model'} does not use it"

    def _look(self, op: str, given: Sequence[Tensor], before: Sequence[int], made: Sequence[Tensor]) -> None:
        for each in given:
            self._note_user(each)
            self._is_blind = self._is_blind or self._of(each) is None  # one of torch.func, whose bytes are another's
        if any(part in op for part in SHAPED):
            return
        marks = 0
        for each in given:
            marks |= self._values(each)
        if not marks:
            return
        if not made and op in READING:
            self._read.append((marks, self._at(op)))
        graph = 0
        for each in given:
            graph |= self._in_graph(each)
        sources = {id(known) for each in given if (known := self._of(each)) is not None}
        for each in made:
            known = self._of(each)
            if known is None:
                continue
            cut = self._cut(op, graph & ~self._in_graph(each), each)
            if id(known) not in sources:
                known.marks |= marks | cut
            elif cut:
                known.aliases.append(len(self._cuts) - 1)
        for each, version in zip(given, before, strict=True):
            if version != _version(each) and (known := self._of(each)) is not None:
                known.marks |= marks

    def _note_user(self, tensor: Tensor) -> None:
        if isinstance(tensor, nn.Parameter):
            self.called_on.add(id(tensor))
            if (name := self._missing.get(id(tensor))) is not None:
                self.users.setdefault(name, self.calls.path)

    def _cut(self, op: str, lost: int, result: Tensor) -> int:
        """The mark of a cut, which is noted; 0 where nothing is lost."""
        if not lost:
            return 0
        function = None if torch.is_grad_enabled() else _function_at_work()
        if function is not None:
            text = f"no gradient passes {function.__name__} in {self.calls.path or 'the model'}"
        elif not torch.is_grad_enabled():
            text = f"{self._at(op)} runs under no_grad"
        elif op in DETACHING:
            text = f"detached in {self.calls.path or 'the model'}"
        elif op == "grad":
            what = "does not depend on it" if result.requires_grad else "has no graph (create_graph)"
            text = f"the gradient that grad takes in {self.calls.path or 'the model'} {what}"
        else:
            text = f"no gradient passes {self._at(op)}"
        self._cuts.append(_Cut(text, lost, function is CheckpointFunction))
        return self._mark(len(self._cuts) - 1)

    def _at(self, op: str) -> str:
        return f"{op} in {self.calls.path or 'the model'}"

    def _mark(self, place: int) -> int:
        return 1 << (len(self._marks) + place)

    def _values(self, tensor: Tensor) -> int:
        """Marks of what a tensor's numbers come from."""
        graph, known = self._in_graph(tensor), self._of(tensor)
        if known is None:
            return graph
        passed = [place for place in known.aliases if self._cuts[place].parameters & ~graph]
        return graph | known.marks | sum(self._mark(place) for place in set(passed))

    def _in_graph(self, tensor: Tensor) -> int:
        """Marks of the parameters from which autograd's graph leads to a tensor."""
        if not tensor.requires_grad:
            return 0
        if tensor.grad_fn is None:
            return self._marks.get(id(tensor), 0)
        return self._below(tensor.grad_fn)

    def _below(self, root: Node) -> int:
        waiting = [root]
        while waiting:
            node = waiting[-1]
            if node in self._graphs:
                waiting.pop()
                continue
            below = [each for each, _ in node.next_functions if each is not None]
            unknown = [each for each in below if each not in self._graphs]
            if unknown:
                waiting += unknown
                continue
            marks = self._marks.get(id(getattr(node, "variable", None)), 0)
            for each in below:
                marks |= self._graphs[each]
            self._graphs[node] = marks
        return self._graphs[root]

    def _of(self, tensor: Tensor) -> _Bytes | None:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # one without a storage of its own
            return None
        known = self._bytes.get(storage._cdata)
        if known is None:
            known = self._bytes[storage._cdata] = _Bytes(StorageWeakRef(storage))  # type: ignore[no-untyped-call]
        return known


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _function_at_work() -> type | None:
    """The autograd Function in whose forward this is called."""
    code = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code is code:
            found: type = frame.f_locals["cls"]
            return found
        frame = frame.f_back
    return None
