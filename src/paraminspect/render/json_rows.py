r"""Rows as JSON: one object a run, its rows one a line; or the rows alone (jsonl).

Always valid JSON in UTF-8: text that is not printable goes out as `\u` escapes, lone surrogates among it, and a float
that JSON has no word for (not a number, an infinity) as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from paraminspect.render.delimited import CHUNK_ROWS
from paraminspect.render.rows import Column, Rows
from paraminspect.text import is_plain

SCHEMA = 1
"""Version of the keys; they are only ever added to under one number."""

_BOOL = {None: "null", True: "true", False: "false"}


def render_json(rows: Rows) -> Iterator[str]:
    """One object: schema, the head, the rows under their key, the tail."""
    members = [f'"schema": {SCHEMA}', *_members(rows.head)]
    yield "{" + ", ".join(members) + f', "{rows.key}": ['
    separator = "\n"
    for lines in _lines(rows):
        yield separator + ",\n".join(lines)
        separator = ",\n"
    yield ", ".join(["\n]" if rows.values else "]", *_members(rows.tail)]) + "}\n"


def render_jsonl(rows: Rows) -> Iterator[str]:
    """Each row an object on a line of its own."""
    for lines in _lines(rows):
        yield "\n".join(lines) + "\n"


def render_object(members: Mapping[str, Any]) -> str:
    """One object that has no rows: schema, and these members."""
    return "{" + ", ".join([f'"schema": {SCHEMA}', *_members(members)]) + "}\n"


def encode(value: Any) -> str:
    """Any value as JSON in the terms above."""
    text = json.dumps(_without_odd_floats(value), ensure_ascii=False)
    return text if is_plain(text) else json.dumps(_without_odd_floats(value))


def _members(members: Mapping[str, Any]) -> list[str]:
    return [f"{encode(key)}: {encode(value)}" for key, value in members.items()]


def _lines(rows: Rows) -> Iterator[list[str]]:
    """The objects of a chunk of rows; built column by column, several times quicker than a json.dumps for each."""
    template = "{" + ", ".join(f'"{column.name}": %s' for column in rows.columns) + "}"
    for start in range(0, len(rows.values), CHUNK_ROWS):
        chunk = rows.values[start : start + CHUNK_ROWS]
        cells = [_column(column, [row[i] for row in chunk]) for i, column in enumerate(rows.columns)]
        yield [template % row for row in zip(*cells, strict=True)]


def _column(column: Column, values: Sequence[Any]) -> Sequence[str]:
    match column.kind:
        case "name" | "text" | "class":
            plain = is_plain("".join([value for value in values if value is not None]))
            encode_text = encode_basestring if plain else _encode_text
            return ["null" if value is None else encode_text(value) for value in values]
        case "int" | "bytes":
            return ["null" if value is None else str(value) for value in values]
        case "shape":
            known = {shape: encode(shape) for shape in set(values)}
            return [known[shape] for shape in values]
        case "bool":
            return [_BOOL[value] for value in values]
        case _:
            return [encode(value) for value in values]


def _encode_text(text: str) -> str:
    return encode_basestring(text) if is_plain(text) else encode_basestring_ascii(text)


def _without_odd_floats(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_odd_floats(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_odd_floats(item) for item in value]
    return value
