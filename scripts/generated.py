"""How the modules of data begin that scripts write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def begin(title: str, told: Iterable[str]) -> Iterator[str]:
    """Lines of a module of constants up to the first of them.

    Args:
        title: First line of its docstring.
        told: The lines behind it: who wrote it, of what.
    """
    yield f'"""{title}'
    yield ""
    yield from told
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from typing import Final"
    yield ""
