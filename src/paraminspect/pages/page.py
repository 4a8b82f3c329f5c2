"""The page around the data. `web/` builds it; its script and style are fixed by their hashes in its policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from paraminspect.files.beside_code import read_beside

SCHEMA: Final = 1
"""Version of the keys of the data; they are only ever added to under one number."""

_PLACE: Final = "@DATA@"
_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end the script element that the data stands in; JSON has another spelling for each."""


def render_page(document: Mapping[str, Any]) -> Iterator[bytes]:
    """The page as pieces, in UTF-8; all of the data is ASCII.

    Args:
        document: As `docs/report.md` has it; no float that JSON has no word for.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    page = read_beside(__file__, "page.html")
    before, _, behind = page.partition(_PLACE)
    yield before.encode()
    for piece in json.JSONEncoder(allow_nan=False, separators=(",", ":")).iterencode(document):
        yield piece.translate(_ESCAPES).encode("ascii")
    yield behind.encode()
