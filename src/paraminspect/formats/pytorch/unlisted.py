"""Tensors that a pickle holds where the walk does not look, and parts of some that other files have the rest of.

They are keys of dictionaries, attributes of tensors, items of arrays of objects, arguments of functions that are not known;
or storages that no tensor has. They are found by looking into everything that the pickle made, which is only done where it
refers to storages that no listed tensor uses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from paraminspect.formats.pickles.inert import OddKey, Opaque, StorageRef, TensorValue
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
    counts = dict.fromkeys(_WORDS, 0)
    shown: dict[str, list[str]] = {kind: [] for kind in _WORDS}
    for kind, value, path, holder in _find(root):
        storage = value if isinstance(value, StorageRef) else value.storage
        if kind == "part" or (storage is not None and storage.key not in listed):
            counts[kind] += 1
            if counts[kind] <= SHOWN:
                shape = getattr(value, "shape", None)
                text = _text(path) + ("" if shape is None else f" {shape_text(shape)}")
                shown[kind].append(text + (f" of {shorten(holder)}" if holder else ""))
    for kind, (noun, one, many) in _WORDS.items():
        if count := counts[kind]:
            said = f"{counted(count, noun)} {one if count == 1 else many}"
            yield f"{said}: {list_some(shown[kind], SHOWN, count)}"


_WORDS: Final = {
    "tensor": ("tensor", "inside an object that is not understood is not listed",
               "inside objects that are not understood are not listed"),
    "storage": ("storage", "without a tensor is not listed", "without a tensor are not listed"),
    "part": ("tensor", "is here in part, the rest is in files of other ranks",
             "are here in part, the rest is in files of other ranks"),
}  # fmt: skip


def _find(root: object) -> Iterator[tuple[str, TensorValue | StorageRef, _Path | None, str]]:
    """Every tensor and bare storage below `root`, once, with the way to it and the class of the innermost object around.

    Of a tensor that is here in part, its parts are left out.
    """
    seen: set[int] = set()
    pending: list[tuple[object, _Path | None, str]] = [(root, None, "")]
    while pending:
        value, path, holder = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, TensorValue):
            is_part = value.layout == "chunked" and value.nbytes is not None
            yield "part" if is_part else "tensor", value, path, holder
            if not is_part and value.state is not None:
                pending.append((value.state, path, "a tensor"))
            continue
        if isinstance(value, StorageRef):
            yield "storage", value, path, holder
            continue
        inside = value.class_name if isinstance(value, Opaque) else holder
        below = [(item, (path, step) if step else path, inside) for step, item in _items(value)]
        pending += reversed(below)


def _items(value: object) -> Iterator[tuple[str, object]]:
    """What a value holds that may hold tensors, each with its step of a name."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, OddKey | Opaque):
                yield "<key>", key.value if isinstance(key, OddKey) else key
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


_HOLDERS: Final = (TensorValue, StorageRef, dict, list, tuple, Opaque)


def _text(path: _Path | None) -> str:
    steps: list[str] = []
    while path is not None and len(steps) < MAX_STEPS:
        path, step = path
        steps.append(shorten(step))
    if path is not None:
        steps.append("…")
    return ".".join(reversed(steps)) or "the object"
