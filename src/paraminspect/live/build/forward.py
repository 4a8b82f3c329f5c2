"""Running a model: which module is at work, by which of its names, and where a forward pass fails."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from copy import copy
from dataclasses import fields, is_dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.plan import ModelPlan
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.build.complaints import complaint_of, describe_tensors, suggest_remedy
from paraminspect.live.build.containers import StepError
from paraminspect.live.build.expected import counting
from paraminspect.live.build.givers import Given, explain_tuple
from paraminspect.live.build.memory import is_out_of_memory
from paraminspect.live.build.user_code import place_of, running_user_code
from paraminspect.text import shape_text
from paraminspect.tuples import NamedTuple

Shape = tuple[int, ...]

MAX_OUTPUT_NESTING = 50
"""Containers inside each other that are looked into: one may hold itself."""

MAX_TENSORS_NAMED = 4
"""Inputs and parameters that an error message names."""


class Inputs(NamedTuple):
    """What a model is called with: positional and named arguments."""

    positional: Sequence[object] = ()
    named: Mapping[str, object] = {}


def as_inputs(inputs: object) -> Inputs:
    """One argument, a tuple or list of positional ones, or a mapping of named ones as `Inputs`."""
    if isinstance(inputs, Inputs):
        return inputs
    if isinstance(inputs, Mapping):
        return Inputs(named=inputs)
    return Inputs(tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,))


class Call:
    """One call of a module.

    Attributes:
        path: The name by which it was called.
        inputs: Positional and named arguments, in order.
    """

    __slots__ = ("inputs", "module", "path", "uses")

    def __init__(self, path: str, module: nn.Module, inputs: Sequence[object]) -> None:
        self.path = path
        self.module = module
        self.inputs = inputs
        self.uses: Counter[int] = Counter()


class CallPaths:
    """Follows the calls of a model's modules while it is entered.

    A module that goes by several names is called by one of them at a time: by those in the module that calls it, or
    else below it, each in its turn. A module that is made meanwhile is followed from its first call on, by the name that
    it has in the one that calls it. What is scripted runs outside of Python, as a part of what calls it.

    Args:
        on_return: Called with each call that returns, and its output.
    """

    def __init__(self, model: nn.Module, on_return: Callable[[Call, object], None] | None = None) -> None:
        self.model = model
        self.on_return = on_return
        self.stack: list[Call] = []
        """Calls at work, the innermost last; after a failure, those that did not return."""

        self._names: dict[int, list[str]] = {}
        self._handles: list[RemovableHandle] = []
        self._met: dict[int, nn.Module] = {}
        self._eagerly = ExitStack()

    def __enter__(self) -> CallPaths:
        if "torch._dynamo" in sys.modules:  # what is compiled runs as it is written
            self._eagerly.enter_context(torch.compiler.set_stance("force_eager"))
        for path, module in self.model.named_modules(remove_duplicate=False):
            if isinstance(module, torch.jit.ScriptModule):
                continue
            names = self._names.setdefault(id(module), [])
            names.append(path)
            if len(names) == 1:
                self._follow(module)
        self._handles.append(register_module_forward_pre_hook(self._meet))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._eagerly.close()

    @property
    def path(self) -> str:
        """Of the innermost module at work; "" before any."""
        return self.stack[-1].path if self.stack else ""

    def _meet(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Before any call of any module: one that is not known yet is looked for in its caller."""
        if id(module) in self._names or id(module) in self._met or not self.stack:
            return
        self._met[id(module)] = module  # held, so that no id is used again
        caller = self.stack[-1]
        for below, each in caller.module.named_modules():
            if each is module and not isinstance(module, torch.jit.ScriptModule):
                self._names[id(module)] = [f"{caller.path}.{below}" if caller.path else below]
                self._follow(module)
                self._begin(module, args, {})  # its hook comes too late for this call
                return

    def _follow(self, module: nn.Module) -> None:
        self._handles.append(module.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True))
        self._handles.append(module.register_forward_hook(self._end, with_kwargs=True))

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.stack.append(Call(self._name(module), module, [*args, *kwargs.values()]))

    def _end(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        while self.stack:
            call = self.stack.pop()
            if call.module is module:  # else one whose failure was caught
                if self.on_return is not None:
                    self.on_return(call, output)
                return

    def _name(self, module: nn.Module) -> str:
        names = self._names[id(module)]
        if not self.stack:
            return names[0]
        caller = self.stack[-1]
        prefix = f"{caller.path}." if caller.path else ""
        below = [name for name in names if name.startswith(prefix)]
        below = [name for name in below if "." not in name[len(prefix) :]] or below
        turn = caller.uses[id(module)]
        caller.uses[id(module)] += 1
        return below[turn % len(below)] if below else names[0]


def run_forward(
    model: nn.Module,
    inputs: Inputs | Sequence[object],
    *,
    plan: ModelPlan | None = None,
    on_return: Callable[[Call, object], None] | None = None,
    is_planned: bool = False,
) -> Any:
    """The model's output, in evaluation mode and without gradients.

    What the model prints goes to standard error; its warnings are dropped.

    Args:
        model: On the device of the inputs; its training mode is as before afterwards.
        inputs: Of the forward call; a sequence is that of its positional arguments.
        plan: Of a spec's model, for the places in error messages.
        on_return: Called with each call of a module that returns, and its output.
        is_planned: On the meta device: whether it will run in memory too.

    Raises:
        SpecError: It fails, at the layer that does; of a model without plan, SourceError.
        EffortError: It would take too much; on the meta device.
    """
    training = [module for module in model.modules() if getattr(module, "training", False)]
    given = as_inputs(inputs)
    try:
        counted: AbstractContextManager[object] = (
            counting(model, is_planned=is_planned)
            if all(each.is_meta for each in iter_tensors(tuple(given)))
            else nullcontext()
        )
        with counted:
            return call_to_evaluate(model, given, plan=plan, on_return=on_return)
    finally:
        for module in training:
            module.training = True


def call_to_evaluate(
    model: nn.Module,
    inputs: Inputs,
    *,
    plan: ModelPlan | None = None,
    on_return: Callable[[Call, object], None] | None = None,
) -> Any:
    """The output of a model in evaluation mode, and without gradients unless it takes some of its own.

    Its mode stays so, and that of a model with one mode alone is that one. What it makes where no device is said is on the
    meta device if its inputs are. Arguments and errors as of `run_forward`.
    """
    with suppress(ParamInspectError):
        set_mode(model, train=False)
    tensors = list(iter_tensors(tuple(inputs)))
    on_meta = bool(tensors) and all(each.is_meta for each in tensors)
    with torch.device("meta") if on_meta else nullcontext():
        try:
            with torch.no_grad(), CallPaths(model, on_return) as calls:
                return call_model(calls, *inputs, plan=plan)
        except ParamInspectError as error:
            if "does not require grad" not in str(error.__cause__):
                raise
        with torch.enable_grad(), CallPaths(model, on_return) as calls:  # such as forces, of an energy
            return map_tensors(call_model(calls, *inputs, plan=plan), Tensor.detach)


def set_mode(model: nn.Module, *, train: bool) -> None:
    """Put a model into training or evaluation mode.

    Raises:
        SourceError: It has one mode alone, as an exported one has.
    """
    try:
        model.train(train) if train else model.eval()
    except NotImplementedError as error:
        raise SourceError(f"{type(model).__name__} has no other mode than the one that it was made in") from error


def call_model(
    calls: CallPaths,
    inputs: Sequence[object],
    named: Mapping[str, object] | None = None,
    *,
    plan: ModelPlan | None = None,
) -> Any:
    """The output of a model whose calls are followed, in the mode and under the grad mode that it finds.

    Args:
        calls: Entered.
        plan: Of a spec's model, for the places in error messages.

    Raises:
        SpecError: As `run_forward`.
        MemoryError: There is not enough of it.
    """
    try:
        with running_user_code(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return calls.model(*inputs, **(named or {}))
    except (ParamInspectError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise explain_failure(calls, error, plan) from error


def explain_failure(calls: CallPaths, error: BaseException, plan: ModelPlan | None) -> ParamInspectError:
    """What failed in forward, with the path of the innermost module and the shapes that met there.

    Args:
        calls: As the failure left them.
        plan: Of a spec's model; says the line.
    """
    call = calls.stack[-1] if calls.stack else Call("", calls.model, ())
    path = call.path
    if isinstance(error, StepError):
        path = f"{path}.{error.name}" if path else error.name
    inputs = error.inputs if isinstance(error, StepError) else call.inputs
    met = describe_tensors(inputs, MAX_TENSORS_NAMED)
    shapes = [f"input {met}"] if met else []
    kind = type(call.module).__name__
    if isinstance(error, StepError):
        kind = error.kind
    else:
        own = [(name, each) for name, each in call.module.named_parameters(recurse=False) if not is_lazy(each)]
        shapes += [f"{name} {shape_text(each.shape)}" for name, each in own[:MAX_TENSORS_NAMED]]
    what = f"{path or 'the model'} ({kind})"
    message = f"forward fails at {what}"
    if shapes:
        message += f" with {', '.join(shapes)}"
    message += f": {complaint_of(error)}"
    if plan is None:
        message += place_of(error, [])
    hint = suggest_remedy(call.module, inputs, error)
    if plan is None:
        return SourceError(message, hint=hint)
    met_by = [Given(each.path, each.inputs) for each in calls.stack[:-1]] + [Given(path, inputs)]
    located = explain_tuple(plan, met_by, error) or mark_of(plan, path).error(message, hint=hint)
    located.source = plan.source or None
    return located


def mark_of(plan: ModelPlan, path: str) -> Mark:
    """Where the module at `path` is written, or the nearest one around it that the spec names."""
    plans = {each.path: each for each in plan.root.walk()}
    here, whole = plan.root, ""
    for part in path.split(".") if path else []:
        whole = f"{here.path}.{part}" if here.path else part
        if whole not in plans:
            break
        here = plans[whole]
        if here.reference is not None:
            here = plans[here.reference]
    return here.mark


def trace_shapes(
    model: nn.Module, inputs: Inputs | Sequence[object], *, plan: ModelPlan | None = None
) -> dict[str, tuple[Shape, ...]]:
    """Shapes of the tensors that each module returns, by module path, in the order in which they return.

    A module that returns several tensors, however nested, has several shapes; one that runs more than once under one
    name has those of the first time; one that does not run is absent. The model itself is "".

    Args:
        model: On the device of the inputs, the meta device as a rule.
        inputs: Of the forward call; a sequence is that of its positional arguments.
        plan: Of a spec's model, for the places in error messages.

    Raises:
        SpecError: The model fails on them, at the layer that does; of a model without plan, SourceError.
    """
    shapes: dict[str, tuple[Shape, ...]] = {}

    def note(call: Call, output: object) -> None:
        shapes.setdefault(call.path, tuple(tuple(each.shape) for each in iter_tensors(output)))

    run_forward(model, inputs, plan=plan, on_return=note)
    return shapes


def iter_tensors(value: object) -> Iterator[Tensor]:
    """The tensors in an output: itself, or those in (nested) tuples, lists, mappings and dataclasses."""
    for _, tensor in iter_parts(value):
        yield tensor


def iter_parts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """The same with their places: keys, fields, and numbers of elements, the outermost first."""
    if isinstance(value, Tensor):
        yield path, value
    elif len(path) < MAX_OUTPUT_NESTING:
        for name, each in parts_of(value).items():
            yield from iter_parts(each, (*path, name))


def parts_of(value: object) -> dict[str, Any]:
    """What an output has inside, by key, field, or number."""
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        names = getattr(value, "_fields", None) or map(str, range(len(value)))
        return dict(zip(names, value, strict=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name, None) for each in fields(value)}
    return {}


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with other tensors, in tuples, lists and dictionaries too; anything else is left as it is."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        made = copy(value)
        made.update({name: map_tensors(each, change) for name, each in value.items()})
        return made
    if type(value) in (tuple, list):
        return type(value)(map_tensors(each, change) for each in value)
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(map_tensors(each, change) for each in value)
    return value
