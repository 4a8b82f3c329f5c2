"""Records into text: pure functions from rows to pieces of text. No input, no output."""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.render.rows import Format, Rows
from paraminspect.render.style import Style


def render_rows(
    rows: Rows, format_: Format, *, header: bool | None = None, style: Style | None = None
) -> Iterator[str]:
    """Rows in one of the formats, as pieces that belong one after the other.

    Args:
        header: Names of the columns first, for tsv and csv; None means no for tsv and yes for csv.
        style: Of the stream, for a table.

    Raises:
        ParamInspectError: The format cannot show these rows.
    """
    match format_:
        case "table":
            from paraminspect.render.table import render_table

            return render_table(rows, style or Style())
        case "json" | "jsonl":
            from paraminspect.render.json_rows import render_json, render_jsonl

            return render_json(rows) if format_ == "json" else render_jsonl(rows)
    from paraminspect.render import delimited

    match format_:
        case "tsv":
            return delimited.render_tsv(rows, header=bool(header))
        case "csv":
            return delimited.render_csv(rows, header=header is not False)
        case "markdown":
            return delimited.render_markdown(rows)
        case "names":
            return delimited.render_names(rows)
