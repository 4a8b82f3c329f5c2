"""Running a model and leaving it as it was: values, gradients, modes, hooks, structure and random generators."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from paraminspect.live.build.containers import is_block
from paraminspect.records import Kind

MAX_KEPT_BYTES: Final = 1 << 30
"""Parameters of models up to this size are copied, so that what a forward pass writes into them can be undone."""

OWN_PACKAGES: Final = ("torch", __package__.partition(".")[0])
"""Of classes of layers that are known to write into no parameter but by design."""

CONTAINERS = (dict, OrderedDict, defaultdict, list, deque, set)
"""What modules keep their parameters, children, hooks and things of their own in."""


@contextmanager
def leaving_untouched(model: nn.Module, *, structure: bool = True, copies: bool = True) -> Iterator[Before]:
    """Put back, bit for bit, what a forward and a backward pass change.

    Inside, every gradient is None at first. Afterwards gradients are the tensors they were, parameters, buffers and
    tensors that are plain attributes have their values, each module its mode, its attributes and its hooks, and every
    random generator its state; layers that were made in between are gone, lazy ones are lazy again. Hooks that wait for
    a finished gradient, such as an optimizer's step inside the backward pass, do not run.

    Args:
        structure: Whether modules get their attributes, parameters, buffers and children back too; otherwise what was
            made in between stays.
        copies: Whether parameters are copied at all: without a copy, one that is written into is named and stays so. A
            layer that scales its weight by design has a copy.
    """
    before = Before(model, structure=structure, copies=copies)
    generators = _Generators(model)
    try:
        yield before
    finally:
        generators.restore()
        before.restore()


class Before:
    """What a model was.

    Attributes:
        parameters: By name.
        changed: Names of parameters that the forward pass itself wrote into (an Embedding with max_norm apart); known
            afterwards.
        lost: Those of them that are not as they were, since there is no copy, or the model is larger than MAX_KEPT_BYTES.
    """

    def __init__(self, model: nn.Module, *, structure: bool, copies: bool = True) -> None:
        self.parameters = dict(model.named_parameters())
        self.changed: list[str] = []
        self.lost: list[str] = []
        self._model = model
        self._modules = [_Module(module, structure=structure) for module in model.modules()]
        scaled = {id(each.module.weight) for each in self._modules if _scales(each.module)}
        size = sum(each.numel() * each.element_size() for each in self.parameters.values() if not is_lazy(each))
        copies = copies and size <= MAX_KEPT_BYTES
        self._kept = {
            name: _Kept(each, is_copied=copies or id(each) in scaled, structure=structure)
            for name, each in self.parameters.items()
        }
        self._scaled = {name for name, each in self.parameters.items() if id(each) in scaled}
        others = _other_tensors(model, {id(each) for each in self.parameters.values()})
        self._others = [_Kept(each, structure=structure) for each in others]
        self._buffers = dict(model.named_buffers())
        self._gradients: list[tuple[Tensor, Tensor | None, dict[Any, Any]]] = []
        for parameter in self.parameters.values():
            hooks = parameter._post_accumulate_grad_hooks or {}
            self._gradients.append((parameter, parameter.grad, dict(hooks)))
            parameter.grad = None
            hooks.clear()

    def made(self) -> dict[str, Kind]:
        """Parameters and buffers that are there now and were not before, by name; of replaced ones, parameters."""
        made: dict[str, Kind] = {
            name: "parameter" for name, each in self._model.named_parameters() if self.parameters.get(name) is not each
        }
        return made | {name: "buffer" for name, _ in self._model.named_buffers() if name not in self._buffers}

    def restore(self) -> None:
        for module in self._modules:
            module.restore()
        for name, kept in self._kept.items():
            if kept.restore() and name not in self._scaled:
                self.changed.append(name)
                self.lost += [name] if kept.values is None else []
        for tensor in self._others:
            tensor.restore()
        for parameter, gradient, hooks in self._gradients:
            parameter.grad = gradient
            if hooks:
                parameter._post_accumulate_grad_hooks.update(hooks)


class _Module:
    """The class, attributes and hooks of a module, and what its own containers hold."""

    def __init__(self, module: nn.Module, *, structure: bool) -> None:
        self.module = module
        self._training = getattr(module, "training", None)  # not there, of one that is scripted and frozen
        # what is scripted lives in C++, and cannot be given children
        self._is_whole = structure and not isinstance(module, torch.jit.ScriptModule)
        if self._is_whole:
            self._cls = type(module)
            self._attributes = dict(vars(module))
            self._inside = [(each, each.copy()) for each in self._attributes.values() if type(each) in CONTAINERS]

    def restore(self) -> None:
        if not self._is_whole:
            if self._training is not None and self.module.training != self._training:
                self.module.training = self._training
            return
        if type(self.module) is not self._cls:
            self.module.__class__ = self._cls
        if not _holds_same(vars(self.module), self._attributes):
            _refill(vars(self.module), self._attributes)
        for container, held in self._inside:
            if not _holds_same(container, held):
                _refill(container, held)


class _Kept:
    """A tensor, and what it was.

    Args:
        is_copied: Whether its values are.
        structure: Whether a lazy parameter that has a shape meanwhile loses it again.

    Attributes:
        values: A copy; None without.
    """

    def __init__(self, tensor: Tensor, *, is_copied: bool = True, structure: bool = True) -> None:
        self._tensor = tensor
        self._cls = type(tensor)
        self._is_lazy = is_lazy(tensor)
        self._structure = structure
        self._bytes = tensor.data
        self._requires_grad = tensor.requires_grad
        self._version = _version(tensor)
        is_plain = not self._is_lazy and tensor.layout == torch.strided and not tensor.is_meta
        is_plain = is_plain and not is_traceable_wrapper_subclass(tensor)
        self.values = tensor.detach().clone() if is_copied and is_plain else None

    def restore(self) -> bool:
        """Whether it had other values."""
        tensor = self._tensor
        if self._is_lazy:
            if self._structure and type(tensor) is not self._cls:
                tensor.data, tensor.__class__ = self._bytes, self._cls
            return False
        if tensor.is_leaf and tensor.requires_grad != self._requires_grad:
            tensor.requires_grad_(self._requires_grad)
        moved = not _is_where(tensor, self._bytes)
        if moved:
            tensor.data = self._bytes
        if self.values is None:
            return moved or _version(tensor) != self._version
        if _same(tensor, self.values):
            return moved
        try:
            with torch.no_grad():
                tensor.copy_(self.values)
        except RuntimeError:  # of a shape that it has been given meanwhile, or several elements in one place
            tensor.data = self.values
        return True


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


def is_of_torch(model: nn.Module) -> bool:
    """Whether all its layers are torch's or a spec's own: no code of the user's may write into a parameter."""
    classes = {type(each) for each in model.modules()}
    return all(is_block(cls) or cls.__module__.partition(".")[0] in OWN_PACKAGES for cls in classes)


