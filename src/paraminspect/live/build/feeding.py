"""What a model is called with: the inputs of its spec, its own examples, or what the command line gives, for every step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from paraminspect.architecture.given import (
    FILE_OPTION,
    Given,
    InputPlan,
    Path,
    arrange,
    evaluate_given,
    parse_path,
    path_text,
)
from paraminspect.architecture.model import TensorInput, Value
from paraminspect.architecture.plan import INPUT, ModelPlan
from paraminspect.errors import BackwardError, ParamInspectError, SourceError
from paraminspect.live.build.complaints import describe_refusal
from paraminspect.live.build.factory_name import parse_factory
from paraminspect.live.build.forward import Inputs, as_inputs, map_tensors
from paraminspect.live.build.input_files import read_tensors
from paraminspect.live.build.inputs import make_tensor
from paraminspect.live.build.seeds import seeded
from paraminspect.live.build.user_code import explaining, find_attribute, import_named, running_user_code
from paraminspect.names.suggestions import suggest
from paraminspect.text import list_some
from paraminspect.tuples import NamedTuple


class Ready(NamedTuple):
    """What is the same in every step: a tensor of a file, or a value."""

    value: object


Maker = TensorInput | Ready
"""How something is made in every step: drawn as described, or always the same."""


class Feeding:
    """Makes what a model is called with.

    Args:
        asked: Goes before the rest; None for nothing.
        plan: Of a spec's model; None for another.
        own: Examples that a model brings along; None if it has none.
        seed: Of the run; step N draws with `seed + N`.

    Raises:
        ParamInspectError: There is no input, or one that the spec does not have; a file cannot be read.
    """

    def __init__(
        self, asked: InputPlan | None, plan: ModelPlan | None = None, own: Inputs | None = None, *, seed: int = 0
    ) -> None:
        asked = asked or InputPlan()
        self._plan = plan
        self._seed = seed
        self._own = own or Inputs()
        self._batch = _Code(asked.code) if asked.code else None
        self._makers: list[tuple[Path, Maker]] = []
        for given in asked.given:
            self._makers += make_given(given, self._variables())
        if plan is not None:
            self._makers = self._for_spec(plan, self._makers)
        if plan is None and not self._makers and self._batch is None and own is None:
            hint = f"--input 2,4, or a file, or NAME=.. for a named one, or {FILE_OPTION} my.py:batch"
            raise SourceError("a factory says no input", hint=hint)

    def inputs(self, step: int = 0, *, device: str = "cpu", dtype: torch.dtype | None = None) -> Inputs:
        """Of one step, the same whenever it is asked for.

        Args:
            step: From 0.
            device: "meta" (no values), or where the tensors are wanted.
            dtype: Floating-point tensors are converted to it; None leaves them as they are.

        Raises:
            ParamInspectError: A tensor cannot be made as described; the user's code fails.
        """
        positional, named = arrange([(path, self._make(maker, step, device)) for path, maker in self._makers])
        base = Inputs() if positional else self._own
        if self._batch is not None:
            base = self._batch.inputs(self._seed + step, step)
        made = Inputs(positional or base.positional, merge(base.named, named))
        if self._plan is not None:
            made = self._by_position(self._plan, made)

        def placed(tensor: Tensor) -> Tensor:
            wanted = dtype if tensor.is_floating_point() else None
            return tensor.to(device=device, dtype=wanted)

        return Inputs(*map_tensors(tuple(made), placed))

    def _make(self, maker: Maker, step: int, device: str) -> object:
        if isinstance(maker, Ready):
            return maker.value
        source = self._plan.source if self._plan is not None else ""
        own = maker if maker.seed is None else maker._replace(seed=maker.seed + step)
        return make_tensor(own, device="meta" if device == "meta" else "cpu", seed=self._seed + step, source=source)

    def _for_spec(self, plan: ModelPlan, makers: Sequence[tuple[Path, Maker]]) -> list[tuple[Path, Maker]]:
        """The spec's own inputs, those that options name replaced; what has no name is the next in their order."""
        names = _names(plan)
        free = list(names)
        placed: list[tuple[Path, Maker]] = []
        for path, maker in makers:
            if path and path[0] not in names:
                hint = suggest(str(path[0]), names, "its inputs are")
                raise ParamInspectError(f"--input: the spec has no input {str(path[0])!r}", hint=hint)
            if not path and not free:
                raise ParamInspectError("--input is given more often than the spec has inputs")
            placed.append((path or (free[0],), maker))
            free = [each for each in free if each != placed[-1][0][0]]
        if self._batch is not None:
            return placed
        own = {each.name: each for each in plan.inputs}
        if free == [INPUT] and not own:
            raise SourceError("the spec has no input", hint="write input: [2, 4] in the spec, or --input 2,4")
        return [*placed, *(((name,), own[name]) for name in free)]

    def _by_position(self, plan: ModelPlan, made: Inputs) -> Inputs:
        """A spec's model is called with its inputs in their order."""
        names = _names(plan)
        named = {**dict(zip(names, made.positional, strict=False)), **made.named}
        if len(made.positional) > len(names) or named.keys() != set(names):
            found = ", ".join([*named, *["one more"] * (len(made.positional) - len(names))])
            raise ParamInspectError(
                f"{FILE_OPTION} gives {found or 'nothing'}; the spec's inputs are {', '.join(names)}"
            )
        return Inputs([named[name] for name in names])

    def _variables(self) -> Mapping[str, Value]:
        return self._plan.vars if self._plan is not None else {}


