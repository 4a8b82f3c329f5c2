"""Texts that are installed with the code. `importlib.resources`, which reads them from a zip too, takes 3 ms to import."""

from __future__ import annotations

import os


def read_beside(module: str, name: str) -> str:
    """A text that lies beside a module.

    Args:
        module: Its `__file__`.
        name: With slashes.
    """
    with open(os.path.join(os.path.dirname(module), name), encoding="utf-8") as file:
        return file.read()


def read_bytes_beside(module: str, name: str) -> bytes:
    """The same, in UTF-8, for what is only passed on."""
    with open(os.path.join(os.path.dirname(module), name), "rb") as file:
        return file.read()
