"""What autograd keeps for the backward pass: the storages of the tensors that operations save."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from paraminspect.live.cost.flops import Stack
from paraminspect.tuples import NamedTuple


class _Saved:
    """What the graph holds in a tensor's place: once nothing holds it, it is not kept."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Note(NamedTuple):
    saved: weakref.ref[_Saved]
    stack: Stack


class Kept:
    """Notes what is saved while `watching`.

    Args:
        at: Says which modules are at work.
    """

    def __init__(self, at: Callable[[], Stack]) -> None:
        self._at = at
        self._notes: list[_Note] = []

    def watching(self) -> AbstractContextManager[Any]:
        """Entered for the forward pass."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)

    def nbytes(self, held: Collection[object]) -> Counter[Stack]:
        """Bytes of what is still kept, each storage once, where it was saved first.

        Args:
            held: Keys of storages that do not count: those of parameters and buffers.
        """
        met = set(held)
        sizes: Counter[Stack] = Counter()
        for note in self._notes:
            saved = note.saved()
            if saved is None:
                continue
            key, size = storage_of(saved.tensor)
            if key not in met:
                met.add(key)
                sizes[note.stack] += size
        return sizes

    def _pack(self, tensor: Tensor) -> _Saved:
        saved = _Saved(tensor.detach())  # else an operation that saves what it returns would hold itself
        self._notes.append(_Note(weakref.ref(saved), self._at()))
        return saved

    def _unpack(self, saved: _Saved) -> Tensor:
        return saved.tensor


def storage_of(tensor: Tensor) -> tuple[object, int]:
    """What is equal for tensors that share bytes, and how many bytes there are."""
    try:
        storage = tensor.untyped_storage()
        return storage._cdata, storage.nbytes()
    except (NotImplementedError, RuntimeError):  # of layouts without one
        return id(tensor), tensor.numel() * tensor.element_size()
