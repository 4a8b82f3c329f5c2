"""Names that a file declares to be other names of a tensor, without storing it twice.

A format in which no two names may share bytes can only say so. `safetensors.torch.save_model` drops all names of a
shared tensor but one and writes {dropped: kept} into `__metadata__`. A name that is dropped is made a record again, so
that it is listed and counted as it is elsewhere.

In a Hugging Face folder `config.json` tells the class of the model, and so what it ties (`class_ties`). A config is untrusted
like any file: one that cannot be read is a remark, and never keeps the model from being read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.paths import base_name
from paraminspect.records import Checkpoint, Declaration, TensorRecord

NO_NAMES = frozenset({"format"})
"""Keys of safetensors' metadata with a meaning of their own: "pt" may well be a tensor."""

MAX_DECLARED: Final = 100_000
"""Ties that one file may declare; a model has a handful."""


def declared_by_metadata(metadata: Mapping[str, str], names: Collection[str]) -> tuple[Declaration, ...]:
    """The ties in the metadata of a safetensors file: entries whose value is the name of a tensor.

    Raises:
        LimitExceededError: More than MAX_DECLARED.
    """
    found = tuple(
        Declaration(alias, name, "metadata")
        for alias, name in metadata.items()
        if name in names and alias and name and alias != name and alias not in NO_NAMES
    )
    if len(found) > MAX_DECLARED:
        raise LimitExceededError("declared ties", limit=MAX_DECLARED, actual=len(found))
    return found


def with_declared(tensors: Sequence[TensorRecord], declared: Iterable[Declaration]) -> Sequence[TensorRecord]:
    """The tensors, and behind them those names that are declared but not stored."""
    wanted = [each for each in declared if each.tied]
    if not wanted:
        return tensors
    by_name = {record.name: record for record in tensors}
    added = [
        by_name[each.name]._replace(name=each.alias, declared=True)
        for each in wanted
        if each.alias not in by_name and each.name in by_name
    ]
    return [*tensors, *added] if added else tensors


def add_config(checkpoint: Checkpoint, path: str) -> Checkpoint:
    """The checkpoint with what the config beside it declares, or with a remark that it cannot be read.

    Args:
        path: Of its `config.json`.
    """
    from paraminspect.formats.class_ties import declared_by_config  # which a single file does without
    from paraminspect.formats.sharded import load_json

    try:
        config = load_json(path, base_name(path))
    except ParamInspectError as error:
        return checkpoint._replace(
            notes=(*checkpoint.notes, f"ties that it may declare are not known: {error.message}")
        )
    names = {record.name for record in checkpoint.tensors if record.role == "model" and not record.declared}
    declared = declared_by_config(config, names)
    if not declared:
        return checkpoint
    known = {(each.alias, each.name) for each in checkpoint.declared}
    added = tuple(each for each in declared if (each.alias, each.name) not in known)
    return checkpoint._replace(
        tensors=with_declared(checkpoint.tensors, added), declared=(*checkpoint.declared, *added)
    )
