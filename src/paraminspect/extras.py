"""What takes a library that is not installed with the rest, and the line that brings it.

The lines name the libraries themselves: an extra of this project would bring torch too, into an environment for files alone.
"""

from __future__ import annotations

from typing import Final

LIBRARIES: Final = {
    "png": "pillow",
    "http": "fsspec aiohttp",
    "hf": "fsspec aiohttp huggingface_hub",
    "s3": "s3fs",
    "gs": "gcsfs",
    "dask": "distributed",
}
"""By the name of the extra."""


def install_line(extra: str) -> str:
    """The command that brings the libraries of an extra."""
    return f"pip install {LIBRARIES[extra]}"
