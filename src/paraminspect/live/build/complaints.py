"""What torch and user code complain of, in one line and in our words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from paraminspect.names.suggestions import closest
from paraminspect.text import shape_text, shorten

MAX_COMPLAINT_LENGTH: Final = 200
"""Characters of another library's error message that are repeated."""

MAX_NAMED = 12
"""Arguments that a hint lists."""

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '([^']*)'")
_FUNCTION = re.compile(r"^[\w.]+\(\) (?=missing|takes|got)")
_NOT_NAMED = {"self": object, "device": object, "mode": nn.RNNBase}
"""Arguments that no caller gives, and the classes of which this is so."""


def first_line(error: object) -> str:
    """What an exception or warning says, on one line of bounded length, without a full stop."""
    lines = str(error).strip().splitlines()
    if len(lines) > 1 and lines[0].endswith(":"):
        lines[0] += f" {lines[1]}"
    return shorten(" ".join(lines[0].split()).rstrip("."), MAX_COMPLAINT_LENGTH) if lines else ""


def complaint_of(error: BaseException) -> str:
    """What an exception says, or its type where that alone tells what it is: "KeyError: 'fc'"."""
    text, kind = first_line(error), type(error).__name__
    return text if " " in text else f"{kind}: {text}" if text else kind


def lacks_values(error: BaseException | None) -> bool:
    """Whether something failed only because tensors have no values, such as those of the meta device."""
    if error is None:
        return False
    if isinstance(error, NotImplementedError) or type(error).__module__.startswith(("torch._subclasses", "torch.fx")):
        return True
    text = str(error).lower()
    return any(word in text for word in ("fake", "meta", "symint", "data-dependent"))


def describe_tensors(values: Iterable[object], most: int) -> str:
    """Shapes of the first tensors, with the dtype of those that are not float32: "[2,4], [3] int64"."""
    found = []
    for tensor in [each for each in values if isinstance(each, Tensor)][:most]:
        dtype = str(tensor.dtype).removeprefix("torch.")
        shape = "nested" if tensor.is_nested else shape_text(tensor.shape)
        found.append(shape + ("" if dtype == "float32" else f" {dtype}"))
    return ", ".join(found)


def describe_refusal(
    make: Callable[..., Any], error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, str | None]:
    """(complaint, hint) of a call that failed: about the arguments, where these do not fit the signature."""
    complaint = _FUNCTION.sub("", first_line(error)) or type(error).__name__
    if not isinstance(error, TypeError):
        return complaint, None
    known = argument_names(make)
    unknown = _UNEXPECTED.search(complaint)
    wrong = unknown[1] if unknown else next((name for name in kwargs if not _takes(make, name)), None)
    if wrong is not None:
        listed = ", ".join(known[:MAX_NAMED])
        hint = closest(wrong, known) or (f"its arguments are {listed}" if known else "it takes none")
        return f"unknown argument {shorten(wrong)}", hint
    try:
        inspect.signature(make).bind(*args, **kwargs)
    except TypeError as mismatch:
        complaint = str(mismatch)
    except ValueError:  # no signature
        pass
    if (meant := spread_list(make, args)) is not None:
        return complaint, f"write {meant}: the sizes are one list"
    return complaint, f"its arguments are {', '.join(known[:MAX_NAMED])}" if known else None


def spread_list(make: Callable[..., Any], args: Sequence[object]) -> str | None:
    """How positional arguments were meant that are the items of a list: `[7, 7]` for `[[7, 7]]`; None if they fit.

    An argument that may be a list has an integer, and the next integer is one too many, or stands where only something
    else is expected (a number with a point: `LayerNorm: [4, 5]`).
    """
    positional = _positional(make)
    if positional is None:
        return None
    parameters, kinds = positional
    for place in range(min(len(args) - 1, len(parameters))):
        if not (
            _is_integer(args[place])
            and _is_integer(args[place + 1])
            and _admits(kinds[place], (list, tuple, torch.Size))
        ):
            continue
        following = place + 1
        if following < len(parameters) and (
            parameters[following].default is inspect.Parameter.empty or _admits(kinds[following], (int,))
        ):
            continue
        end = next((index for index in range(place, len(args)) if not _is_integer(args[index])), len(args))
        inner = f"[{', '.join(str(each) for each in args[place:end])}]"
        return f"[{', '.join([*(str(each) for each in args[:place]), inner, *(str(each) for each in args[end:])])}]"
    return None


