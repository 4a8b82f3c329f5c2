"""`module:callable`, `file.py:callable`, `transformers:FOLDER`; and what a file defines, without running it or torch."""

from __future__ import annotations

import ast
import os
import re
from typing import Final

from paraminspect.tuples import NamedTuple

FOLDER_PREFIX: Final = "transformers:"
FOLDER_FORMAT: Final = "transformers"
"""What kind of source it is."""

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class FactoryName(NamedTuple):
    """What `module:attribute` says.

    Attributes:
        module: Dotted name of a module; "" where a file is named.
        file: Path of a Python file; "" where a module is named.
        attribute: Dotted name inside it; "" where it is left out (`build.py`).
        folder: Of a model of transformers; "" for any other.
    """

    module: str
    file: str
    attribute: str
    folder: str = ""


def parse_factory(source: str) -> FactoryName | None:
    """`pkg.mod:callable`, `file.py:callable`, `file.py` alone, `transformers:FOLDER`; None for anything else, such as a URL."""
    if source.startswith(FOLDER_PREFIX) and source != FOLDER_PREFIX:
        return FactoryName("", "", "", source.removeprefix(FOLDER_PREFIX))
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
