"""The allow-list: what each builder makes of good arguments, and that it refuses bad ones."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError
from paraminspect.formats.dtypes import BITS, STORAGE_TYPES
from paraminspect.formats.pickles.inert import (
    Builder,
    Dtype,
    Global,
    LongBytes,
    Opaque,
    StorageRef,
    StorageType,
    TensorValue,
)
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.objects import _BUILDERS, GlobalTable, measure, storage_ref, strided_tensor

STORAGE = StorageRef("0", "float32", 80)  # 20 elements
FLOAT16 = Dtype("float16")
TENSOR = TensorValue(STORAGE, 0, (4, 5), (5, 1), "float32", 20, trainable=False)


def build(name: str, *args: object) -> Any:
    """What `torch._utils.NAME(*args)` becomes; other modules are written out."""
    module, _, function = name.rpartition(".")
    builder = GlobalTable().find(module or "torch._utils", function)
    assert isinstance(builder, Builder)
    return builder.build(args)


# --- good arguments ---------------------------------------------------------------------------------------------


def test_strided_tensors() -> None:
    one = build("_rebuild_tensor", STORAGE, 3, (2, 3), (3, 1))
    assert (one.storage, one.offset, one.shape, one.stride, one.dtype, one.numel) == (
        STORAGE,
        3,
        (2, 3),
        (3, 1),
        "float32",
        6,
    )
    assert (one.trainable, one.kind) == (None, "tensor")
    assert build("_rebuild_tensor_v2", STORAGE, 0, (), (), True, {}).trainable is True
    assert build("_rebuild_tensor_v2", STORAGE, 0, (), (), False, {}, {"conj": True}).trainable is False
    assert build("_rebuild_tensor_v3", STORAGE, 0, (40,), (1,), False, {}, FLOAT16).dtype == "float16"
    assert build("_rebuild_qtensor", STORAGE, 0, (4,), (1,), ("scheme", 0.1, 0), False, {}).shape == (4,)


def test_parameters_and_buffers_are_copies() -> None:
    parameter = build("_rebuild_parameter", TENSOR, True, {})
    stated = build("_rebuild_parameter_with_state", TENSOR, False, {}, {"tag": 1})
    assert (parameter.kind, parameter.trainable, parameter.storage) == ("parameter", True, STORAGE)
    assert (stated.kind, stated.trainable) == ("parameter", False)
    assert build("torch.nn.parameter.Parameter", TENSOR).trainable is True
    assert build("_rebuild_buffer", TENSOR, False, True).kind == "buffer"
    assert (TENSOR.kind, TENSOR.trainable) == ("tensor", False)


def test_tensors_without_a_storage() -> None:
    meta = build("_rebuild_meta_tensor_no_storage", FLOAT16, (2, 3), (3, 1), True)
    assert (meta.storage, meta.shape, meta.dtype, meta.trainable) == (None, (2, 3), "float16", True)
    wrapper = build("_rebuild_wrapper_subclass", None, FLOAT16, (8,), (1,), 0, None, None, True)
    assert (wrapper.storage, wrapper.shape, wrapper.layout) == (None, (8,), "chunked")


@pytest.mark.parametrize(
    ("state", "kind"),
    [({"_is_param": True}, "parameter"), ({"_is_buffer": True}, "buffer"), ({"_is_param": 1}, "tensor"), (None, "tensor"),
     (({}, {"_is_param": True}), "parameter"), ([], "tensor")],
)  # fmt: skip
def test_a_subclass_may_say_what_it_is(state: object, kind: str) -> None:
    function = GlobalTable().find("torch._utils", "_rebuild_tensor")
    args = (STORAGE, 0, (2,), (1,))
    assert build("torch._tensor._rebuild_from_type_v2", function, Global("m", "Sub"), args, state).kind == kind


@pytest.mark.parametrize(("shape", "stored"), [((8,), True), ((4,), False)])
def test_the_local_part_of_a_sharded_tensor(shape: tuple[int, ...], stored: bool) -> None:
    function = GlobalTable().find("torch._utils", "_rebuild_wrapper_subclass")
    local = TensorValue(STORAGE, 2, shape, (1,), "float16", shape[0])
    value = build(
        "torch._tensor._rebuild_from_type_v2", function, None, (None, FLOAT16, (8,), (1,), 0, None, None, True), {"_local_tensor": local}
    )  # fmt: skip
    assert value.shape == (8,)
    assert (value.storage is STORAGE, value.nbytes) == (stored, None if stored else 8)


def test_a_subclass_of_an_unknown_function_stays_opaque() -> None:
    table = GlobalTable()
    rebuild = table.find("torch._tensor", "_rebuild_from_type_v2")
    for function in (Global("m", "f"), rebuild, table.find("collections", "OrderedDict")):
        value = build("torch._tensor._rebuild_from_type_v2", function, None, (TENSOR,), None)
        assert isinstance(value, Opaque)
        assert value.args == (TENSOR,)


def test_containers() -> None:
    assert build("collections.OrderedDict") == {}
    assert build("collections.OrderedDict", [["a", 1], ("b", 2), 3, ["c"]]) == {"a": 1, "b": 2}
    assert build("collections.defaultdict", Global("builtins", "list")) == {}
    assert build("torch.Size", [2, 3]) == (2, 3)
    assert build("builtins.set", [1]) == [1]
    assert build("__builtin__.frozenset", [1]) == (1,)
    assert build("_codecs.encode", "\xe9\x00", "latin1") == b"\xe9\x00"
    assert build("builtins.bytes") == b""
    long = LongBytes(5, 9, True)
    assert build("_codecs.encode", long, "latin1") is long


def test_every_storage_class_and_dtype_is_known() -> None:
    table = GlobalTable()
    for name, dtype in STORAGE_TYPES.items():
        for module in ("torch", "torch.cuda", "torch.storage"):
            value = table.find(module, name)
            assert isinstance(value, StorageType)
            assert (value.dtype, value.itemsize) == (dtype, BITS[dtype] // 8)
    for name in BITS:
        value = table.find("torch", name)
        assert isinstance(value, Dtype)
        assert value.name == name
    assert table.foreign == []


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("m", "float32"), ("m", "FloatStorage"), ("torchvision", "FloatStorage"), ("torch", "_rebuild_tensor_v2"),
     ("torch.serialization", "os.system"), ("", "")],
)  # fmt: skip
def test_everything_else_is_foreign(module: str, name: str) -> None:
    table = GlobalTable()
    value = table.find(module, name)
    assert type(value) is Global
    assert table.find(module, name) is value
    assert table.foreign == [(module, name)]


# --- bad arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "shape", "stride", "message"),
    [
        (0, (20,), (1,), None),
        (19, (), (), None),
        (10**6, (0,), (1,), None),
        (0, (0, 10**6), (10**6, 1), None),
        (0, (5, 100), (1, 0), None),
        (0, (21,), (1,), "needs 84 bytes"),
        (20, (), (), "needs 84 bytes"),
        (0, (2, 2), (19, 1), "needs 84 bytes"),
        (-1, (1,), (1,), "offset"),
        (0.0, (1,), (1,), "offset"),
        (2**63, (1,), (1,), "offset"),
        (0, (-1,), (1,), "negative"),
        (0, (1,), (-1,), "negative"),
        (0, (2,), (), "1 dimensions has 0 strides"),
        (0, (True,), (1,), "no integer"),
        (0, 3, 1, "no list of sizes"),
        (0, None, None, "no list of sizes"),
        (0, (1,) * 65, (1,) * 65, "65 dimensions"),
        (0, (2**40, 2**40), (1, 1), "elements of a tensor"),
        (0, (2**40, 2**40, 0), (1, 1, 1), "elements of a tensor"),
        (0, (2,), (2**63,), "needs"),
    ],
)
def test_shapes_strides_and_offsets(offset: Any, shape: Any, stride: Any, message: str | None) -> None:
    if message is None:
        assert strided_tensor(STORAGE, offset, shape, stride).shape == shape
    else:
        with pytest.raises((MalformedError, LimitExceededError), match=message):
            strided_tensor(STORAGE, offset, shape, stride)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("_rebuild_tensor_v2", ()),
        ("_rebuild_tensor_v2", (STORAGE, 0, (2,), (1,))),
        ("_rebuild_tensor_v2", (None, 0, (2,), (1,), False, {})),
        ("_rebuild_tensor_v3", (STORAGE, 0, (2,), (1,), False, {}, "float32")),
        ("_rebuild_qtensor", (STORAGE, 0, (2,), (1,), None, False)),
        ("_rebuild_qtensor", (StorageRef("0", "quint4x2", 2), 0, (3, 1), (1, 1), None, False, {})),  # a byte a row
        ("_rebuild_parameter", (STORAGE, True, {})),
        ("_rebuild_parameter", ()),
        ("_rebuild_buffer", (None,)),
        ("_rebuild_meta_tensor_no_storage", (FLOAT16, (2,), (), True)),
        ("_rebuild_meta_tensor_no_storage", (None, (2,), (1,), True)),
        ("_rebuild_sparse_tensor", ("torch.sparse_coo", ())),
        ("_rebuild_sparse_tensor", ("torch.sparse_coo", (None, None, (2,)))),
        ("_rebuild_sparse_tensor", (None, 5)),
        ("_rebuild_sparse_tensor", ("torch.sparse_csr", (TENSOR, TENSOR, (2,)))),
        ("_rebuild_nested_tensor", (None,)),
        ("_rebuild_njt", ({},)),
        ("_rebuild_njt", (TENSOR,)),
        ("_rebuild_device_tensor_from_numpy", (None, FLOAT16, "cpu", False)),
        ("torch._tensor._rebuild_from_type_v2", (1, 2)),
    ],
)
def test_arguments_that_do_not_fit(name: str, args: tuple[object, ...]) -> None:
    with pytest.raises(MalformedError):
        build(name, *args)


VALUES = st.recursive(
    st.sampled_from([None, True, -1, 0, 2, 2**70, 0.5, "torch.sparse_csr", b"x", STORAGE, TENSOR, FLOAT16, LongBytes(0, 9, True),
                     GlobalTable().find("torch._utils", "_rebuild_tensor"), Global("m", "n"), Opaque(None, ())]),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.sampled_from(["values", "_is_param", "_local_tensor"]), inner, max_size=2),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(sorted(_BUILDERS)), st.lists(VALUES, max_size=9))
def test_any_arguments_give_a_value_or_an_error(key: tuple[str, str], args: list[object]) -> None:
    with contextlib.suppress(ParamInspectError):
        value = build(".".join(key), *args)
        if isinstance(value, TensorValue) and value.shape is not None and value.stride is not None:
            assert measure(value.shape, value.stride)[2] == value.numel


@given(VALUES)
def test_any_persistent_id_gives_a_value_or_an_error(pid: object) -> None:
    with contextlib.suppress(ParamInspectError):
        storage_ref(pid)


# --- what is said of names that run code ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("posix", "system", True),
        ("os.path", "join", True),
        ("builtins", "eval", True),
        ("builtins", "eval.__call__", True),
        ("torch", "serialization.os.system", True),
        ("builtins", "set", False),
        ("mypkg.os_tools", "system", False),
        ("torch.nn.modules.linear", "Linear", False),
    ],
)
def test_dangerous_names(module: str, name: str, said: bool) -> None:
    notes = list(note_calls([(module, name)]))
    assert len(notes) == said
    assert all(f"{module}.{name}" in note for note in notes)


def test_a_remark_names_three_and_counts_the_rest() -> None:
    (note,) = note_calls([("os", f"f{i}") for i in range(5)] + [("os", "x" * 1000)])
    assert "os.f0, os.f1, os.f2 and 3 more" in note
    (long,) = note_calls([("os", "x" * 1000)])
    assert len(long) < 500
