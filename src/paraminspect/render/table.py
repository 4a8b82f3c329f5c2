"""Rows as an aligned table for a terminal.

Two spaces between columns and no lines, numbers on the right. A column that says nothing is left out. Where the width
does not do, columns of one value go first, then spare ones, then those at the right end, names last, and the table says
which; names that are still too long lose parts of theirs, but no two of them become one. Words of columns that the user
named lose their ends before one of these columns goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from paraminspect.render.delimited import CHUNK_ROWS, LOW_LEVELS, in_ascii, readable_column, sparkline
from paraminspect.render.painting import inks_of, paint
from paraminspect.render.rows import EMPTY_NAME, NUMBERS, Column, Rows, telling
from paraminspect.render.shares import share_bar
from paraminspect.render.style import Style
from paraminspect.text import display_width, pad, shorten_end, shorten_names, wrap

GAP = "  "
MIN_NAMES = 20
"""Columns of the terminal that a list of names keeps before other columns give way to it, and words that were asked for."""

MIN_SHORTENED = 8
"""What a name is cut down to at the worst; a terminal narrower than that wraps its lines."""

MAX_CELL = 1_000
"""Columns of the terminal that cells are filled up to where nothing says how wide it is: a longer one stands out, or a name of
a megabyte would make as many of each row."""

MIN_COLUMNS = 2
"""A table keeps as many, however narrow the terminal."""


class _Block:
    """One column of cells, all of them within `width`; `values` are what they say."""

    def __init__(self, column: Column, cells: list[str], width: int, values: Sequence[Any]) -> None:
        self.column = column
        self.cells = cells
        self.width = width
        self.values = values


def render_table(rows: Rows, style: Style) -> Iterator[str]:
    """Heading, rows, and the closing line after an empty one."""
    shown = telling(rows.columns, lambda place: (row[place] for row in rows.values))
    blocks = [_block(rows.columns[place], [row[place] for row in rows.values], style) for place in shown]
    if style.drawn:
        blocks = [
            each for block in blocks for each in ([block, _shares(block, style)] if block.column.share else [block])
        ]
    dropped: list[str] = []
    if style.width is not None:
        blocks, dropped = _fit(blocks, style.width)
        blocks = _shorten(blocks, style)
    if rows.values:
        heading = GAP.join(_cell(block, block.column.name) for block in blocks)
        yield style.ink("heading", heading.rstrip()) + "\n"
        yield from _lines(blocks, style)
    if rows.closing:
        lines = [wrap(line, style.width) for line in rows.closing.split("\n")]
        yield ("\n" if rows.values else "") + "\n".join(lines) + "\n"
    if dropped:
        more = "--wide shows all" if rows.columns[0].asked else "--columns chooses"
        yield wrap(f"not shown at this width: {', '.join(dropped)} ({more})", style.width) + "\n"


def _block(column: Column, values: Sequence[Any], style: Style) -> _Block:
    cells = readable_column(column, values)
    if column.kind == "histogram" and not style.unicode:
        cells = [in_ascii(cell) for cell in cells]
    elif column.kind == "histogram" and style.drawn:
        cells = [sparkline(counts or (), levels=LOW_LEVELS) for counts in values]
    if column.kind == "name" and values and column.name == "name":
        cells = [EMPTY_NAME if value == "" else cell for value, cell in zip(values, cells, strict=True)]
    width = max(map(len, cells), default=0) if "".join(cells).isascii() else max(map(display_width, cells), default=0)
    known = width if style.width is not None else min(width, MAX_CELL)
    return _Block(column, cells, max(known, len(column.name)), values)


def _shares(block: _Block, style: Style) -> _Block:
    """What share of the whole each value is, as a bar and a percentage."""
    whole = sum(value or 0 for value in block.values)
    column = Column("share", spare=5, ink="bar")
    return _block(column, [share_bar(value or 0, whole, style) for value in block.values], style)


def _total(blocks: Sequence[_Block]) -> int:
    return sum(block.width for block in blocks) + len(GAP) * (len(blocks) - 1)


def _need(blocks: Sequence[_Block]) -> int:
    """Columns of the terminal that blocks take with every name whole, and of what may lose its end the beginning."""
    return _total(blocks) - sum(_spare_width(block) for block in blocks)


def _spare_width(block: _Block) -> int:
    """Columns of the terminal that a block gives before a column goes."""
    gives = block.column.kind == "names" or _is_asked_text(block)
    return max(block.width - max(MIN_NAMES, len(block.column.name)), 0) if gives else 0


def _is_asked_text(block: _Block) -> bool:
    return block.column.asked and block.column.kind == "text"


def _is_name(block: _Block) -> bool:
    return block.column.kind in {"name", "names"}


def _fit(blocks: list[_Block], width: int) -> tuple[list[_Block], list[str]]:
    """Leave out columns until names are whole; returns the rest and the names of those left out, in their order.

    Those that went last come first back where there is room for them after all; spare ones that nobody named stay away
    together.
    """
    kept, gone = list(blocks), list[_Block]()
    names = [block for block in blocks[::-1] if _is_name(block)]
    others = [block for block in blocks[::-1] if not _is_name(block)]
    uniform = [block for block in others if len(set(block.cells)) == 1]
    others.sort(key=lambda block: -block.column.spare)
    for block in [*uniform, *[block for block in others if block not in uniform], *names]:
        if _need(kept) <= width or len(kept) <= MIN_COLUMNS:
            break
        kept.remove(block)
        gone.append(block)
    for block in gone[::-1]:
        if (block.column.asked or not block.column.spare) and _need([*kept, block]) <= width:
            kept = [each for each in blocks if each in kept or each is block]
    return kept, [block.column.name for block in blocks if block not in kept]


def _shorten(blocks: list[_Block], style: Style) -> list[_Block]:
    """Cut words that were asked for, then names, so that the table fits, the longest column first."""
    assert style.width is not None
    for block in sorted(filter(_is_asked_text, blocks), key=lambda block: -block.width):
        least = block.width - min(_spare_width(block), max(_total(blocks) - style.width, 0))
        blocks = [_cut_end(each, least, style) if each is block else each for each in blocks]
    excess = _total(blocks) - style.width
    names = [block for block in blocks if _is_name(block)]
    if excess <= 0 or not names:
        return blocks
    widths = {block: block.width for block in names}
    while excess > 0:
        longest = max(names, key=lambda block: widths[block])
        if widths[longest] <= MIN_SHORTENED:
            break
        widths[longest] -= 1
        excess -= 1
    return [_shortened(block, widths[block], style) if block in widths else block for block in blocks]


def _shortened(block: _Block, width: int, style: Style) -> _Block:
    return _Block(block.column, shorten_names(block.cells, width, style.ellipsis), width, block.values)


def _cut_end(block: _Block, width: int, style: Style) -> _Block:
    return _Block(block.column, [shorten_end(cell, width, style.ellipsis) for cell in block.cells], width, block.values)


def _cell(block: _Block, text: str) -> str:
    return pad(text, block.width, right=block.column.kind in NUMBERS)


def _lines(blocks: Sequence[_Block], style: Style) -> Iterator[str]:
    columns = [_padded(block, style) for block in blocks]
    for start in range(0, len(columns[0]), CHUNK_ROWS):
        rows = zip(*(column[start : start + CHUNK_ROWS] for column in columns), strict=True)
        yield "".join([GAP.join(row).rstrip() + "\n" for row in rows])


def _padded(block: _Block, style: Style) -> list[str]:
    """Cells filled up to the width of their column, and painted; quickly where they are ASCII."""
    right = block.column.kind in NUMBERS
    width = block.width
    if "".join(block.cells).isascii():
        cells = [cell.rjust(width) for cell in block.cells] if right else [cell.ljust(width) for cell in block.cells]
    else:
        cells = [_cell(block, cell) for cell in block.cells]
    inks = inks_of(block.column, block.values) if style.inks else None
    return cells if inks is None else paint(cells, inks, style)
