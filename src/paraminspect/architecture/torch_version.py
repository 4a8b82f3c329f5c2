"""Whether the torch that is installed is the one that the table of layers was made after; it is not imported."""

from __future__ import annotations

import os
import re
import sys
from typing import Final

TABLE: Final = "2.13"
"""Names, shapes and classes are those of torch 2.4 to this one. What layers of normalisation print is not: they say `bias`."""

MAX_BYTES: Final = 4096
"""Of `torch/version.py` that are read; it has some 300."""


def prints_as_told() -> bool:
    """Whether layers print as the table says. Without torch nobody says otherwise."""
    version = _find_version()
    return version is None or version.startswith(f"{TABLE}.")


def _find_version() -> str | None:
    for folder in sys.path:
        try:
            with open(os.path.join(folder, "torch", "version.py"), encoding="utf-8") as file:
                found = re.search(r"""^__version__ = ['"]([^'"]+)""", file.read(MAX_BYTES), re.MULTILINE)
        except (OSError, UnicodeDecodeError):
            continue
        return found[1] if found else ""
    return None