def _scales(module: nn.Module) -> bool:
    """Whether its forward pass scales its weight by design."""
    return isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None


def _other_tensors(model: nn.Module, parameters: set[int]) -> list[Tensor]:
    """Buffers, and tensors that are plain attributes."""
    found: dict[int, Tensor] = {}
    for module in model.modules():
        own = [] if isinstance(module, torch.jit.ScriptModule) else list(vars(module).values())
        for each in [*module._buffers.values(), *own]:
            if isinstance(each, Tensor) and id(each) not in parameters:
                found[id(each)] = each
    return list(found.values())


def _holds_same(container: Any, held: Any) -> bool:
    """The same objects in the same order; of sets, equal ones."""
    if isinstance(held, set):
        return bool(container == held)
    if len(container) != len(held):
        return False
    if isinstance(held, Mapping):
        pairs = zip(container.items(), held.items(), strict=True)
        return all(key == due and value is other for (key, value), (due, other) in pairs)
    return all(value is other for value, other in zip(container, held, strict=True))


def _refill(container: Any, held: Any) -> None:
    container.clear()
    (container.extend if isinstance(container, (list, deque)) else container.update)(held)


def _version(tensor: Tensor) -> int:
    """How often it was written into, where torch counts."""
    return 0 if is_lazy(tensor) or tensor.is_inference() else tensor._version


def _is_where(tensor: Tensor, data: Tensor) -> bool:
    """Whether a tensor still is of these bytes, in this shape."""
    if tensor.shape != data.shape or tensor.layout != data.layout or tensor.dtype != data.dtype:
        return False
    with suppress(RuntimeError, NotImplementedError):  # without a storage of its own
        return tensor.layout != torch.strided or tensor.data_ptr() == data.data_ptr()
    return True


def _same(tensor: Tensor, values: Tensor) -> bool:
    """Equal to the bit, also where it is not a number."""
    if tensor.layout != torch.strided or tensor.shape != values.shape or tensor.dtype != values.dtype:
        return False
    if not tensor.numel():
        return True
    tensor, values = tensor.detach().reshape(-1), values.reshape(-1)
    try:
        return bool(torch.equal(tensor.contiguous().view(torch.uint8), values.contiguous().view(torch.uint8)))
    except (RuntimeError, TypeError):  # a type whose bytes torch does not show
        return False
