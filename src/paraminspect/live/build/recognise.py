"""Whether SOURCE names a live model, a spec or a Python factory, decided without importing torch."""

from __future__ import annotations

import os
import re
import stat
from typing import Final, Literal, NamedTuple

from paraminspect.architecture.recognise import MAX_SPEC_BYTES, looks_like_spec

MAX_HEAD_BYTES: Final = 4096
"""What is read of a file to see whether it is text at all."""

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


def recognise_live(source: str) -> Literal["spec", "factory"] | None:
    """What kind of live model is named; None for a checkpoint, a URL, a folder, and what cannot be opened.

    A file is judged by its content (text that is called YAML is a spec, perhaps one with a mistake); one whose name
    happens to have a colon goes before a factory.
    """
    try:
        status = os.stat(source)
    except (OSError, ValueError):
        return "factory" if parse_factory(source) else None
    if not stat.S_ISREG(status.st_mode):
        return None
    try:
        with open(source, "rb") as file:
            head = file.read(MAX_HEAD_BYTES)
            if b"\0" not in head and len(head) == MAX_HEAD_BYTES:
                head += file.read(MAX_SPEC_BYTES - MAX_HEAD_BYTES)
    except OSError:
        return None
    if source.lower().endswith(".py"):
        return "factory"
    named = source.lower().endswith((".yaml", ".yml")) and b"\0" not in head
    return "spec" if named or looks_like_spec(head) else None
