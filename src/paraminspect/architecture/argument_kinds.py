"""Arguments of a layer as a row of `layer_rows` declares them: what is given, held against their kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from paraminspect.architecture.layer_rows import DoubtError, Values
from paraminspect.tuples import NamedTuple

MAX_SIZE: Final = 1 << 31
"""Of any integer that is told without torch."""

ITEMSIZES: Final = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8}
"""Bytes of an element, of the types that are told without torch."""


class Taken(NamedTuple):
    """An argument that a row declares."""

    name: str
    kind: str
    is_optional: bool
    default: Any
    is_required: bool
    is_named: bool


@lru_cache(maxsize=256)
def read_takes(text: str) -> tuple[Taken, ...]:
    found, is_named = [], False
    for word in text.split():
        if word == "*":
            is_named = True
            continue
        name, _, rest = word.partition(":")
        kind, equals, default = rest.partition("=")
        is_optional = kind.endswith("?") or kind in ("null", "dtype")
        found.append(
            Taken(
                name, kind.removesuffix("?"), is_optional, _constant(default) if equals else None,
                not equals and not is_optional, is_named,
            )
        )  # fmt: skip
    return tuple(found)


def _constant(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def bind_values(taken: Sequence[Taken], args: Sequence[Any], kwargs: Mapping[str, Any], n: int) -> Values:
    """Every declared argument, as the class keeps it.

    Args:
        n: Dimensions of the class.
    """
    names = [each.name for each in taken if not each.is_named]
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or not given.keys().isdisjoint(kwargs):
        raise DoubtError
    given.update(kwargs)
    values: Values = {}
    for each in taken:
        value = given.pop(each.name, each.default)
        if value is None and (each.is_required or not each.is_optional):
            raise DoubtError
        values[each.name] = None if value is None else _admit(each.kind, value, n)
    if given:
        raise DoubtError
    return values


def _admit(kind: str, value: Any, n: int) -> Any:
    """The value, if an argument of that kind may have it."""
    for choice in kind.split("|"):
        admit = _KINDS.get(choice)
        admitted = admit(value, n) if admit is not None else value if value == choice else None
        if admitted is not None:
            return admitted
    raise DoubtError


def _integer(least: int) -> Callable[[Any, int], Any]:
    def admit(value: Any, n: int) -> Any:
        return value if type(value) is int and least <= value < MAX_SIZE else None

    return admit


def _integers(least: int, *, times: int = 1) -> Callable[[Any, int], Any]:
    """As many integers as there are dimensions; of one, so many."""
    one = _integer(least)

    def admit(value: Any, n: int) -> Any:
        values = value if isinstance(value, tuple) else (value,) * (n * times)
        return values if len(values) == n * times and all(one(each, n) is not None for each in values) else None

    return admit


def _float(value: Any, n: int) -> Any:
    return value if type(value) is float and isfinite(value) else None


def _number(value: Any, n: int) -> Any:
    return value if type(value) is int and abs(value) < MAX_SIZE else _float(value, n)


def _share(value: Any, n: int) -> Any:
    return value if _number(value, n) is not None and 0 <= value <= 1 else None


def _above0(value: Any, n: int) -> Any:
    return value if _float(value, n) is not None and value > 0 else None


def _several(least: int, *, gaps: bool = False) -> Callable[[Any, int], Any]:
    """Integers in a list of any length, as they are written, or one; with `gaps`, null may stand in the list."""
    one = _integer(least)

    def admit(value: Any, n: int) -> Any:
        if not isinstance(value, tuple):
            return one(value, n)
        return value if value and all((gaps and each is None) or one(each, n) is not None for each in value) else None

    return admit


def _shape(value: Any, n: int) -> Any:
    sizes = value if isinstance(value, tuple) else (value,)
    return sizes if sizes and all(_size(each, n) is not None for each in sizes) else None


def _listed(value: Any, n: int) -> Any:
    return value if isinstance(value, tuple) and all(_any(each, n) is not None for each in value) else None


_size, _any = _integer(1), _integer(-MAX_SIZE)
_KINDS: Final[Mapping[str, Callable[[Any, int], Any]]] = {
    "size": _size,
    "whole": _integer(0),
    "int": _any,
    "ints": _listed,
    "float": _float,
    "number": _number,
    "share": _share,
    "above0": _above0,
    "flag": lambda value, n: value if isinstance(value, bool) else None,
    "tuple": _integers(1),
    "tuple0": _integers(0),
    "pads": _integers(-MAX_SIZE, times=2),
    "sizes": _several(1),
    "wholes": _several(0),
    "gaps": _several(1, gaps=True),
    "shape": _shape,
    "null": lambda value, n: None,
    "dtype": lambda value, n: value if value in ITEMSIZES and value != "int64" else None,
}
