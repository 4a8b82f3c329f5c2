"""Tensors that are asked for by name, glob or regular expression, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.errors import SelectionError
from paraminspect.names.missed import explain_miss
from paraminspect.names.selector import Selector, parse_selector
from paraminspect.names.suggestions import suggest
from paraminspect.records import TensorRecord


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
        selector = parse_selector(name)
        found = [record for record in records if selector.matches(record.name, record.classes)]
        if not found:
            raise _no_such(selector, records, list(by_name))
        chosen.update({record.name: by_name[record.name] for record in found if record.name not in chosen})
    return list(chosen.values())


def _no_such(selector: Selector, records: Sequence[TensorRecord], names: list[str]) -> SelectionError:
    name = selector.text
    inside = [known for known in names if known.startswith(f"{name}.")]
    if inside:
        return SelectionError(f"{name!r} is a module, not a tensor", hint=f"'{name}.*' means all {len(inside):,} in it")
    if selector.literal is None or selector.module_type is not None:
        why = explain_miss(selector, [(record.name, record.classes) for record in records])
        return SelectionError(f"nothing matches {name!r}", hint=why or None)
    endings = [known for known in names if known.endswith(f".{name}")]
    hint = f"did you mean {endings[0]}?" if endings else suggest(name, names, "the tensors are", 6)
    return SelectionError(f"there is no tensor {name!r}", hint=hint or "there are none at all")
