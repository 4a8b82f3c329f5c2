"""A plan for a kind of file: types that it lacks are widened, ties that it cannot hold are repeated."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.conversion.kinds import SHARD_SIZE
from paraminspect.conversion.plan import Item
from paraminspect.errors import ParamInspectError
from paraminspect.formats.table import Format, resolve
from paraminspect.records import PAIRS
from paraminspect.text import counted, parse_size
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Layout, OutTensor
from paraminspect.writers.npz import DESCRIPTIONS
from paraminspect.writers.planners import Packing

WIDENED: Final = {
    **dict.fromkeys(("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", PAIRS), "float32"),
    "complex32": "complex64",
}  # fmt: skip
"""What numpy has in place of torch's types, without loss."""


class Outlined(NamedTuple):
    """Files, and what goes into them.

    Attributes:
        items: By index of the layout's tensors.
        notes: What the kind of file cannot hold, one line each.
    """

    layout: Layout
    items: tuple[Item, ...]
    notes: tuple[str, ...]


def lay_out(
    items: Sequence[Item], row: Format, file: str, metadata: Mapping[str, str], shard_size: str = ""
) -> Outlined:
    """Where everything lies.

    Args:
        metadata: For a format that has room for them.

    Raises:
        ParamInspectError: The format is not written, or cannot hold a tensor, which it names.
        LimitExceededError: More tensors or shards than readers take.
    """
    if not row.writer:
        raise ParamInspectError(
            f"-o {file}: {row.endings[0]} files are not written", hint="end the name in .safetensors, .pt, .npz or /"
        )
    notes: list[str] = []
    if row.adapter:
        items, notes = resolve(row.adapter)(items)
    asked = Packing(os.path.splitext(os.path.basename(file))[0], metadata, parse_size(shard_size or SHARD_SIZE))
    layout = resolve(row.writer)([item.out for item in items], asked)
    if row.carried is None and any(key != "format" for key in metadata):
        notes.append("the metadata are not written: only safetensors has room for them")
    return Outlined(layout, tuple(items), tuple(notes))


def fit_npz(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The arrays of an npz: each name for itself, in types that numpy has."""
    found: list[Item] = []
    repeated = 0
    widened: dict[str, str] = {}
    for item in items:
        out, is_kept = item.out, item.is_kept
        if out.dtype not in DESCRIPTIONS and out.dtype in WIDENED:
            shape = (*out.shape[:-1], 2 * out.shape[-1]) if out.dtype == PAIRS and out.shape else out.shape
            widened[out.dtype] = WIDENED[out.dtype]
            out, is_kept = out._replace(dtype=WIDENED[out.dtype], shape=shape), False
        names = (out.name, *out.aliases)
        found += [Item(OutTensor(name, out.dtype, out.shape), item.record, is_kept) for name in names]
        repeated += len(out.aliases)
    notes = [f"numpy has no {name}: written as {wide}, without loss" for name, wide in widened.items()]
    if repeated:
        notes.append(f"an npz cannot share: {counted(repeated, 'tied tensor')} written again under each further name")
    return found, notes
