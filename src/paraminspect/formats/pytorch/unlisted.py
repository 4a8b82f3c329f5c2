"""Tensors that a pickle holds where the walk does not look: in the state of an object that is no dictionary.

Objects with slots, frozen dataclasses and those with a `__getstate__` of their own write lists and tuples, whose items
have no names. They are found by looking into everything that the pickle made, which is only done where it refers to
storages that no listed tensor uses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from paraminspect.formats.pickles.inert import OddKey, Opaque, TensorValue
from paraminspect.text import counted, list_some, shape_text, shorten

SHOWN: Final = 3
"""Tensors that are named."""

MAX_STEPS: Final = 8
"""Parts of a path that are written out, the last ones."""

_Path = tuple["_Path | None", str]


def note_unlisted(root: object, listed: Collection[str]) -> Iterator[str]:
    """A remark on tensors whose storages no listed tensor has.

    Args:
        root: What the pickle stands for.
        listed: Keys of the storages of all tensors that are listed.
    """
    count = 0
    shown = []
    for value, path, holder in _find_tensors(root):
        if value.storage is not None and value.storage.key not in listed:
            count += 1
            if count <= SHOWN:
                shape = "" if value.shape is None else f" {shape_text(value.shape)}"
                shown.append(f"{_text(path)}{shape}" + (f" of {shorten(holder)}" if holder else ""))
    if count:
        are = "is" if count == 1 else "are"
        said = f"{counted(count, 'tensor')} inside objects that are not understood {are} not listed"
        yield f"{said}: {list_some(shown, SHOWN, count)}"


def _find_tensors(root: object) -> Iterator[tuple[TensorValue, _Path | None, str]]:
    """Every tensor below `root`, once, with the way to it and the class of the innermost object around it."""
    seen: set[int] = set()
    pending: list[tuple[object, _Path | None, str]] = [(root, None, "")]
    while pending:
        value, path, holder = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, TensorValue):
            yield value, path, holder
            continue
        inside = value.class_name if isinstance(value, Opaque) else holder
        below = [(item, (path, step) if step else path, inside) for step, item in _items(value)]
        pending += reversed(below)


def _items(value: object) -> Iterator[tuple[str, object]]:
    """What a value holds that may hold tensors, each with its step of a name."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, _HOLDERS):
                yield key if isinstance(key, str) else key.text if isinstance(key, OddKey) else "<object>", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if isinstance(item, _HOLDERS):
                yield str(index), item
    elif isinstance(value, Opaque):
        for item in (value.func, value.args, value.state, value.items, value.entries):
            if isinstance(item, _HOLDERS):
                yield "", item


_HOLDERS: Final = (TensorValue, dict, list, tuple, Opaque)


def _text(path: _Path | None) -> str:
    steps: list[str] = []
    while path is not None and len(steps) < MAX_STEPS:
        path, step = path
        steps.append(shorten(step))
    if path is not None:
        steps.append("…")
    return ".".join(reversed(steps)) or "the object"
