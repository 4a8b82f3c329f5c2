"""A copy of a model that has shapes, types and a device, and no values: it runs without computing anything.

torch calls such tensors fake. Other than those of the meta device they say that they are on the CPU, so that code which
makes tensors of its own runs, and torch takes the kernels that it takes there. What has to look at values fails.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.parameter import is_lazy

from paraminspect.live.build.describe import iter_tensors
from paraminspect.live.build.forward import Inputs, map_tensors


def make_mode() -> FakeTensorMode:
    """What is made or used while it is entered has no values."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def copy_model(model: nn.Module, mode: FakeTensorMode, dtype: torch.dtype | None = None) -> nn.Module:
    """A model with the same modules and hooks, whose tensors have no values; those that share bytes still do.

    Args:
        model: Stays as it is; on any device.
        mode: Not entered.
        dtype: Of floating-point tensors; None leaves each as it is.

    Raises:
        Exception: Some part of it cannot be copied.
    """
    storages: dict[tuple[object, torch.dtype], Tensor] = {}
    copies: dict[int, Any] = {}
    for each in iter_tensors(model):
        tensor = each.tensor
        if id(tensor) not in copies and not is_lazy(tensor):
            copies[id(tensor)] = _copy_tensor(tensor, mode, dtype if tensor.is_floating_point() else None, storages)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return copy.deepcopy(model, copies)


def copy_inputs(inputs: Inputs, mode: FakeTensorMode, dtype: torch.dtype | None = None) -> Inputs:
    """What a model is called with, without values; what is one tensor stays one.

    Args:
        dtype: As of `copy_model`.
    """
    copies: dict[int, Tensor] = {}

    def copied(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            wanted = dtype if tensor.is_floating_point() and dtype is not None else tensor.dtype
            with mode:
                made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=wanted, device="cpu")
            copies[id(tensor)] = made.requires_grad_(tensor.requires_grad)
        return copies[id(tensor)]

    return Inputs(*map_tensors(tuple(inputs), copied))


@contextmanager
def quietly() -> Iterator[None]:
    """What torch logs of operations that cannot run without values is not shown: it is said in one line."""
    loggers = [logging.getLogger(name) for name in ("torch._subclasses.fake_tensor", "torch.fx.experimental")]
    before = [each.disabled for each in loggers]
    for each in loggers:
        each.disabled = True
    try:
        yield
    finally:
        for each, disabled in zip(loggers, before, strict=True):
            each.disabled = disabled


def _copy_tensor(
    tensor: Tensor, mode: FakeTensorMode, dtype: torch.dtype | None, storages: dict[tuple[object, torch.dtype], Tensor]
) -> Tensor:
    storage = tensor.untyped_storage()
    key = (storage._cdata if tensor.is_meta else storage.data_ptr() or storage._cdata, tensor.dtype)
    with mode:
        if key not in storages:
            numel = storage.nbytes() // tensor.element_size()
            storages[key] = torch.empty(numel, dtype=dtype or tensor.dtype, device="cpu")
        made = storages[key].as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made.detach().requires_grad_(tensor.requires_grad)
