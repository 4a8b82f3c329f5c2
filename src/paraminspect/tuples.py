"""Named tuples, declared as with `typing.NamedTuple` and made in half of its time.

Before Python 3.14 typing compiles the annotation of every field to see whether it is a type, which mypy knows. A command
on a file declares some sixty named tuples, and each start pays for them.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING or sys.version_info >= (3, 14):
    from typing import NamedTuple  # noqa: TID251 - this is how mypy knows it
else:

    class _Declared(type):
        """Makes a named tuple of the body of a class."""

        def __new__(cls, name, bases, body):
            fields = body["__annotations__"]
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Declared, "NamedTuple", (), {})
