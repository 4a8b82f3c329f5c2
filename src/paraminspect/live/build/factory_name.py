"""What `module:callable` and `file.py:callable` say, and what a file defines, without running it or importing torch."""

from __future__ import annotations

import ast
import os
import re
from typing import NamedTuple

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class FactoryName(NamedTuple):
    """What `module:attribute` says.

    Attributes:
        module: Dotted name of a module; "" where a file is named.
        file: Path of a Python file; "" where a module is named.
        attribute: Dotted name inside it; "" where it is left out (`build.py`).
    """

    module: str
    file: str
    attribute: str


def parse_factory(source: str) -> FactoryName | None:
    """`pkg.mod:callable`, `file.py:callable`, or `file.py` alone; None for anything else, such as a URL."""
    if source.lower().endswith(".py") and "://" not in source:
        return FactoryName("", source, "")
    where, colon, attribute = source.rpartition(":")
    if not colon or not _DOTTED.fullmatch(attribute):
        return None
    if where.lower().endswith(".py") and "://" not in where:
        return FactoryName("", where, attribute)
    return FactoryName(where, "", attribute) if _DOTTED.fullmatch(where) else None


def class_names(path: str) -> frozenset[str]:
    """Classes at the top level of a Python file, which is not run; none of one that cannot be read."""
    try:
        with open(os.path.abspath(path), "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(node.name for node in tree.body if isinstance(node, ast.ClassDef))
