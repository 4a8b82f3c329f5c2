"""Running a model and leaving it as it was: values, gradients, modes, hooks and random generators."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def leaving_untouched(model: nn.Module, changed: list[str] | None = None) -> Iterator[None]:
    """Put back, bit for bit, what a forward and a backward pass change.

    Inside, every gradient is None at first. Afterwards gradients are the tensors they were, buffers (running
    statistics) have their values, each module its mode, and every random generator its state. Hooks that wait for a
    finished gradient, such as an optimizer's step inside the backward pass, do not run.

    Args:
        changed: Takes the names of parameters that the forward pass itself changed and that are therefore not as
            they were (those that an Embedding with max_norm scales are put back).
    """
    state = _State(model)
    generators = _Generators(model)
    try:
        yield
    finally:
        generators.restore()
        state.restore()
        if changed is not None:
            changed += state.changed


class _State:
    def __init__(self, model: nn.Module) -> None:
        self.changed: list[str] = []
        self._training = [(module, module.training) for module in model.modules()]
        self._buffers = [
            (module, name, buffer, buffer.detach().clone())
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        self._gradients: list[tuple[Tensor, Tensor | None, dict[Any, Any]]] = []
        self._versions = [(name, each, each._version) for name, each in model.named_parameters()]
        self._scaled = {
            id(module.weight): (module.weight, module.weight.detach().clone())
            for module in model.modules()
            if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None
        }
        for _, parameter, _ in self._versions:
            hooks = parameter._post_accumulate_grad_hooks or {}
            self._gradients.append((parameter, parameter.grad, dict(hooks)))
            parameter.grad = None
            hooks.clear()

    def restore(self) -> None:
        for module, training in self._training:
            module.training = training
        with torch.no_grad():
            for module, name, buffer, values in self._buffers:
                if not _same(buffer, values):
                    buffer.copy_(values)
                module._buffers[name] = buffer
            for weight, values in self._scaled.values():
                if not _same(weight, values):
                    weight.copy_(values)
        for parameter, gradient, hooks in self._gradients:
            parameter.grad = gradient
            if hooks:
                parameter._post_accumulate_grad_hooks.update(hooks)
        self.changed = [
            name for name, each, version in self._versions if each._version != version and id(each) not in self._scaled
        ]


class _Generators:
    """Python's, numpy's and torch's random generators."""

    def __init__(self, model: nn.Module) -> None:
        self._numpy: Any = sys.modules.get("numpy")
        self._python = random.getstate()
        self._arrays = self._numpy.random.get_state() if self._numpy is not None else None
        self._torch = torch.get_rng_state()
        devices = {each.device for each in model.parameters() if each.device.type == "cuda"}
        self._cuda = [(device, torch.cuda.get_rng_state(device)) for device in devices]
        on_mps = any(each.device.type == "mps" for each in model.parameters())
        self._mps = torch.mps.get_rng_state() if on_mps else None

    def restore(self) -> None:
        random.setstate(self._python)
        if self._numpy is not None:
            self._numpy.random.set_state(self._arrays)
        torch.set_rng_state(self._torch)
        for device, state in self._cuda:
            torch.cuda.set_rng_state(state, device)
        if self._mps is not None:
            torch.mps.set_rng_state(self._mps)


def _same(tensor: Tensor, values: Tensor) -> bool:
    """Equal to the bit, also where it is not a number."""
    if tensor.layout != torch.strided or tensor.shape != values.shape:
        return False
    return (
        bool(torch.equal(tensor.detach().contiguous().view(torch.uint8), values.contiguous().view(torch.uint8)))
        if tensor.dim()
        else tensor.item() == values.item()
    )