def make_given(given: Given, variables: Mapping[str, Value], name: str = INPUT) -> list[tuple[Path, Maker]]:
    """Where something that an option gives goes, and how it is made; a file may hold several.

    Args:
        variables: Of the spec.
        name: Of what has no name.

    Raises:
        ParamInspectError: It is not described as it must be; a file cannot be read.
    """
    if given.kind == "value":
        return [(given.path, Ready(given.value))]
    if given.kind == "tensor":
        return [(given.path, evaluate_given(given, path_text(given.path) or name, variables))]
    tensors = read_tensors(given.text)
    if given.path or len(tensors) == 1:
        return [(given.path, Ready(choose_tensor(tensors, given)))]
    return [(parse_path(each), Ready(tensor)) for each, tensor in tensors.items()]


def choose_tensor(tensors: Mapping[str, Tensor], given: Given) -> Tensor:
    """The one tensor of a file, or that of the input's name.

    Raises:
        ParamInspectError: There are several, none of that name.
    """
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    name = path_text(given.path)
    if name in tensors:
        return tensors[name]
    raise ParamInspectError(
        f"{given.option}: {len(tensors):,} tensors in {given.text}, none of them {name or 'the only one'}",
        hint=f"they are {list_some(list(tensors), 6)}",
    )


def check_call(model: nn.Module, inputs: Inputs) -> None:
    """Refuse inputs that do not fit the signature of the model's forward, before it runs.

    Raises:
        BackwardError: With the name that was meant.
    """
    try:
        inspect.signature(model.forward).bind(*inputs.positional, **inputs.named)
    except TypeError as error:
        complaint, hint = describe_refusal(model.forward, error, tuple(inputs.positional), inputs.named)
        raise BackwardError(f"--input does not fit {type(model).__name__}.forward: {complaint}", hint=hint) from None
    except ValueError:  # no signature
        pass


def _names(plan: ModelPlan) -> list[str]:
    return [each.name for each in plan.inputs] or [INPUT]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both dictionaries; what is in both dictionaries under one name is merged if it is a dictionary in both, else taken of `over`."""
    merged = dict(base)
    for name, value in over.items():
        mine = merged.get(name)
        merged[name] = merge(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return merged


class _Code:
    """What `--input-file` names: a batch, or a function that makes one."""

    def __init__(self, text: str) -> None:
        name = parse_factory(text)
        if name is None or not name.attribute:
            raise SourceError(f"{FILE_OPTION} {text!r}; expected FILE.py:NAME", hint=f"{FILE_OPTION} my.py:batch")
        self._text = text
        self._files = [name.file] if name.file else []
        self._found = find_attribute(import_named(name), name)

    def inputs(self, seed: int, step: int) -> Inputs:
        """A tensor is the one argument, a tuple or list are positional ones, a mapping has them by name."""
        made = self._found
        if callable(made) and not isinstance(made, (Tensor, Mapping)):
            with (
                running_user_code(),
                explaining(f"{FILE_OPTION} {self._text}", self._files),
                seeded(seed, "", FILE_OPTION),
            ):
                made = made(step) if _takes_step(made) else made()
        if made is None:
            raise SourceError(
                f"{FILE_OPTION} {self._text} returned nothing (None); expected a tensor, a tuple or a dict"
            )
        return as_inputs(made)


def _takes_step(function: Callable[..., Any]) -> bool:
    """Whether it has to be told which batch is wanted."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:  # no signature
        pass
    return False
