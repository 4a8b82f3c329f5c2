"""Rows as tsv, csv, markdown, names and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError
from paraminspect.render import render_rows
from paraminspect.render.delimited import CHUNK_ROWS
from paraminspect.render.json_rows import render_object
from paraminspect.render.rows import Column, ColumnKind, Format, Rows, merge_rows
from paraminspect.text import escape_text

KINDS = get_args(ColumnKind)
FORMATS: tuple[Format, ...] = get_args(Format)

ANY_TEXT = st.text(st.characters(), max_size=12)
NESTED = st.recursive(st.none() | st.integers() | st.floats() | ANY_TEXT, lambda inner: st.lists(inner, max_size=3))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": ANY_TEXT,
    "text": ANY_TEXT,
    "int": st.integers(0, 2**63),
    "bytes": st.integers(0, 2**63),
    "shape": st.lists(st.integers(0, 2**63), max_size=4).map(tuple),
    "bool": st.booleans(),
    "names": st.lists(ANY_TEXT, max_size=3).map(tuple),
    "float": st.floats(),
    "pairs": st.dictionaries(ANY_TEXT, st.floats() | st.booleans() | ANY_TEXT, max_size=3),
    "items": st.lists(NESTED, max_size=3),
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
    1234567,
    1 << 20,
    (3, 4),
    True,
    ("x", "y"),
    0.1,
    {"std": 0.5},
    [7, 8],
    (1, 0, 8, 4, 0, 0, 0, 0),
    {"k": [1, None]},
)
UNKNOWN = (None,) * len(KINDS)


def test_tsv() -> None:
    assert text(rows_of(FULL, UNKNOWN), "tsv", header=True).splitlines() == [
        "\t".join(KINDS),
        'a.b\tt\t1234567\t1048576\t[3,4]\ttrue\tx,y\t0.1\tstd=0.5\t2\t▂▁█▅▁▁▁▁\t{"k":[1,null]}',
        "\t" * (len(KINDS) - 1),
    ]


def test_scalar_has_an_empty_shape_and_an_unknown_one_an_empty_field() -> None:
    rows = Rows("things", (Column("shape", "shape"), Column("flag", "bool")), [((), False), (None, None)])
    assert text(rows, "tsv") == "[]\tfalse\n\t\n"


def test_markdown() -> None:
    lines = text(rows_of(FULL)._replace(closing="that is all"), "markdown").splitlines()
    assert lines == [
        "| name | text | int | bytes | shape | bool | names | float | pairs | items | histogram | json |",
        "| --- | --- | ---: | ---: | --- | --- | --- | ---: | --- | ---: | --- | --- |",
        '| `a.b` | t | 1,234,567 | 1.00 MiB | [3,4] | true | `x,y` | 0.1 | std=0.5 | 2 | ▂▁█▅▁▁▁▁ | {"k":[1,null]} |',
        "",
        "that is all",
    ]


def test_markdown_keeps_its_cells_together() -> None:
    rows = Rows("things", (Column("name", "name"), Column("text")), [("a|`b``", "|\n")])
    assert text(rows, "markdown").splitlines()[2] == "| ``` a\\|`b`` ``` | \\|\\n |"


def test_names_need_a_name() -> None:
    assert text(rows_of(FULL), "names") == "a.b\n"
    with pytest.raises(ParamInspectError, match="needs a column 'name'"):
        text(Rows("things", (Column("total", "int"),), [(1,)]), "names")


@pytest.mark.parametrize("format_", ["tsv", "csv", "names", "jsonl", "json", "markdown", "table"])
def test_chunks_leave_no_seam(format_: Format) -> None:
    numbers = range(2 * CHUNK_ROWS + 1)
    rows = Rows("things", (Column("name", "name"),), [(f"row{number}",) for number in numbers])
    printed = text(rows, format_, header=False)
    assert [int(number) for number in re.findall(r"row(\d+)", printed)] == list(numbers)
    assert "\n\n" not in printed.replace("\r", "")
    if format_ == "json":
        assert len(json.loads(printed)["things"]) == len(numbers)


@given(ROWS)
def test_a_row_is_one_line_of_as_many_fields(values: list[tuple[Any, ...]]) -> None:
    rows = rows_of(*values)
    lines = text(rows, "tsv").split("\n")[:-1] if values else []
    assert [line.count("\t") for line in lines] == [len(KINDS) - 1] * len(values)
    assert text(rows, "tsv").replace("\t", "").replace("\n", "").isprintable()
    records = list(csv.reader(io.StringIO(text(rows, "csv", header=False), newline="")))
    fields = [line.split("\t") for line in lines]
    assert [[cell.removeprefix("'") for cell in row] for row in records] == [
        [cell.removeprefix("'") for cell in row] for row in fields
    ]
    assert [row[0] for row in fields] == [escape_text(row[0] or "") for row in values]


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("name", "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("name", "@SUM(1)", "'@SUM(1)"),
        ("text", "+1+1", "'+1+1"),
        ("text", "-1.5e3", "-1.5e3"),
        ("text", "-inf", "-inf"),
        ("name", "-", "-"),
        ("name", "a=b", "a=b"),
        ("names", ("=a", "b"), "'=a,b"),
        ("pairs", {"=HYPERLINK(1)": 2}, "'=HYPERLINK(1)=2"),
        ("float", -math.inf, "-inf"),
        ("int", -3, "-3"),
    ],
)
def test_no_field_of_csv_is_a_formula(kind: ColumnKind, value: Any, cell: str) -> None:
    rows = Rows("things", (Column("field", kind),), [(value,)])
    assert next(csv.reader(io.StringIO(text(rows, "csv", header=False), newline=""))) == [cell]
    assert text(rows, "tsv") == cell.removeprefix("'") + "\n"


def as_json(value: Any) -> Any:
    """What JSON can say of a value."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, (list, tuple)) else value


