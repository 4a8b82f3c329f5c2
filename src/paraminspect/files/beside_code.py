"""Texts that are installed with the code."""

from __future__ import annotations

import os


def read_beside(module: str, name: str) -> str:
    """A text that lies beside a module; `importlib.resources`, which reads it from a zip too, takes 3 ms to import.

    Args:
        module: Its `__file__`.
        name: With slashes.
    """
    with open(os.path.join(os.path.dirname(module), name), encoding="utf-8") as file:
        return file.read()
