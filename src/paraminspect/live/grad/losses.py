"""What the backward pass starts from: one number made of a model's output."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional

from paraminspect.errors import BackwardError, ParamInspectError, SourceError
from paraminspect.live.build.complaints import describe_tensors, first_line
from paraminspect.live.build.forward import iter_tensors
from paraminspect.live.build.seeds import derive_seed
from paraminspect.live.build.user_code import explaining, import_file, running_user_code
from paraminspect.names.suggestions import closest, suggest
from paraminspect.outcomes import WITH_TARGET, LossName
from paraminspect.text import shape_text

LossFunction = Callable[[Any], Tensor]
"""A model's output -> a tensor of one element."""

MAX_OUTPUTS_NAMED = 4
IGNORED = -100
"""A class that torch's cross-entropy leaves out."""


def make_loss(name: LossName, target: Tensor | None = None, *, seed: int = 0) -> LossFunction:
    """One of the losses by name.

    Args:
        name: Over all elements of all floating-point tensors of the output: "sum", "mean", or "square", the sum of
            their squares. Of the first of these tensors: "mse", its mean squared error; "cross_entropy", the mean over
            its last dimension; "target", the former for a floating-point target, the latter for one of integers.
        target: None draws one: standard normal of the output's shape, or classes.

    Raises:
        SourceError: There is no loss of that name.
    """
    if name not in get_args(LossName):
        raise SourceError(f"there is no loss {name!r}", hint=suggest(name, get_args(LossName), "the losses are"))
    if name not in WITH_TARGET:
        return lambda output: _reduce(name, output)
    return lambda output: _compare(name, _outputs(output)[0], target, seed)


def load_loss(text: str, target: Tensor | None = None) -> LossFunction:
    """The user's own function, `my_loss.py:loss`: called with the output, and with the target if it takes two.

    Raises:
        SourceError: No such file or function, or its code fails.
    """
    file, colon, attribute = text.rpartition(":")
    if not colon or not file.lower().endswith(".py") or not attribute.isidentifier():
        raise SourceError(f"--loss-file {text!r}; expected FILE.py:FUNCTION", hint="--loss-file my_loss.py:loss")
    module = import_file(file)
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [name for name, each in vars(module).items() if callable(each) and not name.startswith("_")]
        raise SourceError(f"{file} has no function {attribute}", hint=closest(attribute, known))
    given = (target,) if target is not None and _takes_two(function) else ()

    def loss(output: Any) -> Tensor:
        with running_user_code(), explaining(f"loss {text}", [file]):
            made: Tensor = function(output, *given)
            return made

    return loss


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # no signature
        pass
    return True


def check_loss(value: object) -> Tensor:
    """What a loss function returned, if a backward pass can start from it.

    Raises:
        BackwardError: It is no tensor of one element, or nothing in it depends on a parameter.
    """
    if not isinstance(value, Tensor):
        raise BackwardError(
            f"the loss is a {type(value).__name__}; expected a tensor of one element",
            hint="return the tensor itself, without .item()" if isinstance(value, (int, float)) else None,
        )
    if value.numel() != 1:
        raise BackwardError(
            f"the loss has the shape {shape_text(value.shape)}; expected one element",
            hint="a backward pass starts from one number: .mean() or .sum() of it",
        )
    if not value.is_floating_point():
        dtype = str(value.dtype).removeprefix("torch.")
        raise BackwardError(f"the loss is of type {dtype}, through which no gradient flows")
    if not value.requires_grad:
        raise BackwardError(
            "the loss depends on no parameter: it has no graph",
            hint="every parameter is frozen, or the output was detached or made under no_grad",
        )
    return value


def evaluate_loss(loss: LossFunction, output: Any) -> Tensor:
    """The loss of an output, checked.

    Raises:
        BackwardError: It can't be computed, or no backward pass can start from it.
    """
    try:
        value = loss(output)
    except (ParamInspectError, KeyboardInterrupt):
        raise
    except Exception as error:
        shapes = describe_tensors(iter_tensors(output), MAX_OUTPUTS_NAMED)
        met = f" with output {shapes}" if shapes else ""
        raise BackwardError(f"the loss fails{met}: {first_line(error) or type(error).__name__}") from error
    return check_loss(value)


def _outputs(output: Any) -> list[Tensor]:
    found = [each for each in iter_tensors(output) if each.is_floating_point()]
    if not found:
        what = describe_tensors(iter_tensors(output), MAX_OUTPUTS_NAMED) or f"a {type(output).__name__}"
        raise BackwardError(
            f"the output has no floating-point tensor: {what}",
            hint="--loss-file my_loss.py:loss takes any output",
        )
    return found


def _reduce(name: str, output: Any) -> Tensor:
    outputs = _outputs(output)
    if name == "mean":
        return _add([each.sum() for each in outputs]) / sum(each.numel() for each in outputs) if outputs[1:] else outputs[0].mean()  # fmt: skip
    return _add([(each * each).sum() if name == "square" else each.sum() for each in outputs])


def _add(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _compare(name: str, output: Tensor, target: Tensor | None, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(seed, "target"))
    if target is None:
        if name == "cross_entropy":
            shape, classes = output.shape[:-1], output.shape[-1] if output.dim() else 0
            target = torch.randint(0, max(classes, 1), shape, generator=generator)
        else:
            target = torch.randn(output.shape, generator=generator).to(output.dtype)
    target = target.to(output.device)
    whole = not target.is_floating_point()
    if name == "cross_entropy" or (name == "target" and whole):
        return _cross_entropy(output, target)
    if target.shape != output.shape:
        raise BackwardError(
            f"mean squared error of output {shape_text(output.shape)} and target {shape_text(target.shape)}; expected "
            "equal shapes"
        )
    return functional.mse_loss(output, target.to(output.dtype))


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    if target.is_floating_point():
        raise BackwardError("cross-entropy takes a target of integers, the classes", hint="dtype: int64, high: CLASSES")
    if not output.dim() or target.shape != output.shape[:-1]:
        raise BackwardError(
            f"cross-entropy of output {shape_text(output.shape)} and target {shape_text(target.shape)}; expected "
            f"{shape_text(output.shape[:-1])}, the classes being the last dimension",
        )
    classes = output.shape[-1]
    if classes < 2:
        raise BackwardError(
            f"cross-entropy over the last dimension of output {shape_text(output.shape)}, one class, is always 0",
            hint="--loss mse",
        )
    counted = target[target != IGNORED]
    low, high = (int(each) for each in torch.aminmax(counted)) if counted.numel() else (0, 0)
    if low < 0 or high >= classes:
        raise BackwardError(
            f"the target has the class {low if low < 0 else high}; the output has {classes:,}", hint=f"high: {classes}"
        )
    return functional.cross_entropy(output.reshape(-1, classes), target.reshape(-1).long())
