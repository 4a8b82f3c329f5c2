"""Hugging Face shards: a folder of safetensors files, and an index that says which tensor is in which.

    model-00001-of-00003.safetensors ...   as many tensors, in order, as stay within the size of a shard
    model.safetensors.index.json           {"metadata": {"total_size": BYTES}, "weight_map": {TENSOR: FILE, ...}}

A tensor larger than a shard gets one of its own. What fits in one shard is `model.safetensors`, without an index. The
index names what the shards hold, so no aliases, as where transformers drops tied weights before it saves; every shard
declares all ties in its metadata, so that each reader of one sees them.

Source: `split_state_dict_into_shards_factory` of huggingface_hub 1.0, `save_pretrained` of transformers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError
from paraminspect.formats.sharded import MAX_SHARDS
from paraminspect.writers.layout import FileLayout, Layout, OutTensor, Piece, Slot, check_names
from paraminspect.writers.safetensors import check_dtypes, declare_ties, pack

SUFFIX: Final = ".safetensors"


def plan_shards(
    tensors: Sequence[OutTensor], metadata: Mapping[str, str], shard_size: int, stem: str = "model"
) -> Layout:
    """A folder in the layout of Hugging Face.

    Args:
        tensors: In the order in which they are spread over the shards.
        metadata: For each shard, as in `plan_safetensors`.
        shard_size: Most bytes of tensors in a shard, unless it holds one alone; at least 1.
        stem: What the files' names begin with.

    Raises:
        ParamInspectError: As `plan_safetensors`.
        LimitExceededError: More shards than readers take.
    """
    check_names(tensors)
    check_dtypes(tensors)
    declared = declare_ties(tensors, metadata)
    groups = _split([tensor.nbytes for tensor in tensors], shard_size)
    if len(groups) > MAX_SHARDS:
        raise LimitExceededError("shards", limit=MAX_SHARDS, actual=len(groups), hint="a larger --shard-size")
    slots: dict[int, Slot] = {}
    files: list[FileLayout] = []
    weight_map: dict[str, str] = {}
    for number, group in enumerate(groups):
        name = f"{stem}-{number + 1:05}-of-{len(groups):05}{SUFFIX}" if len(groups) > 1 else f"{stem}{SUFFIX}"
        members = [tensors[index] for index in group]
        packed = pack(members, declared)
        files.append(FileLayout(name, packed.nbytes, (Piece(0, packed.header),)))
        for index, tensor, offset in zip(group, members, packed.offsets, strict=True):
            slots[index] = Slot(number, offset, tensor.nbytes)
            weight_map[tensor.name] = name
    if len(groups) > 1:
        total = sum(tensor.nbytes for tensor in tensors)
        index_file = {"metadata": {"total_size": total}, "weight_map": weight_map}
        text = f"{json.dumps(index_file, indent=2, sort_keys=True)}\n".encode()
        files.append(FileLayout(f"{stem}{SUFFIX}.index.json", len(text), (Piece(0, text),)))
    ordered = tuple(slots[index] for index in range(len(tensors)))
    return Layout(tuple(files), ordered, is_folder=True, sequential=False)


def _split(sizes: Sequence[int], shard_size: int) -> list[list[int]]:
    """Indices of the tensors of each shard; one empty shard if there are none."""
    groups: list[list[int]] = []
    current: list[int] = []
    filled = 0
    for index, size in enumerate(sizes):
        if size > shard_size:
            groups.append([index])
            continue
        if filled + size > shard_size:
            groups.append(current)
            current, filled = [], 0
        current.append(index)
        filled += size
    if current or not groups:
        groups.append(current)
    return groups
