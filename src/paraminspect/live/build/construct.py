"""Calling the constructor of one layer, bounded and on a chosen device, its complaint turned into a line of the spec."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from paraminspect.architecture.model import Value
from paraminspect.architecture.plan import ModulePlan
from paraminspect.live.build.complaints import describe_refusal, first_line, spread_list
from paraminspect.names.suggestions import closest, suggest

MAX_LAYER_TENSORS: Final = 4_000
"""Tensors that the constructor of one layer may make, copies included: stops `{LSTM: [1, 1, 1000000000]}`, whose
constructor takes quadratic time: 0.2 s for 990 layers, 1.6 s for 4,000. Each layer inside a Transformer makes some 30, of an
LSTM 4."""

MAX_MODEL_TENSORS: Final = 250_000
"""Tensors that the constructors of one spec may make altogether; the largest mixtures of experts have 100,000."""

UNUSABLE = frozenset(
    name
    for names in (
        "Module Container Sequential ModuleList ModuleDict ParameterList ParameterDict DataParallel",
        "RNNBase RNNCellBase TransformerEncoder TransformerDecoder",
    )
    for name in names.split()
)
"""Classes of torch.nn that are no layers: abstract, or made of modules, which a spec writes as lists."""

_FILLS = frozenset(
    getattr(owner, name)
    for owner, names in (
        (Tensor, "uniform_ normal_ zero_ fill_ copy_"),
        (nn.init, "uniform_ normal_ constant_ ones_ zeros_ kaiming_uniform_ kaiming_normal_ xavier_uniform_ xavier_normal_"),
    )
    for name in names.split()
)  # fmt: skip
_LAZY_WARNING = "Lazy modules are a new feature"


class TooManyTensorsError(Exception):
    """Constructors have made more tensors than one of the two bounds."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


class _SpreadListError(Exception):
    """Sizes that stand where other arguments belong; says how they are written."""


class Construction(TorchFunctionMode):
    """While it is entered, tensors are made on `device` whatever is asked for, and counted.

    On the meta device nothing is filled in: there is nothing to fill, and it takes half of the time.

    Args:
        device: "meta" or "cpu".
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.made = 0
        self.made_here = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        if func in _FILLS and self.device == "meta":
            return args[0] if args else kwargs["tensor"]
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": self.device}
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            self.made += 1
            self.made_here += 1
            for count, limit in ((self.made_here, MAX_LAYER_TENSORS), (self.made, MAX_MODEL_TENSORS)):
                if count > limit:
                    raise TooManyTensorsError(limit)
        return result


@contextmanager
def constructing(mode: Construction) -> Iterator[None]:
    """Make the tensors of one layer as `mode` says, those without a device too."""
    mode.made_here = 0
    with torch.device(mode.device), mode:
        yield


def torch_types() -> dict[str, type[nn.Module]]:
    """The layers of torch.nn by name."""
    return {
        name: value
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and name not in UNUSABLE
    }


def construct(plan: ModulePlan, make: Callable[..., Any], notes: list[str]) -> Any:
    """What `make` gives for the arguments of a layer.

    Args:
        make: A class, or another callable, called inside `constructing`.
        notes: Takes the warnings of the constructor.

    Raises:
        SpecError: At the place of the layer: it refuses the arguments, or fails.
    """
    kwargs = _torch_arguments(plan)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if _least_tensors(make, plan.args, kwargs) > MAX_LAYER_TENSORS:
                raise TooManyTensorsError(MAX_LAYER_TENSORS)
            made = make(*plan.args, **kwargs)
            if plan.kind == "module" and (listed := spread_list(make, plan.args)) is not None:
                raise _SpreadListError(listed)
    except TooManyTensorsError as error:
        what = "it makes" if error.limit == MAX_LAYER_TENSORS else "the model makes"
        raise plan.mark.error(
            f"{_title(plan)}: {what} more than {error.limit:,} tensors",
            hint="is a number of layers too large?",
        ) from None
    except _SpreadListError as error:
        raise plan.mark.error(
            f"{_title(plan)}: {', '.join(str(each) for each in plan.args)} are several arguments",
            hint=f"write {error}: the sizes are one list",
        ) from None
    except Exception as error:
        complaint, hint = describe_refusal(make, error, plan.args, kwargs)
        raise plan.mark.error(f"{_title(plan)}: {complaint}", hint=hint) from error
    for warning in caught:
        text = first_line(warning.message)
        if not text.startswith(_LAZY_WARNING):
            notes.append(f"{plan.mark.line}:{plan.mark.column}: {_title(plan)}: {text}")
    return made


def parametrize(plan: ModulePlan, module: nn.Module) -> None:
    """Have tensors of a layer computed from others, in place, by torch's own parametrizations.

    Raises:
        SpecError: At the place of the parametrization: the layer has no such tensor, or torch refuses it.
    """
    from torch.nn.utils import parametrizations

    for each in plan.parametrize:
        tensors = [name for name, _ in module.named_parameters(recurse=False)]
        if each.tensor not in tensors:
            raise each.mark.error(
                f"{_title(plan)}: parametrize of {each.tensor}, which it has not",
                hint=suggest(each.tensor, tensors, "it has") if tensors else None,
            )
        weight = module.get_parameter(each.tensor)
        try:
            with _TakenAsClose():
                getattr(parametrizations, each.kind)(module, each.tensor, **each.kwargs)
            if each.kind == "orthogonal" and weight.is_meta:
                _outline_base(module.get_submodule(f"parametrizations.{each.tensor}.0"), weight)
        except Exception as error:
            raise each.mark.error(f"{_title(plan)}: {each.kind} of {each.tensor}: {first_line(error)}") from error


class _TakenAsClose(TorchFunctionMode):
    """Tensors on the meta device are taken to be close: of a square weight torch asks whether it is orthogonal."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.allclose and args[0].is_meta:
            return True
        return func(*args, **(kwargs or {}))


