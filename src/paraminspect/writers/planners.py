"""The writers that the table of formats names, called alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Layout, OutTensor
from paraminspect.writers.npz import plan_npz
from paraminspect.writers.safetensors import plan_safetensors
from paraminspect.writers.shards import plan_shards
from paraminspect.writers.torch_zip import plan_torch_zip


class Packing(NamedTuple):
    """What is asked of a file beside its tensors; a format takes of it what it has room for.

    Attributes:
        metadata: By key.
        shard_size: Most bytes of tensors in one of several files.
    """

    stem: str
    metadata: Mapping[str, str]
    shard_size: int


def safetensors(tensors: Sequence[OutTensor], asked: Packing) -> Layout:
    """See `plan_safetensors`."""
    return plan_safetensors(tensors, asked.metadata)


def shards(tensors: Sequence[OutTensor], asked: Packing) -> Layout:
    """See `plan_shards`."""
    return plan_shards(tensors, asked.metadata, asked.shard_size)


def torch_zip(tensors: Sequence[OutTensor], asked: Packing) -> Layout:
    """See `plan_torch_zip`."""
    return plan_torch_zip(tensors, asked.stem)


def npz(tensors: Sequence[OutTensor], _: Packing) -> Layout:
    """See `plan_npz`."""
    return plan_npz(tensors)
