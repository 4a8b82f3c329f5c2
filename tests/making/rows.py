"""Rows of every kind of column."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from paraminspect.render import render_rows
from paraminspect.render.rows import Column, ColumnKind, Format, Rows

KINDS = get_args(ColumnKind)


ANY_TEXT = st.text(st.characters(), max_size=12)


NESTED = st.recursive(st.none() | st.integers() | st.floats() | ANY_TEXT, lambda inner: st.lists(inner, max_size=3))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": ANY_TEXT,
    "text": ANY_TEXT,
    "class": ANY_TEXT,
    "int": st.integers(0, 2**63),
    "bytes": st.integers(0, 2**63),
    "shape": st.lists(st.integers(0, 2**63), max_size=4).map(tuple),
    "bool": st.booleans(),
    "names": st.lists(ANY_TEXT, max_size=3).map(tuple),
    "float": st.floats(),
    "pairs": st.dictionaries(ANY_TEXT, st.floats() | st.booleans() | ANY_TEXT, max_size=3),
    "items": st.lists(NESTED, max_size=3),
    "object": st.dictionaries(ANY_TEXT, NESTED, max_size=3),
    "histogram": st.lists(st.integers(0, 2**40), min_size=8, max_size=8).map(tuple),
    "json": NESTED,
}


COLUMNS = tuple(Column(kind, kind) for kind in KINDS)


ROWS = st.lists(st.tuples(*[st.none() | VALUES[kind] for kind in KINDS]), max_size=4)


def text(rows: Rows, format_: Format, **options: Any) -> str:
    return "".join(render_rows(rows, format_, **options))


def rows_of(*values: tuple[Any, ...]) -> Rows:
    return Rows("things", COLUMNS, values)


FULL = (
    "a.b",
    "t",
    "m.C",
    1234567,
    1 << 20,
    (3, 4),
    True,
    ("x", "y"),
    0.1,
    {"std": 0.5},
    [7, 8],
    {"epoch": 3, "name": "x\n", "nested": {"a": 1}, "list": [1], "not known": None},
    (1, 0, 8, 4, 0, 0, 0, 0),
    {"k": [1, None]},
)

FORMATS: tuple[Format, ...] = get_args(Format)
