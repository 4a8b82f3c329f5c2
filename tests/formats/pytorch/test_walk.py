"""Names, kinds, roles and parts of what stands in a structure; structures with more paths than anyone can walk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError
from paraminspect.formats.pickles.inert import Global, Opaque, StorageRef, TensorValue, describe_key
from paraminspect.formats.pytorch import walk
from paraminspect.formats.pytorch.walk import name_tensors
from paraminspect.records import Storage, TensorRecord

STORAGES: dict[str, Storage] = {}


def resolve(reference: StorageRef) -> Storage:
    return STORAGES.setdefault(reference.key, Storage(reference.key, reference.nbytes))


def tensor(shape: tuple[int, ...] = (2,), *, trainable: bool | None = None, kind: str = "tensor") -> TensorValue:
    value = TensorValue(StorageRef("0", "float32", 8), 0, shape, (1,) * len(shape), "float32", 2, trainable=trainable)
    value.kind = kind
    return value


def made(name: str, state: object = None, *, args: object = ()) -> Opaque:
    value = Opaque(Global(*name.rsplit(".", 1)), args)
    value.state = state
    return value


def module(
    name: str = "m.Net", parameters: Any = None, buffers: Any = None, modules: Any = None, **attributes: Any
) -> Opaque:
    tables = {"_parameters": parameters or {}, "_buffers": buffers or {}, "_modules": modules or {}}
    return made(name, {"training": True, **tables, **attributes})


def records(root: object) -> list[TensorRecord]:
    return name_tensors(root, resolve)


def names(root: object) -> list[str]:
    return [record.name for record in records(root)]


T = tensor()

# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (T, [""]),
        (None, []),
        ("text", []),
        ({}, []),
        ({"a": T, "b": T}, ["a", "b"]),
        ({"a": {"b": {"c": T}}, "d": T}, ["a.b.c", "d"]),
        ({"a": [T, (T, [T])]}, ["a.0", "a.1.0", "a.1.1.0"]),
        ([1, T, "x", T], ["1", "3"]),
        ({describe_key(0): T, describe_key((1, "a")): {"x": T}, describe_key(None): T}, ["0", "(1, 'a').x", "None"]),
        ({"a.b": T, "a": {"b": T}}, ["a.b", "a.b"]),
        ({"": T, "x": {"": T}}, ["", "x."]),
        ({made("m.Key"): T}, ["<m.Key>"]),
        (made("m.Point", {"x": T, "deep": [T]}), ["x", "deep.0"]),
        (made("m.Slots", (None, {"x": T})), ["x"]),
        (made("m.Both", ({"x": T}, {"y": T})), ["x", "y"]),
        (made("m.Pair", args=(T, 1, T)), ["0", "2"]),
        (made("m.Pair", args=((T,), T)), ["0.0", "1"]),
        (made("m.TupleClass", args=((T, T),)), ["0", "1"]),
        (made("torch.return_types.max", args=((T, T), {})), ["0", "1"]),
        (made("numpy.ndarray", {"x": T}, args=(T,)), []),
        (module(parameters={"w": T, "b": None}, modules={"child": module(parameters={"w": T}), "none": None}), ["w", "child.w"]),
        (module(parameters={"p": T}, buffers={"b": T}, modules={"m": module(parameters={"q": T})}, plain=T), ["p", "b", "m.q", "plain"]),
        ({"net": module(modules={"0": module(parameters={"w": T})})}, ["net.0.w"]),
    ],
)  # fmt: skip
def test_names(root: object, expected: list[str]) -> None:
    assert names(root) == expected


def test_items_and_entries_of_an_object() -> None:
    value = made("collections.deque", {"x": T})
    value.items, value.entries = [T, T], {"k": T}
    assert names({"a": value}) == ["a.x", "a.k", "a.0", "a.1"]


def test_a_converter_is_asked_for_every_object() -> None:
    array = made("numpy._reconstruct")

    def convert(value: Opaque) -> object:
        return T if value is array else value

    root = {"a": array, "b": [array, (array,)], "c": made("m.C", {"d": array})}
    assert [record.name for record in name_tensors(root, resolve, convert)] == ["a", "b.0", "b.1.0", "c.d"]
    assert [record.name for record in name_tensors(array, resolve, convert)] == [""]


@given(st.recursive(st.just(T), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=4), max_leaves=12))
def test_names_lead_to_the_tensors(root: Any) -> None:
    def flatten(value: Any, prefix: str = "") -> list[str]:
        if value is T:
            return [prefix[:-1]]
        return [name for key, item in value.items() for name in flatten(item, f"{prefix}{key}.")]

    expected = flatten(root)  # the walk lets go of what it has seen
    assert names(root) == expected


# --- kinds, roles, parts ----------------------------------------------------------------------------------------


def test_a_module_says_what_is_a_parameter() -> None:
    root = module(
        parameters={"w": tensor(trainable=True), "frozen": tensor(trainable=False)},
        buffers={"running": tensor(trainable=True), "made": tensor()},
        plain=tensor(),
        _non_persistent_buffers_set=["made"],
        nested={"list": [tensor(kind="parameter", trainable=True)]},
    )
    assert [
        (record.name, record.kind, record.trainable, record.role, record.module_type) for record in records(root)
    ] == [
        ("w", "parameter", True, "model", "m.Net"),
        ("frozen", "parameter", False, "model", "m.Net"),
        ("running", "buffer", None, "model", "m.Net"),
        ("made", "buffer", None, "unsaved", "m.Net"),
        ("plain", "tensor", None, "attribute", "m.Net"),
        ("nested.list.0", "parameter", True, "attribute", None),
    ]


def test_a_name_says_what_is_a_buffer_unless_the_file_does() -> None:
    root = {"bn.running_mean": T, "p.running_mean": tensor(kind="parameter"), "optimizer": {"running_mean": T}}
    assert [record.kind for record in records(root)] == ["buffer", "parameter", "tensor"]


@pytest.mark.parametrize(
    ("root", "role", "part"),
    [
        ({"w": T}, "model", ""),
        ({"model": {"w": T}}, "model", "model"),
        ({"a": {"b": {"w": T}}}, "model", "a"),
        ({"optimizer": {"state": {"0": {"exp_avg": T}}}}, "optimizer", "optimizer"),
        ({"opt": {"state": {"0": {"exp_avg": T}}, "param_groups": []}}, "optimizer", "opt"),
        ({"state": {"0": {"exp_avg": T}}, "param_groups": []}, "optimizer", ""),
        ({"trainer": {"optimizer": {"w": T}}}, "optimizer", "trainer"),
        ({"optimizer_states": [{"state": {"0": T}}]}, "optimizer", "optimizer_states"),
        ({"opt": made("m.Adam", {"state": {"0": T}, "param_groups": []})}, "optimizer", "opt"),
        ({"rng_state": T}, "state", ""),
        ({"rng_state": {"cpu": T}}, "state", "rng_state"),
        ({"scaler": {"x": T}}, "state", "scaler"),
        ({"scaler": T}, "model", ""),
        ({"model": {"optimizer": T}}, "model", "model"),
        ({"model": {"layers": {"scaler": {"w": T}}}}, "model", "model"),
        (module(modules={"optimizer": module(parameters={"w": T})}), "model", ""),
        ({"net": module(modules={"scheduler": module(parameters={"w": T})})}, "model", "net"),
        ({"net": module(parameters={"state": T, "param_groups": T})}, "model", "net"),
        ({"optimizer": module(parameters={"w": T}, plain=T)}, "optimizer", "optimizer"),
    ],
)
def test_roles_and_parts(root: object, role: str, part: str) -> None:
    assert {(record.role, record.part) for record in records(root)} == {(role, part)}


# --- more paths than anyone can walk ----------------------------------------------------------------------------


def doubled(depth: int) -> object:
    """2^depth paths to one tensor."""
    value: object = (T,)
    for _ in range(depth):
        value = (value, value)
    return value


def nested(depth: int) -> object:
    value: object = T
    for _ in range(depth):
        value = [value]
    return value


def shared_state(count: int) -> list[Opaque]:
    """Objects that all have one dictionary as state: each is new, their entries are not."""
    state = {"_modules": {}, "_buffers": {}, "_parameters": dict.fromkeys(map(str, range(50)))}
    return [made("m.C", state) for _ in range(count)]


def shared_arguments(count: int) -> list[Opaque]:
    args = (None,) * 50
    return [made("m.C", args=args) for _ in range(count)]


def test_every_path_to_a_tensor_has_a_name() -> None:
    assert names(doubled(2)) == ["0.0.0", "0.1.0", "1.0.0", "1.1.0"]


@pytest.mark.parametrize("make", [doubled, shared_state, shared_arguments])
def test_a_limit_on_repeated_visits(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_REPEATED", 200)
    records(make(3))
    with pytest.raises(LimitExceededError, match="paths to the same nested containers; the limit is 200"):
        records(make(10))


def test_a_tower_of_paths_is_refused() -> None:
    with pytest.raises(LimitExceededError, match="paths to the same"):
        records(doubled(100))


def test_cycles_are_cut() -> None:
    loop: dict[str, Any] = {"w": T}
    loop["self"] = loop
    loop["list"] = [loop, [loop]]
    net = module(parameters={"w": T})
    assert isinstance(net.state, dict)
    net.state["parent"] = net
    assert names(loop) == ["w"]
    assert names(net) == ["w"]


@pytest.mark.parametrize(
    ("limit", "value", "within", "beyond", "message"),
    [
        ("MAX_NESTING", 5, nested(6), nested(7), "levels of nesting"),
        ("MAX_TENSORS", 3, [T] * 3, [T] * 4, "tensors in one file"),
        ("MAX_NAMES_TEXT", 20, {"a" * 9: [T]}, {"a" * 9: [T, T]}, "characters of names"),
        ("MAX_NAMES_TEXT", 20, {"a" * 9: [{}]}, {"a" * 9: [{}, {}]}, "characters of names"),  # of containers as well
        ("MAX_NAME_BYTES", 5, {"abcd": [T]}, {"abcde": [T]}, "characters in one name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits(
    limit: str, value: int, *, within: object, beyond: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, limit, value)
    records(within)
    with pytest.raises(LimitExceededError, match=message):
        records(beyond)
