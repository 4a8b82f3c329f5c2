"""Objects of JSON whose keys come twice: the standard parser keeps the last one and says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MAX_JSON_BYTES: Final = 64 << 20
"""Of a shard index or config.json."""


def find_repeated(pairs: Iterable[tuple[str, object]]) -> str | None:
    """The first key that an object has a second time, None if all are different.

    Args:
        pairs: As `json.loads` gives them to an `object_pairs_hook`.
    """
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None
