"""What attributes a pickle gives to an object: where one stands in for a method, whoever uses the object calls it.

They come as the state that BUILD sets, a dictionary or a pair of them; of a few classes as an argument. A dictionary may
be one of a class derived from it, filled by the opcodes for items or by its rebuilder.
"""

from __future__ import annotations

from typing import Final

from paraminspect.formats.pickles.inert import Global, Opaque

HARMLESS_SPECIAL: Final = frozenset(
    {"__name__", "__qualname__", "__doc__", "__module__", "__wrapped__", "__dict__", "__annotations__", "__orig_class__",
     "__defaults__", "__kwdefaults__", "__args__", "__origin__", "__parameters__", "__cached_setstate__", "__objclass__"}
)  # fmt: skip
"""Special names that objects have as attributes of their own."""

MAX_PARTS: Final = 16
"""Dictionaries that are looked into for one object."""


def find_functions(item: object, names: frozenset[str]) -> list[object]:
    """What an object has in the place of methods of these names: functions, classes and what was made of them."""
    return [
        part[name]
        for part in _dictionaries(item)
        for name in names & part.keys()
        if isinstance(part[name], Global | Opaque)
    ]


def find_special(state: object) -> list[object]:
    """What a state has in the place of special methods, `__setstate__` or `__new__`; no honest object has one of its own."""
    return [
        part[name]
        for part in _dictionaries(state)
        for name in part
        if type(name) is str
        and name[:2] == "__"  # which few are
        and name.endswith("__")
        and isinstance(part[name], Global | Opaque)
        and name not in HARMLESS_SPECIAL
    ]


def is_empty(value: object) -> bool:
    """Whether it is an object without any attributes, as most are that get a state."""
    return type(value) is Opaque and not (value.state or value.entries or value.args)


def _dictionaries(value: object) -> list[dict[object, object]]:
    if type(value) is dict:  # as most states are
        return [value]
    found: list[dict[object, object]] = []
    pending = [value]
    for _ in range(MAX_PARTS):
        if not pending:
            break
        value = pending.pop()
        if isinstance(value, dict):
            found.append(value)
        elif isinstance(value, tuple):
            pending += [item for item in value[:3] if isinstance(item, dict | tuple | Opaque)]
        elif isinstance(value, Opaque):
            pending += [each for each in (value.state, value.entries, value.args) if each]
    return found
