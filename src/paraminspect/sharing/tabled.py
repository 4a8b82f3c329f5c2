"""Groups of ties as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paraminspect.records import TieGroup
from paraminspect.render.columns import GROUPS
from paraminspect.render.rows import Rows, merge_rows
from paraminspect.sharing.search import Searched
from paraminspect.text import format_bytes

MAX_ALIASES = 20
"""Lines of a table that one group may take."""


def group_rows(each: Searched, groups: Sequence[TieGroup], searched: Sequence[Searched]) -> Rows:
    """A row for each group of one source; others of the run may be named in them."""
    values = [_row(group, searched) for group in groups]
    totals = {
        "groups": len(groups),
        "aliases": sum(len(group.names) - 1 for group in groups),
        "saved": _add(group.saved for group in groups),
    }
    head = {"source": each.checkpoint.source, "format": each.checkpoint.format}
    return Rows("groups", GROUPS, values, head, {"totals": totals}, _describe(totals))


def _row(group: TieGroup, searched: Sequence[Searched]) -> tuple[Any, ...]:
    """A group's columns; a name in another source than the first one's says which."""
    name, *aliases = group.names
    if group.sources:
        aliases = [
            alias if number == group.sources[0] else f"{searched[number].checkpoint.source}:{alias}"
            for alias, number in zip(aliases, group.sources[1:], strict=True)
        ]
    return group.kind, name, tuple(aliases), group.shape, group.dtype, group.nbytes, group.saved


def merge_groups(parts: Sequence[Rows], *, several: bool, named: bool) -> Rows:
    """The rows of a run as one.

    Args:
        several: Whether several sources were asked for, be it that one alone could be read.
        named: Whether a column names the source; that of several does.
    """
    named = named or several
    if named:
        parts = [part.with_source(str(part.head["source"])) for part in parts]
    if not several:
        return parts[0]
    totals = {key: _add(part.tail["totals"][key] for part in parts) for key in parts[0].tail["totals"]}
    return merge_rows(parts, {"totals": totals}, _describe(totals))


def one_alias_a_line(rows: Rows) -> Rows:
    """The rows of a table in which each alias has a line, since they rarely fit on one."""
    at = next((index for index, column in enumerate(rows.columns) if column.name == "aliases"), None)
    if at is None:
        return rows
    nothing = (None,) * len(rows.columns)
    values = []
    for row in rows.values:
        more = len(row[at]) - MAX_ALIASES
        aliases = [*row[at][:MAX_ALIASES], f"and {more:,} more"] if more > 1 else row[at]
        for number, alias in enumerate(aliases):
            line = nothing if number else row
            values.append((*line[:at], (alias,), *line[at + 1 :]))
    return rows._replace(values=values)


def _add(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)


def _describe(totals: Mapping[str, int | None]) -> str:
    """The closing line: "1 group, 1 alias, 147 MiB saved"."""
    groups, aliases, saved = totals["groups"] or 0, totals["aliases"] or 0, totals["saved"]
    if not groups:
        return "no ties"
    size = "size not known" if saved is None else f"{format_bytes(saved)} saved"
    return f"{groups:,} group{'s' * (groups > 1)}, {aliases:,} alias{'es' * (aliases > 1)}, {size}"