@given(ROWS, st.dictionaries(ANY_TEXT, NESTED, max_size=2))
def test_json_gives_back_what_it_was_given(values: list[tuple[Any, ...]], head: dict[str, Any]) -> None:
    head = {f"head {key}": value for key, value in head.items()}
    rows = rows_of(*values)._replace(head=head, tail={"totals": {"n": len(values)}})
    due = [dict(zip(KINDS, as_json(row), strict=True)) for row in values]
    for printed in (text(rows, "json"), text(rows, "jsonl")):
        assert printed.encode().isascii() or printed.replace("\n", "").isprintable()
    document = json.loads(text(rows, "json"))
    assert document == {
        "schema": 1,
        **{k: as_json(v) for k, v in head.items()},
        "things": due,
        "totals": {"n": len(values)},
    }
    assert [json.loads(line) for line in text(rows, "jsonl").split("\n")[:-1]] == due


def test_json_writes_what_can_be_printed_as_it_is() -> None:
    rows = Rows("things", (Column("name", "name"),), [("層",), ("\u202e層",), ("\ud800",)])
    assert text(rows, "jsonl") == '{"name": "層"}\n{"name": "\\u202e\\u5c64"}\n{"name": "\\ud800"}\n'
    assert render_object({"é": "\x1b", "x": math.nan}) == '{"schema": 1, "é": "\\u001b", "x": null}\n'


def test_json_without_rows() -> None:
    assert json.loads(text(rows_of(), "json")) == {"schema": 1, "things": []}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_takes_every_kind(format_: Format) -> None:
    assert text(rows_of(FULL, FULL), format_)
    text(rows_of(), format_)


def test_pick_sort_reverse() -> None:
    rows = Rows(
        "things", (Column("name", "name"), Column("size", "int")), [("h.10", 1), ("h.2", None), ("H", 3), ("h.2", 2)]
    )
    assert rows.sort("name").values == [("H", 3), ("h.2", None), ("h.2", 2), ("h.10", 1)]
    assert rows.sort("size").values == [("h.10", 1), ("h.2", 2), ("H", 3), ("h.2", None)]
    assert rows.reverse().values == [("h.2", 2), ("H", 3), ("h.2", None), ("h.10", 1)]
    assert rows.pick(["size", "name"]).values[0] == (1, "h.10")
    assert [column.name for column in rows.pick(["size", "name"]).columns] == ["size", "name"]


@given(st.lists(st.text("0123456789ab", max_size=30)))
def test_sorting_by_name_never_fails(names: list[str]) -> None:
    rows = Rows("things", (Column("name", "name"),), [(name,) for name in names])
    assert sorted(rows.sort("name").values) == sorted(rows.values)


def test_several_sources_become_one_document() -> None:
    part = Rows("things", (Column("name", "name"),), [("w",)], {"source": "a"}, {"totals": 1})
    merged = merge_rows(
        [part.with_source("a"), part._replace(head={"source": "b"}).with_source("b")], {"totals": 2}, "end"
    )
    assert json.loads(text(merged, "json")) == {
        "schema": 1,
        "sources": [{"source": "a", "totals": 1}, {"source": "b", "totals": 1}],
        "things": [{"source": "a", "name": "w"}, {"source": "b", "name": "w"}],
        "totals": 2,
    }
