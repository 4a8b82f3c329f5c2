"""Tensors that are asked for by name, glob or regular expression, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.errors import SelectionError
from paraminspect.names.selector import parse_selector
from paraminspect.names.suggestions import suggest
from paraminspect.records import TensorRecord

_GLOB = frozenset("*?[/:")


def choose_records(records: Sequence[TensorRecord], names: Sequence[str]) -> list[TensorRecord]:
    """The tensors of these names and patterns, in the order in which they are asked for, each once.

    Raises:
        SelectionError: A name or pattern means none.
    """
    chosen: dict[str, TensorRecord] = {}
    by_name: dict[str, TensorRecord] = {}
    for record in records:
        by_name.setdefault(record.name, record)
    for record in records:
        if (logical := record.logical) is not None:
            by_name.setdefault(logical.name, record)
    for name in names:
        if name in by_name:
            chosen[name] = by_name[name]
            continue
        found = []
        if not _GLOB.isdisjoint(name):
            selector = parse_selector(name)
            found = [record for record in records if selector.matches(record.name, *record.module_types)]
        if not found:
            raise _no_such(name, list(by_name))
        chosen.update({record.name: by_name[record.name] for record in found if record.name not in chosen})
    return list(chosen.values())


def _no_such(name: str, names: list[str]) -> SelectionError:
    inside = [known for known in names if known.startswith(f"{name}.")]
    if inside:
        return SelectionError(f"{name!r} is a module, not a tensor", hint=f"'{name}.*' means all {len(inside):,} in it")
    if not _GLOB.isdisjoint(name):
        return SelectionError(f"nothing matches {name!r}")
    endings = [known for known in names if known.endswith(f".{name}")]
    hint = f"did you mean {endings[0]}?" if endings else suggest(name, names, "the tensors are", 6)
    return SelectionError(f"there is no tensor {name!r}", hint=hint or "there are none at all")