def _outline_base(made: nn.Module, weight: Tensor) -> None:
    """Give an orthogonal parametrization the buffer that it has in memory; on the meta device torch leaves it out."""
    size = max(weight.shape[-2:])
    made.base = weight.detach().new_empty(*weight.shape[:-2], size, size)


def _least_tensors(make: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """How many tensors a layer that is made of layers has at least, before any is made."""
    total = 0
    for index, name, each in _STACKED.get(make, ()):
        number = args[index] if index < len(args) else kwargs.get(name)
        total += each * number if isinstance(number, int) else 0
    return total


_STACKED: Final[Mapping[Any, Sequence[tuple[int, str, int]]]] = {
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), ((2, "num_layers", 2),)),
    nn.Transformer: ((2, "num_encoder_layers", 6), (3, "num_decoder_layers", 9)),
}
"""Arguments that say of how many layers one is made: place, name, and the tensors of each without its biases."""


def _torch_arguments(plan: ModulePlan) -> dict[str, Any]:
    """Named arguments, `dtype` as torch's own object; no `device`."""
    kwargs: dict[str, Any] = dict(plan.kwargs)
    if "device" in kwargs:
        raise plan.mark.error(f"{_title(plan)} with a device", hint="remove it: the whole model is built on one device")
    if "dtype" in kwargs:
        kwargs["dtype"] = _dtype(plan, kwargs["dtype"])
    return kwargs


def _dtype(plan: ModulePlan, value: Value) -> torch.dtype | None:
    if value is None:
        return None
    found = getattr(torch, value, None) if isinstance(value, str) else None
    if not isinstance(found, torch.dtype):
        known = [name for name, each in vars(torch).items() if isinstance(each, torch.dtype)]
        hint = closest(value, known) if isinstance(value, str) else None
        raise plan.mark.error(f"{_title(plan)}: dtype is {value!r}; expected one of torch's", hint=hint or "write float32")  # fmt: skip
    return found


def _title(plan: ModulePlan) -> str:
    """The layer's type and its path in the model."""
    return f"{plan.type} at {plan.path}" if plan.path else plan.type
