"""Importing a module without compiling the regular expressions that it defines before one of them is used."""

from __future__ import annotations

import gettext as _gettext  # noqa: F401 - gives its pattern to functions of re, which take none of ours
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_compile: Final = re.compile


class LatePattern:
    """What `re.compile` gives, compiled when it is first asked for something."""

    def __init__(self, *given: Any) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return getattr(_compile(*self._given), name)


@contextmanager
def late_patterns() -> Iterator[None]:
    """Inside, `re.compile` leaves the work for later; nothing is changed where other threads could notice.

    Of PyYAML's import, compiling takes three quarters; its parser in C, of which the events are taken, uses none of them. Of
    typer's, it takes 2.5 of 36 ms: nearly all patterns are of modules of Python's own that it needs for something else.
    """
    if threading.active_count() > 1:
        yield
        return
    re.compile = LatePattern  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = _compile
