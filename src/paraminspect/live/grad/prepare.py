"""What is done to a model before it runs: frozen, converted, moved, put into a mode."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import nn

from paraminspect.errors import BackwardError, SelectionError
from paraminspect.live.build.describe import module_classes
from paraminspect.live.build.forward import set_mode
from paraminspect.live.build.lazy import has_lazy
from paraminspect.live.build.memory import available_memory, needed_memory, too_large
from paraminspect.names.missed import explain_miss
from paraminspect.names.selector import Selector
from paraminspect.names.suggestions import suggest


def choose_device(name: str) -> str:
    """The device that is meant; "auto" is the first there is of cuda, mps and cpu.

    On an accelerator torch is told to take deterministic algorithms where it has them.

    Raises:
        BackwardError: It is not there.
    """
    found = {"cpu": True, "mps": torch.backends.mps.is_available()}
    if name in ("auto", "cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        found["cuda"] = torch.cuda.is_available()
    device = next(each for each in ("cuda", "mps", "cpu") if found.get(each)) if name == "auto" else name
    if not found[device]:
        raise BackwardError(f"there is no {device} here", hint="--device auto takes what there is")
    if device != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    return device


def freeze(model: nn.Module, selectors: Sequence[Selector]) -> None:
    """Take no gradient of the parameters that selectors mean, by any of their names.

    Raises:
        SelectionError: One means none.
    """
    classes = module_classes(model)
    named = [
        (name, classes[name.rpartition(".")[0]], parameter)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    ]
    for selector in selectors:
        found = [parameter for name, inside, parameter in named if selector.matches(name, inside)]
        if not found:
            why = explain_miss(selector, [(name, inside) for name, inside, _ in named])
            names = [name for name, _, _ in named]
            raise SelectionError(
                f"--freeze {selector.text!r} matches no parameter",
                hint=why or suggest(selector.text, names, "the parameters are"),
            )
        for parameter in found:
            parameter.requires_grad_(False)


def convert(model: nn.Module, *, dtype: torch.dtype | None, device: str, train: bool | None) -> None:
    """Change dtype, device and mode.

    Args:
        dtype: Of floating-point parameters and buffers; None leaves them.
        device: "cpu", "cuda" or "mps".
        train: Mode of all modules; None leaves them.

    Raises:
        BackwardError: Gradients, or parameters on another device, will not fit.
    """
    if dtype is not None:
        model.to(dtype)
    if not has_lazy(model):
        held = 0 if device != "cpu" else sum(each.numel() * each.element_size() for each in model.parameters())
        needed, available = needed_memory(model), available_memory(device)
        if available is not None and needed - held > available:
            raise too_large(needed, available + held)
    model.to(device)
    if train is not None:
        set_mode(model, train=train)