@lru_cache(maxsize=256)  # of a model of 60,000 layers a third of the time
def _positional(make: Callable[..., Any]) -> tuple[list[inspect.Parameter], list[object]] | None:
    """Positional parameters and their annotations; None where Python does not know them."""
    function: Any = make
    try:
        hints = get_type_hints(function.__init__ if isinstance(make, type) else function)
        parameters = [
            each for each in inspect.signature(make).parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
    except (TypeError, ValueError, NameError):
        return None
    return parameters, [hints.get(each.name, Any) for each in parameters]


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _admits(hint: object, kinds: tuple[type, ...]) -> bool:
    """Whether an annotation has one of these types among those that it allows."""
    if hint is Any:
        return int in kinds
    inside = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return any((get_origin(each) or each) in kinds for each in inside)


def argument_names(make: Callable[..., Any]) -> list[str]:
    """Names that a callable takes; of a class, those of its base classes too where it passes them on."""
    names: dict[str, None] = {}
    for function in _signatures(make):
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            break
        named = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        names.update(dict.fromkeys(named))
        if len(named) == len(parameters):
            break
    return [name for name in names if not (name in _NOT_NAMED and _is_a(make, _NOT_NAMED[name]))]


def _takes(make: Callable[..., Any], name: str) -> bool:
    """Whether a callable may be given an argument of that name."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _is_a(make: Callable[..., Any], cls: type) -> bool:
    return issubclass(make, cls) if isinstance(make, type) else cls is object


def _signatures(make: Callable[..., Any]) -> list[Any]:
    if not isinstance(make, type):
        return [make]
    return [vars(each)["__init__"] for each in make.__mro__ if "__init__" in vars(each) and each is not nn.Module]


def suggest_remedy(module: nn.Module, inputs: Sequence[object], error: BaseException) -> str | None:
    """The next step after `error`, None where there is none to name.

    Args:
        module: The innermost one at work.
    """
    text = str(error)
    if isinstance(error, NotImplementedError) and "meta" in text.lower():
        return "this operation has no shape rule on the meta device"
    given = next((each for each in inputs if isinstance(each, Tensor)), None)
    if given is None:
        return None
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return _of_embedding(module, given)
    if isinstance(module, _NormBase) and "more than 1 value per channel" in text:
        return f"statistics of one sample are not defined: a larger batch ({_larger(given)}), or --eval"
    expected = _expected_features(module)
    if expected is not None and given.dim():
        axis, size = expected
        if given.dim() >= abs(axis) and given.shape[axis] != size:
            shape = list(given.shape)
            shape[axis] = size
            return f"it takes {size:,} in dimension {axis if axis >= 0 else given.dim() + axis}: {shape_text(shape)}"
    parameter = next(module.parameters(recurse=False), None)
    if parameter is not None and given.dtype != parameter.dtype:
        found, due = (str(each.dtype).removeprefix("torch.") for each in (given, parameter))
        return f"the input is {found} and the parameters are {due}: dtype: {due} in the input, or --dtype"
    return None


def _of_embedding(module: nn.Embedding | nn.EmbeddingBag, given: Tensor) -> str | None:
    """Indices are integers, and below the number of rows."""
    rows = module.num_embeddings
    wanted = f"{{shape: {shape_text(given.shape)}, dtype: int64, high: {rows}}}"
    if given.dtype not in (torch.int64, torch.int32):
        return f"it takes integers: --input '{wanted}'"
    if given.is_meta or not given.numel():
        return None
    low, high = (int(each) for each in torch.aminmax(given))
    if low < 0 or high >= rows:
        return f"it has {rows:,} rows, the input goes from {low:,} to {high:,}: dtype: int64, high: {rows}"
    return None


def _larger(given: Tensor) -> str:
    return shape_text([2, *given.shape[1:]])


def _expected_features(module: nn.Module) -> tuple[int, int] | None:
    """(dimension, size) that the input of a module must have."""
    if isinstance(module, nn.Linear):
        return -1, module.in_features
    if isinstance(module, nn.RNNBase):
        return -1, module.input_size
    if isinstance(module, nn.modules.conv._ConvNd):
        return -1 - len(module.kernel_size), module.in_channels
    return None
