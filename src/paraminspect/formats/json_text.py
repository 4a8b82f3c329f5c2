"""Objects of JSON, of which no key may come twice: the standard parser keeps the last one and says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from paraminspect.errors import MalformedError
from paraminspect.text import quote

if TYPE_CHECKING:
    from json import JSONDecoder

MAX_JSON_BYTES: Final = 64 << 20
"""Of a shard index or config.json."""


def parse_object(text: str | bytes, what: str, *, hint: str | None = None, **options: Any) -> dict[str, Any]:
    """The object that a JSON text is.

    Args:
        hint: Where it is no JSON at all.

    Raises:
        MalformedError: No JSON, no object, or a key twice.
    """
    import json

    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a BOM")
        loaded = _decoder(**options).decode(text)
    except _RepeatedError as error:
        raise MalformedError(f"{what} has {quote(error.key)} twice", fault="duplicate-name") from None
    except RecursionError:
        raise MalformedError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise MalformedError(f"{what} is no JSON: {error}"[:200], hint=hint) from None
    if not isinstance(loaded, dict):
        raise MalformedError(f"{what} is a JSON {type(loaded).__name__}, expected an object")
    return loaded


class _RepeatedError(Exception):
    """An object has a key a second time."""

    def __init__(self, key: str) -> None:
        self.key = key


@cache
def _decoder(**options: Any) -> JSONDecoder:
    """One for all texts: to make it takes as long as to read a small one."""
    from json import JSONDecoder

    return JSONDecoder(**{"object_pairs_hook": unique, **options})


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object of these pairs: an `object_pairs_hook`, or what another one falls back to."""
    made = dict(pairs)
    if len(made) != len(pairs) and (key := find_repeated(pairs)) is not None:
        raise _RepeatedError(key)
    return made


def find_repeated(pairs: Iterable[tuple[str, object]]) -> str | None:
    """The first key that an object has a second time, None if all are different.

    Args:
        pairs: As `json.loads` gives them to an `object_pairs_hook`.
    """
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None
