"""Rows as tsv, csv, markdown, names and JSON."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from hypothesis import given

from paraminspect.errors import ParamInspectError
from paraminspect.render.delimited import fenced
from paraminspect.render.rows import Column, ColumnKind, Rows
from paraminspect.text import escape_text
from tests.making.rows import FULL, KINDS, ROWS, rows_of, text

UNKNOWN = (None,) * len(KINDS)


def test_tsv() -> None:
    assert text(rows_of(FULL, UNKNOWN), "tsv", header=True).splitlines() == [
        "\t".join(KINDS),
        'a.b\tt\tm.C\t1234567\t1048576\t[3,4]\ttrue\tx,y\t0.1\tstd=0.5\t2\tepoch=3,name=x\\n\t▂▁█▅▁▁▁▁\t{"k":[1,null]}',
        "\t" * (len(KINDS) - 1),
    ]


def test_scalar_has_an_empty_shape_and_an_unknown_one_an_empty_field() -> None:
    rows = Rows("things", (Column("shape", "shape"), Column("flag", "bool")), [((), False), (None, None)])
    assert text(rows, "tsv") == "[]\tfalse\n\t\n"


def test_markdown() -> None:
    lines = text(rows_of(FULL)._replace(closing="that is all"), "markdown").splitlines()
    assert lines == [
        "| name | text | class | int | bytes | shape | bool | names | float | pairs | items | object | histogram | json |",
        "| --- | --- | --- | ---: | ---: | --- | --- | --- | ---: | --- | ---: | --- | --- | --- |",
        '| `a.b` | t | C | 1,234,567 | 1.00 MiB | [3,4] | true | `x,y` | 0.1 | std=0.5 | 2 | epoch=3,name=x\\n | ▂▁█▅▁▁▁▁ | {"k":[1,null]} |',
        "",
        "that is all",
    ]


def test_markdown_leaves_out_columns_that_say_nothing() -> None:
    columns = (Column("name", "name"), Column("kind", dull="tensor"), Column("tied_to"), Column("nan", "int", dull=0))
    rows = Rows("things", columns, [("a", "tensor", None, 0), ("b", "tensor", None, 2)])
    assert text(rows, "markdown").splitlines()[0] == "| name | nan |"
    assert text(rows.pick(["nan", "tied_to"]), "markdown").splitlines()[0] == "| nan | tied_to |"
    assert text(rows._replace(values=[], closing="none"), "markdown") == "none\n"


@pytest.mark.parametrize(
    ("pieces", "block"),
    [
        (["a\n", "b\n"], "```\na\nb\n```\n"),
        (["\n\na\n"], "\n\n```\na\n```\n"),
        (["a\n", "```\n", "@you\n"], "````\na\n```\n@you\n````\n"),
        (["``", "```\n"], "``````\n`````\n``````\n"),
        ([], ""),
    ],
)
def test_nothing_ends_a_block_of_code_but_its_end(pieces: list[str], block: str) -> None:
    assert "".join(fenced(iter(pieces))) == block


def test_markdown_keeps_its_cells_together() -> None:
    rows = Rows("things", (Column("name", "name"), Column("text")), [("a|`b``", "|\n")])
    assert text(rows, "markdown").splitlines()[2] == "| ``` a\\|`b`` ``` | \\|\\n |"


@pytest.mark.parametrize(
    "cell",
    ["<b>", "`", "*a*", "_a_", "@octocat", "#12", "[a](b)", "https://evil.example", "&lt;", "$x$", "~~a~~", "a\\*"],
)
def test_text_of_a_file_is_no_markdown(cell: str) -> None:
    (line,) = text(Rows("things", (Column("text"),), [(cell,)]), "markdown").splitlines()[2:]
    assert line.removeprefix("| `").removesuffix("` |").strip("` ").replace("\\\\", "\\") == cell.strip("`")


@pytest.mark.parametrize("cell", ["float32 [3,4]", "gain * sqrt(2)", "float8_e4m3fn", "a < b & c", "norm 3.9", "# 1"])
def test_plain_text_stays_as_it_is(cell: str) -> None:
    assert text(Rows("things", (Column("text"),), [(cell,)]), "markdown").splitlines()[2] == f"| {cell} |"


def test_names_need_a_name() -> None:
    assert text(rows_of(FULL), "names") == "a.b\n"
    with pytest.raises(ParamInspectError, match="needs a column 'name'"):
        text(Rows("things", (Column("total", "int"),), [(1,)]), "names")


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
