"""Rows: picked, sorted, put together, in every format."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.delimited import CHUNK_ROWS
from paraminspect.render.rows import Column, Format, Rows, merge_rows
from tests.making.rows import FORMATS, FULL, rows_of, text


@pytest.mark.parametrize("format_", ["tsv", "csv", "names", "jsonl", "json", "markdown", "table"])
def test_chunks_leave_no_seam(format_: Format) -> None:
    numbers = range(2 * CHUNK_ROWS + 1)
    rows = Rows("things", (Column("name", "name"),), [(f"row{number}",) for number in numbers])
    printed = text(rows, format_, header=False)
    assert [int(number) for number in re.findall(r"row(\d+)", printed)] == list(numbers)
    assert "\n\n" not in printed.replace("\r", "")
    if format_ == "json":
        assert len(json.loads(printed)["things"]) == len(numbers)


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
