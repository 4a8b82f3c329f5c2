"""What a forward pass of a spec's model takes, counted on the meta device, where nothing is computed.

A spec of a few lines may ask for any amount: a tensor joined with itself, again and again, a picture of a million
pixels a side. So its operations, the bytes that they return and their multiplications are added up before memory is
taken. What is allowed grows with the size of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from torch import Tensor, nn

from paraminspect.errors import LimitExceededError
from paraminspect.limits import Bound, effort
from paraminspect.live.build.memory import available_memory
from paraminspect.live.build.meta_results import result_of
from paraminspect.live.build.modes import Mode

OPERATIONS: Final = Bound("operations of forward passes in one run", 250_000, 0)
"""Four seconds, where nothing is computed. A transformer of a hundred layers takes three thousand."""

PRODUCTS: Final = Bound("multiplications and additions of forward passes in one run", 1 << 42, 1 << 12)
"""A minute or two, and eight thousand tokens for each parameter, of four bytes."""

RETURNED: Final = Bound("bytes that the layers of forward passes return in one run", 64 << 30, 64)
"""Most of it is kept for the way back."""


class Counting(Mode):
    """While it is entered, what runs on the meta device is counted.

    Args:
        is_planned: Whether it will run in memory too, so that what it would take there counts.

    Raises:
        EffortError: At the operation that is too much.
    """

    def __init__(self, *, is_planned: bool) -> None:
        self._is_planned = is_planned
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        from torch.utils.flop_counter import flop_registry

        run = effort()
        run.spend(OPERATIONS, 1)
        out = result_of(func, args, kwargs or {})
        if out is None:
            out = func(*args, **(kwargs or {}))
        if not self._is_planned:
            return out
        if count := flop_registry.get(func.overloadpacket):
            run.spend(PRODUCTS, count(*args, **(kwargs or {}), out_val=out))
        if not any(each.alias_info is not None for each in func._schema.returns):  # views, and what is changed in place
            tensors = out if isinstance(out, tuple | list) else (out,)
            run.spend(RETURNED, sum(each.numel() * each.element_size() for each in tensors if isinstance(each, Tensor)))
        return out


@contextmanager
def counting(model: nn.Module, *, is_planned: bool = False) -> Iterator[None]:
    """What the model runs inside, on the meta device, is counted; recurrent layers at once, not step by step.

    Args:
        is_planned: As of `Counting`.

    Raises:
        EffortError: As `Counting`.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    for layer in layers:
        layer.forward = partial(_run_recurrent, layer, is_planned=is_planned)
    try:
        with Counting(is_planned=is_planned):
            yield
    finally:
        for layer in layers:
            del layer.forward


def _run_recurrent(layer: nn.RNNBase, inputs: Tensor, hx: object = None, *, is_planned: bool) -> tuple[Tensor, object]:
    """What the layer returns, without its thousands of steps."""
    if hx is not None and inputs.dim() == 3:
        layer.check_forward_args(inputs, hx, None)  # type: ignore[arg-type]
        hx = None
    if inputs.dim() not in (2, 3) or inputs.size(-1) != layer.input_size or hx is not None:
        made: tuple[Tensor, object] = type(layer).forward(layer, inputs, hx)
        return made
    ways = 2 if layer.bidirectional else 1
    batched = inputs.dim() == 3
    batch = (inputs.size(0 if layer.batch_first else 1),) if batched else ()
    steps = inputs.size(1 if batched and layer.batch_first else 0)
    run = effort()
    if is_planned:
        run.spend(OPERATIONS, steps * layer.num_layers * ways)
        run.spend(PRODUCTS, 2 * steps * max(1, *batch, 1) * sum(each.numel() for each in layer.parameters()))
    width = layer.proj_size or layer.hidden_size
    output = inputs.new_empty((*inputs.shape[:-1], ways * width))
    hidden = inputs.new_empty((ways * layer.num_layers, *batch, width))
    if not isinstance(layer, nn.LSTM):
        return output, hidden
    return output, (hidden, inputs.new_empty((ways * layer.num_layers, *batch, layer.hidden_size)))


def check_memory() -> None:
    """Whether there is memory for what was counted.

    Raises:
        LimitExceededError: There is less than half of it.
    """
    available, counted = available_memory(), effort().spent(RETURNED)
    if available is not None and counted > 2 * available:
        raise LimitExceededError(RETURNED.what, limit=2 * available, actual=counted, hint="a smaller batch (--input)")


def make_room(tensor: Tensor) -> None:
    """A tensor on the meta device is to be made in memory."""
    effort().spend(RETURNED, tensor.numel() * tensor.element_size())
    check_memory()
