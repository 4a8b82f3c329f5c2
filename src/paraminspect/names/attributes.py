"""Plain tensor attributes of modules: which of them are lost for training, and which only look so."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.records import TensorRecord

PARTS = ("_orig", "_g", "_v")
"""Endings of the parameters from which pruning, weight norm and spectral norm make a tensor anew in each forward."""


def find_lost(records: Sequence[TensorRecord]) -> list[int]:
    """Indices of the tensors that are neither parameter nor buffer, and neither one of those again nor made of them.

    One again is `_flat_weights` of every recurrent layer.
    """
    found = [index for index, record in enumerate(records) if record.role == "attribute"]
    if not found:
        return []
    known = {_bytes_of(each) for each in records if each.kind == "parameter" and each.storage is not None}
    names = {each.name for each in records}
    return [
        index
        for index in found
        if _bytes_of(records[index]) not in known
        and not any(f"{records[index].name}{ending}" in names for ending in PARTS)
    ]


def _bytes_of(record: TensorRecord) -> object:
    return id(record.storage), record.offset, record.shape
