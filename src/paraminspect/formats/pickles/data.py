"""Inert values as plain data: what JSON can say of them, bounded, with nothing made of it.

A namespace, a dataclass, an OmegaConf or EasyDict config is a mapping of its attributes; an enumeration's member its
value; a path its text; a number of numpy that number. What has no such form is named: "<pkg.mod.Class>".

Source: how these classes pickle: `argparse.Namespace`, `enum.Enum`, `pathlib` (its parts), `datetime`; `_content` of
OmegaConf's containers and `_val` of its nodes (omegaconf 2.x, `basecontainer.py`, `nodes.py`); `numpy.core.multiarray.scalar`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from paraminspect.formats.pickles.arrays import dtype_code
from paraminspect.formats.pickles.inert import Dtype, Global, LongBytes, OddKey, Opaque, TensorValue

MAX_DATA: Final = 5_000
"""Values of one file that are told; of what is behind them it is said that there is more."""

MAX_DATA_DEPTH: Final = 8
"""Mappings and lists in each other."""

MAX_BYTES_SHOWN: Final = 64
"""Of a byte string."""

MORE: Final = "…"
"""Stands for what is not told."""

_SCALARS: Final = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
    "u8": "Q", "b1": "?",
}  # fmt: skip
"""Code of a dtype of numpy -> that of `struct`."""

_PATHS: Final = frozenset({"PosixPath", "PurePosixPath", "Path", "PurePath"})
_WINDOWS_PATHS: Final = frozenset({"WindowsPath", "PureWindowsPath"})

_ARRAYS: Final = ("._reconstruct", "._frombuffer")
_COLLECTIONS: Final = frozenset({"builtins.set", "builtins.frozenset", "collections.deque"})


class Room:
    """How many values may still be told.

    Attributes:
        left: So many.
    """

    def __init__(self, left: int = MAX_DATA) -> None:
        self.left = left


def as_data(value: object, room: Room, depth: int = 0) -> Any:
    """What JSON can say of an inert value: None, bool, int, float, str, lists and mappings of these.

    Tensors are left out of mappings, since they are listed elsewhere, and named in lists.

    Args:
        room: Is used up.
    """
    room.left -= 1
    if room.left < 0:
        return MORE
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return repr(value[:MAX_BYTES_SHOWN])
    entries = entries_of(value)
    if entries is not None:
        return _mapping(entries, room, depth)
    if isinstance(value, list | tuple):
        return _sequence(value, room, depth)
    if isinstance(value, Opaque):
        return _object(value, room, depth)
    return _named(value)


def entries_of(value: object) -> Mapping[object, object] | None:
    """The entries of a dictionary, a namespace, or a config; None of anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Opaque):
        return None
    state = value.state
    if value.entries is not None:  # of a subclass of dict: EasyDict, defaultdict, OrderedDict
        return value.entries
    if isinstance(state, tuple):  # __dict__ and slots
        state = next((part for part in state if isinstance(part, dict)), None)
    if not isinstance(state, dict):
        return None
    content = state.get("_content")
    if "_metadata" in state and "_content" in state:  # of OmegaConf, whose lists, and what is missing, are no mapping
        return content if isinstance(content, dict) else None
    return None if "_val" in state or "_modules" in state or _is_listed(value) else state


def number_of(value: object) -> int | float | None:
    """An integer or a float, one of numpy or OmegaConf among them; None of anything else."""
    if isinstance(value, Opaque):
        value = _object(value, Room(4), 0)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_array(value: object) -> bool:
    """Whether it is a tensor, or an array of numpy."""
    if isinstance(value, TensorValue):
        return True
    return isinstance(value, Opaque) and value.class_name.startswith("numpy") and value.class_name.endswith(_ARRAYS)


def key_text(key: object) -> str:
    """What a key of a dictionary is called."""
    return key if isinstance(key, str) else key.text if isinstance(key, OddKey) else str(_named(key))


def _mapping(entries: Mapping[object, object], room: Room, depth: int) -> Any:
    if depth == MAX_DATA_DEPTH:
        return MORE
    told: dict[str, Any] = {}
    for key, item in entries.items():
        if room.left <= 0:
            told[MORE] = f"{len(entries) - len(told):,} more"
            break
        if not is_array(item):
            told[key_text(key)] = as_data(item, room, depth + 1)
    return told


def _sequence(value: list[object] | tuple[object, ...], room: Room, depth: int) -> Any:
    if depth == MAX_DATA_DEPTH:
        return MORE
    told: list[Any] = []
    for item in value:
        if room.left <= 0:
            told.append(MORE)
            break
        told.append(as_data(item, room, depth + 1))
    return told


def _is_listed(value: Opaque) -> bool:
    """Whether it is a value with a form of its own, not a holder of attributes."""
    return value.class_name.startswith(("pathlib.", "datetime.", "numpy.", "torch.device"))


def _object(value: Opaque, room: Room, depth: int) -> Any:
    """A value that is no mapping."""
    state, args = value.state, value.args if isinstance(value.args, tuple) else ()
    inside = _inside(value, args)
    if inside is not value:
        return as_data(inside, room, depth + 1)
    name = value.class_name.rpartition(".")[2]
    if name in _PATHS or name in _WINDOWS_PATHS:
        parts = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        return _path([str(part) for part in parts], "\\" if name in _WINDOWS_PATHS else "/")
    if name == "scalar" and value.class_name.startswith("numpy"):
        return _scalar(args)
    if value.class_name == "torch.device":
        return ":".join(str(part) for part in args)
    if len(args) == 1 and isinstance(args[0], str | int | float | bool) and state is None and name[:1].isupper():
        return args[0]  # a member of an enumeration, a subclass of str or of a number: classes, by their names
    return _named(value)


def _inside(value: Opaque, args: tuple[object, ...]) -> object:
    """What an object holds that is nothing but a holder; the object itself if it is more."""
    state = value.state
    if isinstance(state, dict) and "_val" in state:  # a node of OmegaConf
        return state["_val"]
    if isinstance(state, dict) and isinstance(state.get("_content"), list):
        return state["_content"]
    if value.items is not None:  # a subclass of list
        return value.items
    return args[0] if value.class_name in _COLLECTIONS and args else value


def _path(parts: list[str], separator: str) -> str:
    return parts[0] + separator.join(parts[1:]) if parts and parts[0].endswith(separator) else separator.join(parts)


def _scalar(args: tuple[object, ...]) -> Any:
    """A number of numpy: its dtype and its bytes, little-endian unless the dtype says otherwise."""
    dtype, data = args if len(args) == 2 else (None, None)
    kind, swapped = dtype_code(dtype)
    code = _SCALARS.get(kind or "")
    if code is None or not isinstance(data, bytes | str):
        return "<numpy scalar>"
    raw = data if isinstance(data, bytes) else data.encode("latin-1", "replace")
    if len(raw) != struct.calcsize(code):
        return "<numpy scalar>"
    return struct.unpack((">" if swapped else "<") + code, raw)[0]


def _named(value: object) -> str:
    """What is said of a value that is no data."""
    if isinstance(value, Dtype):
        return f"torch.{value.name}"
    if isinstance(value, Global):
        return value.dotted
    if isinstance(value, TensorValue):
        shape = "?" if value.shape is None else ",".join(map(str, value.shape))
        return f"<tensor [{shape}] {value.dtype}>"
    if isinstance(value, LongBytes):
        return f"<{value.length:,} bytes>"
    name = value.class_name if isinstance(value, Opaque) else type(value).__name__
    return f"<{name or 'object'}>"
