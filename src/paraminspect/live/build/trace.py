"""The output shape of every layer, computed without computing anything: on the meta device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from paraminspect.architecture.plan import ModelPlan
from paraminspect.live.build.forward import Call, Shape, run_forward


def trace_shapes(
    model: nn.Module, inputs: Sequence[Tensor], *, plan: ModelPlan | None = None
) -> dict[str, tuple[Shape, ...]]:
    """Shapes of the tensors that each module returns, by module path, in the order in which they return.

    A module that returns several tensors, however nested, has several shapes; one that runs more than once under one
    name has those of the first time; one that does not run is absent. The model itself is "".

    Args:
        model: On the device of the inputs, the meta device as a rule.
        inputs: In order of the forward call.
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
    """The tensors in an output: itself, or those in (nested) tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from iter_tensors(each)
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from iter_tensors(each)
