"""What the backward pass starts from: one number made of a model's output."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from paraminspect.architecture.loss import BINARY, CLASSES, LOSSES, NORMAL, OUTPUT, PROBABILITIES, LossText, read_loss
from paraminspect.errors import BackwardError, ParamInspectError, SourceError
from paraminspect.live.build.complaints import complaint_of, describe_tensors
from paraminspect.live.build.forward import iter_parts, iter_tensors, parts_of
from paraminspect.live.build.seeds import make_generator
from paraminspect.live.build.user_code import explaining, import_file, running_user_code
from paraminspect.live.grad.rows import Rows
from paraminspect.names.suggestions import closest, suggest
from paraminspect.text import shape_text, shorten
from paraminspect.tuples import NamedTuple

LossFunction = Callable[[Any], Tensor]
"""A model's output -> a tensor of one element."""

MAX_OUTPUTS_NAMED = 4
IGNORED = -100
"""A class that torch's losses leave out."""

OWN = "loss"
OWN_PARTS = "loss_*"
"""Where outputs keep a loss of their own; parts of it, as torchvision's detectors have them."""


class Taken(NamedTuple):
    """A loss, and where it comes from.

    Attributes:
        value: Of one element.
        text: As `--loss` has it, "sum(output.0)"; of a function, its name.
        said: The same with the reason why it is this one, and what it is compared with.
        flat: What it is the sum or the mean of; None of any other.
    """

    value: Any
    text: str
    said: str
    flat: Tensor | None = None


Loss = Callable[[Any], Taken]
"""A model's output -> its loss, not checked yet."""


class Target(NamedTuple):
    """What a loss compares the output with.

    Attributes:
        tensor: None where one is drawn.
        seed: Of one that is drawn.
        origin: Whose it is.
        rows: Which of its rows the output has, where that is one of several parts; the loss is so much of that of all rows
            that the mean over parts is the whole.
    """

    tensor: Tensor | None = None
    seed: int = 0
    origin: str = "the target"
    rows: Rows | None = None


def choose_loss(text: LossText | None, origin: str = "", target: Target | None = None) -> Loss:
    """The loss that is asked for, or else the output's own, or else the sum of its first floating-point tensor.

    Args:
        text: None where none is asked for.
        origin: Who asks, if that is to be said: "the spec".
        target: Of a loss that takes one; None draws one that suits it.
    """

    def take(output: Any) -> Taken:
        if text is None:
            own = _own(output)
            chosen = LossText("", (own,) if own else ())
            why = ", the model's own" if own else ", for want of another (--loss)"
        else:
            chosen, why = text, f", as {origin} has it" if origin else ""
        return _take(chosen, output, target or Target(), why)

    return take


def as_loss(loss: LossFunction | Loss | str | None) -> Loss:
    """What a caller gives: a loss, a function of its own, a text as of `--loss`, or nothing.

    Raises:
        ParamInspectError: There is no loss of that name.
    """
    if loss is None or isinstance(loss, str):
        return choose_loss(None if loss is None else read_loss(loss))
    if not callable(loss):
        raise SourceError(f"the loss is a {type(loss).__name__}; expected a function of the output, or a name")
    name = getattr(loss, "__name__", type(loss).__name__)

    def take(output: Any) -> Taken:
        made = loss(output)
        return made if isinstance(made, Taken) else Taken(made, name, f"that of {name}")

    return take


def load_loss(text: str, target: Tensor | None = None) -> Loss:
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

    def loss(output: Any) -> Taken:
        with running_user_code(), explaining(f"loss {text}", [file]):
            return Taken(function(output, *given), text, f"that of {text}")

    return loss


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # no signature
        pass
    return True


