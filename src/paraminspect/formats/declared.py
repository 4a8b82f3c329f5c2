"""Names that a file declares to be other names of a tensor, without storing it twice.

A format in which no two names may share bytes can only say so. `safetensors.torch.save_model` drops all names of a
shared tensor but one and writes {dropped: kept} into `__metadata__`; transformers writes `tie_word_embeddings` into
`config.json`. A name that is dropped is made a record again, so that it is listed and counted as it is elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from paraminspect.errors import LimitExceededError
from paraminspect.records import Declaration, TensorRecord

MAX_DECLARED: Final = 100_000
"""Ties that one file may declare; a model has a handful."""

NO_NAMES = frozenset({"format"})
"""Keys of safetensors' metadata with a meaning of their own: "pt" may well be a tensor."""


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
