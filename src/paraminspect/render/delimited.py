"""Rows as tsv, csv, markdown and bare names.

In markdown whatever could be more than text is code, so that a file can neither mention nor link anything; what is no
table is a block of code, in which numbers stay below each other.
In tsv and csv: raw integers, `[3,4]` for a shape and `[]` for a scalar's, lists of names joined by commas, true and
false, an empty field for what is not known. Text is escaped as `text` says, so a row is always one line.
csv follows RFC 4180; text that a spreadsheet would run as a formula has an apostrophe before it, numbers never.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from paraminspect.errors import ParamInspectError
from paraminspect.render.rows import NUMBERS, Column, Rows, telling
from paraminspect.text import escape_all, escape_text, format_bytes, shape_text

LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.:-=+*#"
"""The same for a terminal without them."""

LOW_LEVELS = LEVELS[:-1]
"""Of which none touches what stands in the line above."""

SPARK_WIDTH = 8
"""Characters: neighbouring bins are added up."""

CHUNK_ROWS = 8192
"""Rows that are made into text at a time: the first appear early, and memory stays small."""

_FORMULA = ("=", "+", "-", "@")
_ACTIVE = (
    r"[`@]|\\(?=[!-/:-@\[-`{-~])|[*~](?=\S)|(?<=\S)\*|(?<!\w)_|_(?!\w)|<(?=[\w/!?])|&(?=[\w#])|\$(?=\S)|#(?=\w)"
    r"|\](?=[(\[:])|://|www\."
)
"""What markdown, or GitHub in it, takes for more than text: marks, HTML, mentions, links to issues and addresses."""

_NEVER_RUN = NUMBERS | {"bool", "shape"}

_BOOL = {None: "", True: "true", False: "false"}


def render_tsv(rows: Rows, *, header: bool = False) -> Iterator[str]:
    """Lines of fields between tabs."""
    if header:
        yield "\t".join(column.name for column in rows.columns) + "\n"
    for chunk in _chunks(rows.values):
        yield "\n".join(map("\t".join, zip(*_raw_columns(rows.columns, chunk), strict=True))) + "\n"


def render_csv(rows: Rows, *, header: bool = True) -> Iterator[str]:
    """Records of RFC 4180, each ending in CR LF."""
    import csv
    import io

    if header:
        yield ",".join(column.name for column in rows.columns) + "\r\n"
    for chunk in _chunks(rows.values):
        buffer = io.StringIO(newline="")
        cells = zip(rows.columns, _raw_columns(rows.columns, chunk), strict=True)
        safe = [texts if column.kind in _NEVER_RUN else _unrunnable(texts) for column, texts in cells]
        csv.writer(buffer).writerows(zip(*safe, strict=True))
        yield buffer.getvalue()


def render_names(rows: Rows) -> Iterator[str]:
    """Values of the column `name`, one a line.

    Raises:
        ParamInspectError: There is no such column.
    """
    names = [index for index, column in enumerate(rows.columns) if column.name == "name"]
    if not names:
        raise ParamInspectError(
            f"--format names needs a column 'name', these {rows.key} have {', '.join(c.name for c in rows.columns)}",
            hint="--format tsv prints every column",
        )
    for chunk in _chunks(rows.values):
        yield "\n".join(escape_all([row[names[0]] for row in chunk])) + "\n"


def render_markdown(rows: Rows) -> Iterator[str]:
    """A table of GitHub's markdown with numbers as people read them, names as code, and the closing line below.

    Columns that say nothing are left out, and so is a table of no rows, as on a terminal.
    """
    places = telling(rows.columns, lambda place: (row[place] for row in rows.values))
    shown = [(place, rows.columns[place]) for place in places]
    if rows.values:
        yield "| " + " | ".join(column.name for _, column in shown) + " |\n"
        yield "|" + "|".join(" ---: " if column.kind in NUMBERS else " --- " for _, column in shown) + "|\n"
    for chunk in _chunks(rows.values):
        cells = [_markdown_column(column, [row[place] for row in chunk]) for place, column in shown]
        yield "".join(f"| {' | '.join(row)} |\n" for row in zip(*cells, strict=True))
    if rows.closing:
        yield ("\n" if rows.values else "") + f"{rows.closing}\n"


def readable_column(column: Column, values: Sequence[Any]) -> list[str]:
    """Cells as people read them: 1,048,576 and 4.00 MiB; text is escaped."""
    match column.kind:
        case "int":
            return ["" if value is None else f"{value:,}" for value in values]
        case "bytes":
            return ["" if value is None else format_bytes(value) for value in values]
        case "float":
            return ["" if value is None else f"{value:.4g}" for value in values]
        case "class":
            return list(escape_all([(value or "").rpartition(".")[2] for value in values]))
        case "pairs":
            return [readable_pairs(pairs or {}) for pairs in values]
        case _:
            return list(_raw_column(column, values))


def _unrunnable(texts: Sequence[str]) -> Sequence[str]:
    """Cells of text as a spreadsheet shows them: none is a formula."""
    if not any(text.startswith(_FORMULA) for text in texts):
        return texts
    return [
        f"'{text}" if text.startswith(_FORMULA) and len(text) > 1 and not _is_number(text) else text for text in texts
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _chunks(values: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for start in range(0, len(values), CHUNK_ROWS):
        yield values[start : start + CHUNK_ROWS]


def _raw_columns(columns: Sequence[Column], chunk: Sequence[tuple[Any, ...]]) -> list[Sequence[str]]:
    return [_raw_column(column, [row[index] for row in chunk]) for index, column in enumerate(columns)]


def _raw_column(column: Column, values: list[Any] | Sequence[Any]) -> Sequence[str]:
    match column.kind:
        case "name" | "text" | "class":
            return escape_all([value or "" for value in values] if None in values else values)
        case "int" | "bytes" | "items":
            numbers = [None if value is None else len(value) for value in values] if column.kind == "items" else values
            return [str(number) if number is not None else "" for number in numbers]
        case "shape":
            known = {shape: _shape_text(shape) for shape in set(values)}
            return [known[shape] for shape in values]
        case "bool":
            return [_BOOL[value] for value in values]
        case "names":
            return [",".join(map(escape_text, names or ())) for names in values]
    cell = _CELLS[column.kind]
    return ["" if value is None else cell(value) for value in values]


def _raw_pairs(pairs: Mapping[str, Any]) -> str:
    return ",".join(f"{escape_text(key)}={_raw(value)}" for key, value in pairs.items())


def _raw_object(members: Mapping[str, Any]) -> str:
    """What of an object fits into a cell: members that are numbers and words."""
    return _raw_pairs({key: value for key, value in members.items() if isinstance(value, str | int | float)})


def _raw_json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"))


def sparkline(counts: Sequence[int], width: int = SPARK_WIDTH, levels: str = LEVELS) -> str:
    """One character for each share of the bins, as high as what is in them relative to the fullest.

    Args:
        counts: A multiple of `width`; "" is given for none.
        width: In characters.
        levels: Characters of ascending height.
    """
    step = max(len(counts) // width, 1)
    sums = [sum(counts[begin : begin + step]) for begin in range(0, len(counts), step)]
    most = max(sums, default=0) or 1
    return "".join(levels[-(-count * (len(levels) - 1) // most)] for count in sums)


def in_ascii(text: str) -> str:
    """A sparkline in characters that every terminal has."""
    return text.translate(dict(zip(map(ord, LEVELS), ASCII_LEVELS, strict=True)))


_CELLS: dict[str, Callable[[Any], str]] = {
    "float": lambda value: repr(float(value)),
    "pairs": _raw_pairs,
    "histogram": sparkline,
    "object": _raw_object,
    "json": _raw_json,
}
"""What a known value of a kind is in a pipe."""


def readable_pairs(pairs: Mapping[str, Any]) -> str:
    """Names and values as people read them: "std=0.007217, mode=fan_in"."""
    return ", ".join(
        f"{escape_text(key)}={f'{value:.4g}' if isinstance(value, float) else _raw(value)}"
        for key, value in pairs.items()
    )


def _raw(value: Any) -> str:
    if isinstance(value, bool):
        return _BOOL[value]
    return escape_text(value) if isinstance(value, str) else repr(value)


def _shape_text(shape: Sequence[int] | None) -> str:
    return "" if shape is None else shape_text(shape)


def _markdown_column(column: Column, values: Sequence[Any]) -> list[str]:
    is_code = column.kind in {"name", "names"}
    cells = readable_column(column, values)
    spans = [code_span(cell) if cell and (is_code or re.search(_ACTIVE, cell)) else cell for cell in cells]
    return [span.replace("|", "\\|") for span in spans]


def fenced(pieces: Iterable[str]) -> Iterator[str]:
    """Whole lines as one block of code, between more backticks than they hold in a row; empty lines before it stay there."""
    text = "".join(pieces)
    block = text.lstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block)), default=0))
    if block:
        yield f"{text[: len(text) - len(block)]}{fence}\n{block}{fence}\n"


def code_span(cell: str) -> str:
    """A code span; where the text itself holds backticks, between more of them."""
    fence = "`"
    while fence in cell:
        fence += "`"
    return f"{fence}{cell}{fence}" if len(fence) == 1 else f"{fence} {cell} {fence}"
