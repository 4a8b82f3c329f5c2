"""Named tuples, declared as with `typing.NamedTuple` and made in a sixth of its time.

Before Python 3.14 typing compiles the annotation of every field to see whether it is a type, which mypy knows, and a
constructor for every class. A command on a file declares some seventy named tuples and makes some of twenty; each start
pays for them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING or sys.version_info >= (3, 14):
    from typing import NamedTuple  # noqa: TID251 - this is how mypy knows it
else:
    from collections import _tuplegetter, namedtuple
    from functools import cache

    @cache
    def _getter(index):
        return _tuplegetter(index, f"Alias for field number {index}")

    def _new(cls, /, *given, **named):
        """Stands for the constructor until the first of a class is made."""
        owner = next(each for each in cls.__mro__ if "_fields" in each.__dict__)
        made = namedtuple(owner.__name__, owner._fields, defaults=owner._field_defaults.values())
        owner.__new__ = made.__dict__["__new__"]
        return owner.__new__(cls, *given, **named)

    def _make(cls, iterable):
        """Make one of the values of its fields."""
        made = tuple.__new__(cls, iterable)
        if len(made) != len(cls._fields):
            raise TypeError(f"{len(cls._fields)} values are due, not {len(made)}")
        return made

    def _replace(self, /, **changed):
        """The same with other values in these fields."""
        made = tuple.__new__(type(self), map(changed.pop, self._fields, self))
        if changed:
            raise TypeError(f"no such fields: {', '.join(changed)}")
        return made

    _COMMON = {
        "__slots__": (),
        "__new__": _new,
        "__repr__": lambda self: f"{type(self).__name__}({', '.join(map('{}={!r}'.format, self._fields, self))})",
        "__getnewargs__": lambda self: self[:],
        "_asdict": lambda self: dict(zip(self._fields, self, strict=True)),
        "_make": classmethod(_make),
        "_replace": _replace,
        "__replace__": _replace,
    }

    class _Declared(type):
        """Makes a named tuple of the body of a class."""

        def __new__(cls, name, bases, body):
            fields = tuple(body["__annotations__"])
            known = {"_fields": fields, "__match_args__": fields}
            known["_field_defaults"] = {field: body[field] for field in fields if field in body}
            getters = {field: _getter(index) for index, field in enumerate(fields)}
            return type(name, (tuple,), {**_COMMON, **body, **known, **getters})

    NamedTuple = type.__new__(_Declared, "NamedTuple", (), {})
