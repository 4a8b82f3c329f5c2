"""Memory in which one block of numbers is worked on: the same for all that a thread does, so that it stays in the cache."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np

BLOCK: Final = 1 << 17
"""Elements of one block: in float64, the second-level cache of a core."""

_held = threading.local()


def scratch(kind: type[np.generic], size: int) -> np.ndarray[Any, Any]:
    """Room for numbers, until this thread asks for room again.

    Args:
        kind: Of at most 8 bytes each.
        size: How many, at most `BLOCK`.
    """
    if not hasattr(_held, "bytes"):
        _held.bytes = np.empty(BLOCK, np.float64)
    room: np.ndarray[Any, Any] = _held.bytes.view(kind)[:size]
    return room
