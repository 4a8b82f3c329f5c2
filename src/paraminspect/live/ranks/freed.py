"""Memory that is free again goes back to the system at once, so that what is gathered for a moment takes no room afterwards."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's malloc.h."""

LARGE_BYTES: Final = 1 << 20
"""What is as large has pages of its own. Glibc raises that to 32 MiB as it goes, and then keeps what is free between others."""


def give_back_what_is_freed() -> bool:
    """Ask malloc for it; whether it could be asked: of glibc alone, where the environment does not say something else."""
    if any(name.startswith(("MALLOC_", "LD_PRELOAD")) for name in os.environ) or os.name == "nt":
        return False
    ask = getattr(ctypes.CDLL(None), "mallopt", None)
    return ask is not None and bool(ask(_M_MMAP_THRESHOLD, LARGE_BYTES))