def evaluate_loss(loss: Loss, output: Any) -> Taken:
    """The loss of an output, checked.

    Raises:
        BackwardError: It can't be computed, or no backward pass can start from it.
    """
    try:
        taken = loss(output)
    except (ParamInspectError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        shapes = describe_tensors(iter_tensors(output), MAX_OUTPUTS_NAMED)
        met = f" with output {shapes}" if shapes else ""
        is_bounded = "elements of input should be between 0 and 1" in str(error)
        hint = "bce takes probabilities; bce_with_logits takes what comes before the sigmoid" if is_bounded else None
        raise BackwardError(f"the loss fails{met}: {complaint_of(error)}", hint=hint) from error
    check_loss(taken.value)
    return taken


def check_loss(value: object) -> None:
    """Refuse what no backward pass can start from.

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


def _take(text: LossText, output: Any, target: Target, why: str) -> Taken:
    if text.part and text.part[-1].endswith("*"):
        terms = _matching(output, text.part)
        total = terms[0] if len(terms) == 1 else torch.stack([each.reshape(()) for each in terms]).sum()
        if text.word in ("", "sum"):
            return Taken(total, str(text), f"{text}{why}")
        path, tensor = text.part, total
    else:
        below, tensor = _first_floating(_part(output, text.part), text.part)
        path = (*text.part, *below)
    word = text.word or ("" if tensor.numel() == 1 and target.rows is None else "sum")
    place = str(LossText(word, path))
    if not word:
        return Taken(tensor, place, f"{place}{why}")
    if not LossText(word).takes_target:
        value = _reduce(word, tensor, target.rows)
        return Taken(value, place, f"{place}{why}", tensor if word != "square" else None)
    value, against = _compare(word, tensor, target)
    return Taken(value, place, f"{place} against {against}{why}")


def _own(output: Any) -> str:
    """Where an output keeps a loss of its own; "" if it has none."""
    if isinstance(output, Tensor):
        return ""
    known = parts_of(output)
    if _is_scalar(known.get(OWN, getattr(output, OWN, None))):
        return OWN
    return OWN_PARTS if any(fnmatchcase(name, OWN_PARTS) and _is_scalar(each) for name, each in known.items()) else ""


def _is_scalar(value: object) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point()


def _part(output: Any, names: tuple[str, ...]) -> Any:
    """What goes by these names in an output.

    Raises:
        BackwardError: There is nothing; with what was meant.
    """
    at = OUTPUT
    for name in names:
        known = {} if isinstance(output, Tensor) else parts_of(output)
        if (
            isinstance(output, (tuple, list))
            and name.lstrip("-").isdecimal()
            and -len(output) <= int(name) < len(output)
        ):
            output = output[int(name)]
        elif name in known:
            output = known[name]
        elif not isinstance(output, Tensor) and hasattr(output, name):
            output = getattr(output, name)
        else:
            what = (
                f"a tensor {shape_text(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            )
            raise BackwardError(
                f"no {at}.{shorten(name)} for the loss: {at} is {what}",
                hint=suggest(name, list(known), "its parts are"),
            )
        at = f"{at}.{name}"
    if output is None and names:
        hint = "models with a loss of their own want a target among their inputs: labels=.." if names[-1] == OWN else None  # fmt: skip
        raise BackwardError(f"no {at} for the loss: it is None", hint=hint)
    return output


def _matching(output: Any, names: tuple[str, ...]) -> list[Tensor]:
    """The scalars whose names match the last of these."""
    known = parts_of(_part(output, names[:-1]))
    found = [each for name, each in known.items() if fnmatchcase(name, names[-1]) and _is_scalar(each)]
    if not found:
        at = str(LossText("", names))
        raise BackwardError(
            f"no {at} for the loss that is a scalar", hint=suggest(names[-1], list(known), "its parts are")
        )
    return found


def _first_floating(output: Any, at: tuple[str, ...]) -> tuple[tuple[str, ...], Tensor]:
    """The first floating-point tensor, and its place in the output."""
    for path, tensor in iter_parts(output):
        if tensor.is_floating_point():
            return path, tensor
    what = describe_tensors(iter_tensors(output), MAX_OUTPUTS_NAMED) or f"a {type(output).__name__}"
    place = f"{LossText('', at)} has" if at else "the output has"
    raise BackwardError(
        f"{place} no floating-point tensor: {what}",
        hint="--loss output.NAME takes a part or attribute, --loss-file my_loss.py:loss any output",
    )


def _reduce(word: str, output: Tensor, rows: Rows | None) -> Tensor:
    if word == "mean" and rows is None:
        return output.mean()
    total = (output * output).sum() if word == "square" else output.sum()
    if rows is None:
        return total
    return total * (rows.parts / (rows.whole_shape(output.shape).numel() if word == "mean" else 1))


_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "bce": functional.binary_cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "kl_div": functional.kl_div,
    "nll": functional.nll_loss,
    "cross_entropy": functional.cross_entropy,
}


def _compare(word: str, output: Tensor, wanted: Target) -> tuple[Tensor, str]:
    """A loss with a target, and a word on that."""
    target, origin, rows = wanted.tensor, wanted.origin, wanted.rows
    if target is None:
        shape = output.shape if rows is None else rows.whole_shape(output.shape)
        target, origin = _draw(LOSSES[word].drawn, shape, output.dtype, wanted.seed)
    every = target.to(output.device)
    target = every if rows is None else rows.of(every)
    if word == "target":
        word = "mse" if target.is_floating_point() else "cross_entropy"
        if word == "cross_entropy" and not _fits(output, target) and target.shape == output.shape[:-1]:
            output, target = output.reshape(-1, output.shape[-1]), target.reshape(-1)
            origin += ", its classes being the last dimension"
    is_soft = word == "cross_entropy" and target.is_floating_point() and target.shape == output.shape
    if LOSSES[word].drawn == CLASSES and not is_soft:
        _check_classes(word, output, target)
        target = target.long()
    elif target.shape != output.shape:
        raise BackwardError(
            f"{word} of output {shape_text(output.shape)} and target {shape_text(target.shape)}; expected equal shapes"
        )
    else:
        target = target.to(output.dtype)
    if rows is None:
        return _FUNCTIONS[word](output, target), origin
    meant = every.numel() // output.shape[_class_dimension(output.shape)] if is_soft else every.numel()
    if LOSSES[word].drawn == CLASSES and not is_soft:
        meant = int((every != IGNORED).sum())
    total = _FUNCTIONS[word](output, target, reduction="sum")
    return total * (rows.parts / meant if meant else math.nan), origin


def why_no_sum(text: LossText | None, output: Any, target: Tensor | None) -> str:
    """Why a loss is no sum or mean over the rows of an output, in words; "" if it is.

    Args:
        text: As of `choose_loss`.
        output: Of no scalars.
        target: None where one is drawn.
    """
    if text is None:
        return ""
    if text.part and text.part[-1].endswith("*"):
        return f"the loss {text} is not known to add up over rows"
    _, tensor = _first_floating(_part(output, text.part), text.part)
    has_classes = text.word == "target" or (bool(text.word) and LOSSES[text.word].drawn == CLASSES)
    is_float = text.word == "target" and (target is None or target.is_floating_point())
    return f"{text.word} has classes in that dimension" if has_classes and not is_float and tensor.dim() < 2 else ""


def _draw(what: str, shape: torch.Size, dtype: torch.dtype, seed: int) -> tuple[Tensor, str]:
    """A target that suits an output, and what it is."""
    generator = make_generator(seed, "", "target")
    dim = _class_dimension(shape)
    if what == CLASSES:
        classes = shape[dim] if shape else 0
        target = torch.randint(0, max(classes, 1), (*shape[:dim], *shape[dim + 1 :]), generator=generator)
        return target, f"classes that are drawn, {classes:,} of them in dimension {dim}"
    if what == NORMAL:
        target = torch.randn(shape, generator=generator)
    elif what == BINARY:
        target = torch.randint(0, 2, shape, generator=generator)
    else:
        assert what == PROBABILITIES
        target = torch.randn(shape, generator=generator)
        target = target.softmax(dim) if shape else target.sigmoid()
    return target.to(dtype), f"a target that is drawn, {what}"


def _class_dimension(shape: torch.Size) -> int:
    """Where torch has classes."""
    return 1 if len(shape) > 1 else 0


def _fits(output: Tensor, target: Tensor) -> bool:
    dim = _class_dimension(output.shape)
    return output.dim() > 0 and target.shape == output.shape[:dim] + output.shape[dim + 1 :]


def _check_classes(word: str, output: Tensor, target: Tensor) -> None:
    dim = _class_dimension(output.shape)
    if target.is_floating_point():
        raise BackwardError(f"{word} takes a target of integers, the classes", hint="dtype: int64, high: CLASSES")
    if not _fits(output, target):
        due = shape_text(output.shape[:dim] + output.shape[dim + 1 :])
        is_last = output.dim() > 2 and target.shape == output.shape[:-1]
        raise BackwardError(
            f"{word} of output {shape_text(output.shape)} and target {shape_text(target.shape)}; expected {due}, the "
            f"classes being dimension {dim}",
            hint="--loss target takes classes in the last dimension too" if is_last else None,
        )
    classes = output.shape[dim]
    if classes < 2 and word == "cross_entropy":
        raise BackwardError(
            f"cross_entropy over dimension {dim} of output {shape_text(output.shape)}, one class, is always 0",
            hint="--loss bce_with_logits, or mse",
        )
    counted = target[target != IGNORED]
    low, high = (int(each) for each in torch.aminmax(counted)) if counted.numel() else (0, 0)
    if low < 0 or high >= classes:
        raise BackwardError(
            f"the target has the class {low if low < 0 else high}; the output has {classes:,}", hint=f"high: {classes}"
        )
