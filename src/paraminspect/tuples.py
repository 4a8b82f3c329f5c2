"""Named tuples, declared as with `typing.NamedTuple` and made in a fifth of its time.

Before Python 3.14 typing compiles the annotation of every field to see whether it is a type, which mypy knows, and
`collections.namedtuple` compiles a `__new__` for every class. A command on a file declares some sixty named tuples, one on
a spec a hundred and ten, and each start pays for them. Here one `__new__` is compiled for each number of fields, and gets
the names of the fields.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING or sys.version_info >= (3, 14):
    from typing import NamedTuple  # noqa: TID251 - this is how mypy knows it
else:
    from collections import namedtuple
    from types import FunctionType

    _UNEXPECTED = TypeError if sys.version_info >= (3, 13) else ValueError

    _patterns = {}
    """Number of fields -> a named tuple of as many."""

    def _pattern(count):
        if count not in _patterns:
            _patterns[count] = namedtuple("pattern", [f"field{number}" for number in range(count)])
        return _patterns[count]

    def _make(cls, values):
        """Make one of a sequence or iterable."""
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, /, **given):
        """One with other values in some fields."""
        made = tuple.__new__(type(self), map(given.pop, self._fields, self))
        if given:
            raise _UNEXPECTED(f"Got unexpected field names: {list(given)!r}")
        return made

    def _asdict(self):
        """Field -> value."""
        return dict(zip(self._fields, self, strict=True))

    def _repr(self):
        return f"{type(self).__name__}({', '.join(map('{}={!r}'.format, self._fields, self))})"

    def _new_arguments(self):
        return tuple(self)

    _METHODS = {
        "__doc__": None,
        "__slots__": (),
        "_make": classmethod(_make),
        "_replace": _replace,
        "__replace__": _replace,
        "_asdict": _asdict,
        "__repr__": _repr,
        "__getnewargs__": _new_arguments,
    }

    class _Declared(type):
        """Makes a named tuple of the body of a class."""

        def __new__(cls, name, bases, body):
            fields = tuple(map(sys.intern, body["__annotations__"]))
            defaults = {field: body.pop(field) for field in fields if field in body}
            pattern = _pattern(len(fields))
            like = pattern.__new__
            code = like.__code__.replace(co_varnames=("_cls", *fields), co_qualname=f"{name}.__new__")
            new = FunctionType(code, like.__globals__, "__new__", tuple(defaults.values()))
            getters = map(pattern.__dict__.get, pattern._fields)
            known = {"__new__": new, "_fields": fields, "__match_args__": fields, "_field_defaults": defaults}
            return type(name, (tuple,), {**_METHODS, **known, **dict(zip(fields, getters, strict=True)), **body})

    NamedTuple = type.__new__(_Declared, "NamedTuple", (), {})
