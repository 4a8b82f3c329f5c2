"""Records as the data of the page: plain lists and dicts, tensors by column, what few of them have by index.

docs/report.md says what each key means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from paraminspect.names.listing import Listing
from paraminspect.pages.page import SCHEMA
from paraminspect.records import TensorRecord, TieGroup
from paraminspect.render.columns import NUMBERS
from paraminspect.render.rows import Rows
from paraminspect.summaries import Finding, Info

DIGITS: Final = 6
"""Of a statistic: what a screen shows, and more."""

_HISTOGRAM: Final = [column.name for column in NUMBERS].index("histogram")


def document(
    version: str,
    sources: Sequence[Mapping[str, Any]],
    changes: Mapping[str, Any] | None,
    gradients: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """All the data of a page: one source, or two of which the second came later."""
    parts = {"sources": sources, "changes": changes, "gradients": gradients}
    return {"schema": SCHEMA, "version": version, **_plain(parts)}


def source_part(
    info: Info,
    listing: Listing,
    *,
    notes: Sequence[str],
    findings: Iterable[Finding],
    statistics: Sequence[tuple[Any, ...] | None] | None,
    ties: Iterable[TieGroup],
) -> dict[str, Any]:
    """What is known of one source.

    Args:
        listing: With all names.
        statistics: Of each tensor of the listing, in the order of the columns `NUMBERS`; None where there is none, and
            for all where no values were read.
    """
    return {
        "info": {**info._asdict(), "training": info.training and info.training._asdict(), "modules": None},
        "notes": list(notes),
        "findings": [each._asdict() for each in findings],
        "tensors": _tensors(listing),
        "statistics": None if statistics is None else _statistics(statistics),
        "ties": [{"kind": each.kind, "name": each.names[0], "aliases": each.names[1:]} for each in ties],
    }


def change_part(rows: Rows) -> dict[str, Any]:
    """The rows of `diff`."""
    return {"rows": _objects(rows), "unchanged": rows.tail["unchanged"]}


def gradient_part(rows: Rows) -> dict[str, Any]:
    """The rows of `grad`, and what stands beside them."""
    beside = {**rows.head, **rows.tail}
    return {"loss": beside["loss"], "total_norm": beside["total_norm"], "parameters": _objects(rows)}


def _objects(rows: Rows) -> list[dict[str, Any]]:
    names = [column.name for column in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in rows.values]


def _tensors(listing: Listing) -> dict[str, Any]:
    records = listing.records
    dtypes, dtype = _numbered([record.dtype for record in records])
    kinds, kind = _numbered([record.kind for record in records])
    return {
        "name": [record.name for record in records],
        "shape": [record.shape for record in records],
        "dtypes": dtypes,
        "dtype": dtype,
        "nbytes": [record.nbytes for record in records],
        "kinds": kinds,
        "kind": kind,
        "numel": {i: record.meant_numel for i, record in enumerate(records) if record.meant_numel != _numel(record)},
        "tied_to": {i: listing.tied_to.get(i) or record.name for i, record in _repeated(listing)},
        "encoding": {i: record.encoding_label for i, record in enumerate(records) if record.encoding_label},
        "types": {record.name.rpartition(".")[0]: record.module_type for record in records if record.module_type},
    }


def _repeated(listing: Listing) -> Iterable[tuple[int, TensorRecord]]:
    return ((index, listing.records[index]) for index in sorted({*listing.repeated, *listing.tied_to}))


def _numel(record: TensorRecord) -> int:
    return math.prod(record.shape) if record.shape is not None else -1


def _numbered(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """Each word once, and which of them stands at each place."""
    places = {word: place for place, word in enumerate(dict.fromkeys(words))}
    return list(places), [places[word] for word in words]


def _statistics(rows: Sequence[tuple[Any, ...] | None]) -> dict[str, Any]:
    known = [row if row is not None else (None,) * len(NUMBERS) for row in rows]
    return {
        "columns": [column.name for place, column in enumerate(NUMBERS) if place != _HISTOGRAM],
        "rows": [[_short(value) for place, value in enumerate(row) if place != _HISTOGRAM] for row in known],
        "histogram": [row[_HISTOGRAM] for row in known],
    }


def _short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    """The same of what JSON has words for: what is not a finite number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
