"""Importing a module without compiling the regular expressions that it defines before one of them is used."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LatePattern:
    """What `re.compile` gives, compiled when it is first asked for something."""

    def __init__(self, *given: Any) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return getattr(re.compile(*self._given), name)


@contextmanager
def late_patterns() -> Iterator[None]:
    """Inside, `re.compile` leaves the work for later; nothing is changed where other threads could notice.

    Of PyYAML's import, compiling takes three quarters; its parser in C, of which the events are taken, uses none of them.
    """
    if threading.active_count() > 1:
        yield
        return
    compiled = re.compile
    re.compile = LatePattern  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = compiled
