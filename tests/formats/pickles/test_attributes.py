"""Which attributes of an object stand in for methods."""

from __future__ import annotations

import pytest

from paraminspect.formats.pickles.attributes import MAX_PARTS, find_functions, find_special
from paraminspect.formats.pickles.inert import Global, Opaque

RUN = Global("my.code", "run")
KEYS = frozenset({"keys"})


def made(state: object = None, *args: object) -> Opaque:
    value = Opaque(Global("my", "Thing"), args)
    value.state = state
    return value


def subclass(entries: dict[object, object]) -> Opaque:
    value = Opaque(Global("collections", "OrderedDict"), ())
    value.entries = entries
    return value


@pytest.mark.parametrize(
    "item",
    [made({"keys": RUN}), made((None, {"keys": RUN})), made(subclass({"keys": RUN})), made(made(None, {"keys": RUN})),
     made(None, {"keys": RUN})],
)  # fmt: skip
def test_wherever_it_stands(item: object) -> None:
    assert list(find_functions(item, KEYS)) == [RUN]


@pytest.mark.parametrize("item", [made(), made({"keys": [1]}), made({"other": RUN}), made([{"keys": RUN}]), RUN, None])
def test_nothing_else_is(item: object) -> None:
    assert list(find_functions(item, KEYS)) == []


def test_special_methods() -> None:
    assert list(find_special({"__setstate__": RUN, "__wrapped__": RUN, "__new__": 3, "weight": RUN})) == [RUN]


def test_a_chain_ends() -> None:
    item: object = {"keys": RUN}
    for _ in range(MAX_PARTS):
        item = made(item)
    assert list(find_functions(item, KEYS)) == []
