"""The ties of a spec, applied to its model: one tensor under two names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from paraminspect.architecture.model import Tie
from paraminspect.architecture.suggestions import closest
from paraminspect.text import shape_text, shorten


def apply_ties(model: nn.Module, ties: Sequence[Tie]) -> None:
    """Put the tensor of each `source` in the place of its `alias`, in order.

    Raises:
        SpecError: At the tie: there is no such tensor, or the two differ in shape, dtype or kind.
    """
    for tie in ties:
        owner, name, old = _find(model, tie.alias, tie)
        _, _, new = _find(model, tie.source, tie)
        for alias, source, expected in (
            (shape_text(old.shape), shape_text(new.shape), "one shape"),
            (_dtype(old), _dtype(new), "one dtype"),
            (_kind(old), _kind(new), "two of a kind"),
        ):
            if alias != source:
                raise tie.mark.error(
                    f"tie of {shorten(tie.alias)} ({alias}) to {shorten(tie.source)} ({source}); expected {expected}"
                )
        setattr(owner, name, new)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _kind(tensor: Tensor) -> str:
    return "a parameter" if isinstance(tensor, nn.Parameter) else "a buffer"


def _find(model: nn.Module, name: str, tie: Tie) -> tuple[nn.Module, str, Tensor]:
    """(module, name in it, tensor)."""
    path, _, last = name.rpartition(".")
    module = model
    for place, part in enumerate(path.split(".") if path else []):
        child = module._modules.get(part)
        if child is None:
            below = ".".join(path.split(".")[:place]) or "the model"
            names = [key for key, each in module._modules.items() if each is not None]
            hint = closest(part, names) or (f"it has {', '.join(names[:8])}" if names else None)
            raise tie.mark.error(f"tie of {shorten(name)}: {below} has no child {shorten(part)}", hint=hint)
        module = child
    tensors = {key: each for key, each in [*module._parameters.items(), *module._buffers.items()] if each is not None}
    if last not in tensors:
        hint = closest(last, tensors) or (f"it has {', '.join(list(tensors)[:8])}" if tensors else None)
        below = f"{path} ({type(module).__name__})" if path else "the model"
        raise tie.mark.error(f"tie of {shorten(name)}: {below} has no tensor {shorten(last)}", hint=hint)
    return module, last, tensors[last]
