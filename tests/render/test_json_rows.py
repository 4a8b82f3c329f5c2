"""Rows as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paraminspect.render.json_rows import render_object
from paraminspect.render.rows import Column, Rows
from tests.making.rows import ANY_TEXT, KINDS, NESTED, ROWS, rows_of, text


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
