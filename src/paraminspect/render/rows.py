"""What every command prints: rows under columns, and what a document says around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from paraminspect.render.theme import Ink
from paraminspect.tuples import NamedTuple

Format = Literal["table", "tsv", "csv", "json", "jsonl", "markdown", "names"]

ColumnKind = Literal[
    "name",
    "text",
    "class",
    "int",
    "bytes",
    "shape",
    "bool",
    "names",
    "float",
    "pairs",
    "items",
    "object",
    "histogram",
    "json",
]
"""Type of a column's values, None in each of them meaning "not known":

    name    str, a dotted name: shortened in the middle on a narrow terminal, code in markdown
    text    str
    class   str, a dotted class: on a table only its own name
    int     int: thousands separators on a table
    bytes   int: with a binary unit on a table
    shape   sequence of int, () for a scalar
    bool    bool
    names   sequence of str: joined by commas
    float   float: all digits in a pipe, four on a table; not a number and infinities are null in JSON
    items   sequence of what json.dumps takes: their number, but in JSON all of them
    object  mapping of names to what json.dumps takes: "epoch=3,step=1200" of what is no mapping or list, in JSON all of it
    histogram  sequence of counts: a sparkline, in JSON the counts
    pairs   mapping of names to numbers and words: "mean=0.0,std=0.02" in a pipe, four digits on a table
    json    anything json.dumps takes
"""

NUMBERS: frozenset[str] = frozenset({"int", "bytes", "float", "items"})
"""Kinds that stand on the right of their column."""

EMPTY_NAME = '""'
"""On a terminal, a name that is empty: of a tensor that is the whole file, of the outermost module."""

_DIGITS = "([0-9]{1,18})"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Column(NamedTuple):
    """One column.

    Attributes:
        name: Its key in JSON, its heading elsewhere.
        kind: Type of its values.
        dull: A value that says nothing: a table for people leaves out a column of only this and None.
        asked: Whether the user named the column: then it is left out of no table for being dull.
        spare: How readily the column gives way on a narrow terminal; those of 0 go last.
        words: All its values, where they are a few.
        ink: Of its values on a terminal, where it does not follow from the kind; "word" if each word has its own.
        share: Whether a terminal's table also shows what share of their sum each value is.
        about: What it means, in Markdown.
    """

    name: str
    kind: ColumnKind = "text"
    dull: str | int | tuple[()] | None = None
    asked: bool = False
    spare: int = 0
    words: tuple[str, ...] = ()
    ink: Ink | Literal["word"] | None = None
    share: bool = False
    about: str = ""


def telling(columns: Sequence[Column], values: Callable[[int], Iterable[object]]) -> list[int]:
    """Places of the columns that people are shown: the first, and those that were asked for or say something.

    Args:
        values: Of the column at a place.
    """
    return [
        place
        for place, column in enumerate(columns)
        if place == 0 or column.asked or not all(value is None or value == column.dull for value in values(place))
    ]


class Rows(NamedTuple):
    """Rows of one kind.

    Attributes:
        key: Key of the rows in a JSON object ("tensors").
        columns: In the order of tsv.
        values: Rows, each as long as `columns`.
        head: What a JSON object says before its rows, "schema" apart.
        tail: What it says after them.
        closing: Last lines below a table.
    """

    key: str
    columns: tuple[Column, ...]
    values: Sequence[tuple[Any, ...]]
    head: Mapping[str, Any] = _NOTHING
    tail: Mapping[str, Any] = _NOTHING
    closing: str = ""

    def pick(self, names: Sequence[str]) -> Rows:
        """The same rows with these columns only, in this order.

        Raises:
            KeyError: A name is not a column.
        """
        where = {column.name: index for index, column in enumerate(self.columns)}
        indices = [where[name] for name in names]
        columns = tuple(self.columns[i]._replace(asked=True) for i in indices)
        return self._replace(columns=columns, values=[tuple([row[i] for i in indices]) for row in self.values])

    def sort(self, name: str) -> Rows:
        """The same rows in ascending order of one column; what is not known comes last, `h.2` comes before `h.10`.

        Raises:
            KeyError: The name is not a column.
        """
        places = {column.name: index for index, column in enumerate(self.columns)}
        index = places[name]
        natural = self.columns[index].kind in {"name", "text"}

        known = [row for row in self.values if row[index] is not None]
        known.sort(key=lambda row: _natural(row[index]) if natural else row[index])
        return self._replace(values=known + [row for row in self.values if row[index] is None])

    def reverse(self) -> Rows:
        return self._replace(values=self.values[::-1])

    def with_source(self, source: str) -> Rows:
        """The same rows with a first column that says where they come from."""
        return self._replace(columns=(SOURCE, *self.columns), values=[(source, *row) for row in self.values])


SOURCE = Column("source", "name")
"""First column of rows that come from several sources."""


def merge_rows(parts: Sequence[Rows], tail: Mapping[str, Any], closing: str) -> Rows:
    """The rows of several sources as one; heads and tails of the parts become a list under "sources".

    Args:
        parts: With the same columns; one or more.
        tail: What a JSON object says after all rows.
        closing: Last line below a table.
    """
    values = [row for part in parts for row in part.values]
    heads = [{**part.head, **part.tail} for part in parts]
    return Rows(parts[0].key, parts[0].columns, values, {"sources": heads}, tail, closing)


def _natural(text: str) -> list[str | int]:
    """Sort key in which the numbers inside a name count as numbers: text and numbers take turns."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(_DIGITS, text))]
