"""The page around the data. `web/` builds it; its script and style are fixed by their hashes in its policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from paraminspect.files.beside_code import read_bytes_beside
from paraminspect.late_patterns import late_patterns

with late_patterns():
    import json

SCHEMA: Final = 1
"""Version of the keys of the data; they are only ever added to under one number."""

_PLACE: Final = b"@DATA@"
_ESCAPES: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
"""What could end the script element that the data stands in; JSON has another spelling for each."""

_PIECE: Final = 1 << 16
"""Bytes at least of a piece: each is written by a call of its own."""

_LEVELS: Final = 5
"""Of lists and mappings that are written one by one; what is inside of these is one text for a while."""


def render_page(document: Mapping[str, Any]) -> Iterator[bytes]:
    """The page as pieces, in UTF-8; all of the data is ASCII.

    Args:
        document: As `docs/report.md` has it; no float that JSON has no word for.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    before, _, behind = read_bytes_beside(__file__, "page.html").partition(_PLACE)
    pieces, size = [before], len(before)
    for text in _encode(document, _LEVELS):
        piece = text.encode("ascii")
        for character, escape in _ESCAPES:
            piece = piece.replace(character, escape)
        pieces.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join([*pieces, behind])


_to_json: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def _encode(value: Any, levels: int) -> Iterator[str]:
    """A value as JSON; a column of a table, which has no others inside, is one piece."""
    if levels and isinstance(value, dict) and value:
        for place, (key, each) in enumerate(value.items()):
            yield f"{',' if place else '{'}{_to_json(key)}:"
            yield from _encode(each, levels - 1)
        yield "}"
    elif levels and isinstance(value, list) and value and isinstance(value[0], dict):
        for place, each in enumerate(value):
            yield "," if place else "["
            yield from _encode(each, levels - 1)
        yield "]"
    else:
        yield _to_json(value)
