"""pickle.dump of tensors and arrays, held against pickle.load."""

from __future__ import annotations

import contextlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    UnknownFormatError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats.dtypes import NUMPY_TYPES
from paraminspect.formats.pickles import plain as plain_pickle
from paraminspect.formats.pickles import state as pickle_state
from paraminspect.formats.pickles.plain import read_pickle
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

LikeTorch = Callable[..., None]
PROTOCOLS = [0, 1, 2, 3, 4, 5]
LARGE = 3000  # elements, whose bytes are not kept in memory


def read(data: bytes) -> Checkpoint:
    return read_pickle(Blob.from_bytes(data, "x.pkl"))


# --- tensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [0, 4, LARGE])
@pytest.mark.parametrize("element", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64], ids=str)
def test_tensors(protocol: int, size: int, element: torch.dtype, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    value = {"w": torch.zeros(size, 2, dtype=element), "v": [torch.ones(3).to(element)]}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    checkpoint = open_source(path)
    assert checkpoint.format == "pickle"
    assert_like_torch(checkpoint, value, mapped=False)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_bytes_of_a_large_storage_lie_in_the_file(
    protocol: int, tmp_path: Path, assert_like_torch: LikeTorch
) -> None:
    value = {"w": torch.arange(float(LARGE)).reshape(-1, 3).t(), "p": torch.nn.Parameter(torch.ones(LARGE))}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert_like_torch(open_source(path), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_whole_module(protocol: int, foreign_class: Any, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    cls, vanish = foreign_class
    net, path = cls(), tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(net, protocol))
    vanish()
    assert_like_torch(open_source(path), net, mapped=False)


def test_a_tensor_under_two_names_is_one() -> None:
    tensor = torch.ones(2)
    first, second, other = read(pickle.dumps([tensor, tensor, torch.ones(2)])).tensors
    assert first.storage is second.storage is not other.storage


# --- arrays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", NUMPY_TYPES)
def test_arrays(code: str, protocol: int) -> None:
    orders: dict[str, Any] = {"c": "C", "f": "F"}
    arrays = {name: np.ones((2, 3), code, order=order) for name, order in orders.items()}
    arrays |= {"0d": np.array(1, code), "none": np.ones((0, 2), code)}
    records = read(pickle.dumps(arrays, protocol)).tensors
    assert [record.name for record in records] == list(arrays)
    for record in records:
        array = arrays[record.name]
        assert (record.shape, record.dtype, record.nbytes) == (array.shape, array.dtype.name, array.nbytes)
        if array.size:
            assert record.stride == tuple(step // array.itemsize for step in array.strides)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_bytes_of_a_large_array_lie_in_the_file(protocol: int, order: Any, tmp_path: Path) -> None:
    array = np.asarray(np.arange(LARGE, dtype="<i4").reshape(3, -1), order=order)
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps(array, protocol))
    (record,) = open_source(path).tensors
    assert (record.name, record.shape) == ("", (3, LARGE // 3))
    if protocol <= 2:
        assert record.byte_range is None  # written as text
    else:
        assert record.byte_range is not None
        _, begin, end = record.byte_range
        assert path.read_bytes()[begin:end] == array.tobytes(order="A")


@pytest.mark.parametrize("size", [4, LARGE])
def test_big_endian_arrays_have_no_place_in_the_file(size: int) -> None:
    (record,) = read(pickle.dumps([np.ones(size, ">f4")])).tensors
    assert (record.dtype, record.shape, record.byte_range) == ("float32", (size,), None)


def test_arrays_stand_anywhere() -> None:
    array = np.ones(2)
    class_like = np.ma.masked_array([1.0, 2.0])
    value = {"a": array, "list": [array], "tuple": (array, (array,)), "nested": {"b": {1: array}}, "masked": class_like}
    names = [record.name for record in read(pickle.dumps(value)).tensors]
    assert names == ["a", "list.0", "tuple.0", "tuple.1.0", "nested.b.1"]


def test_arrays_that_are_no_numbers_are_passed_over() -> None:
    value = {"a": np.ones(2), "text": np.array(["x"]), "objects": np.array([{}]), "dates": np.zeros(2, "M8[s]"),
             "fields": np.zeros(2, [("a", "f4")]), "scalar": np.float32(1)}  # fmt: skip
    assert [record.name for record in read(pickle.dumps(value)).tensors] == ["a"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_bytes_of_arrays_are_not_kept(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_state, "MAX_PICKLE_TEXT", 20_000)
    value = [np.zeros(5000, "u1") for _ in range(20)]
    assert len(read(pickle.dumps(value, protocol)).tensors) == 20


# --- pickles that do not fit ------------------------------------------------------------------------------------

ARRAY = pickle.dumps(np.ones((2, 3), "f4"), 4)


def load_from_bytes(inner: bytes) -> bytes:
    return (
        b"\x80\4]\x8c\rtorch.storage\x8c\x10_load_from_bytes\x93B" + struct.pack("<I", len(inner)) + inner + b"\x85Ra."
    )


def nested(*, numel: int = 4, data: bytes = b"\0" * 16, kind: bytes = b"FloatStorage") -> bytes:
    """A legacy torch file whose object is a storage."""
    pid = b"\x80\2(U\7storagectorch\n" + kind + b"\nU\1aU\3cpuK%cNtQ." % numel
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))
    return head + pid + pickle.dumps(["a"], 2) + struct.pack("<q", numel) + data


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"\x80\2N.", UnknownFormatError, "a pickle without tensors"),
        (b"\x80\2cos\nsystem\nU\1x\x85R.", UnknownFormatError, r"without tensors \(loading .* os\.system"),
        (load_from_bytes(nested()), UnknownFormatError, "a pickle without tensors"),
        (load_from_bytes(nested(data=b"\0" * 15)), MalformedError, "it declares more"),
        (load_from_bytes(nested()[:60]), CheckpointError, "inside a pickle"),
        (load_from_bytes(b""), CheckpointError, "ends at byte 0"),
        (load_from_bytes(b"N." * 5), MalformedError, "names none"),
        (load_from_bytes(b"N." * 4000), MalformedError, "names none"),
        (b"\x80\2ctorch.storage\n_load_from_bytes\nN\x85R.", MalformedError, "holds no bytes"),
        (b"\x80\2ctorch.storage\n_load_from_bytes\n)R.", MalformedError, "holds no bytes"),
        (ARRAY.replace(b"K\2K\3\x86", b"K\2K\7\x86"), MalformedError, "fewer bytes than its shape needs"),
        (ARRAY.replace(b"K\2K\3\x86", b"K\2K\xff\x86"), MalformedError, "fewer bytes"),
        (b"\x80\2ctorch._utils\n_rebuild_tensor\n((U\7storagectorch\nFloatStorage\nU\x010U\3cpuK\1tQK\0))tR.",
         MalformedError, "storage '0' lies outside this pickle"),
    ],
)  # fmt: skip
def test_pickles_that_hold_no_tensors(data: bytes, error: type[CheckpointError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


def test_a_limit_on_storages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_pickle, "MAX_NESTED_HEADERS", 600)  # enough for two
    read(pickle.dumps([torch.ones(1)] * 5 + [torch.ones(1)]))
    with pytest.raises(LimitExceededError, match="bytes of pickles inside a pickle"):
        read(pickle.dumps([torch.ones(1) for _ in range(4)]))


def test_a_storage_inside_is_what_its_header_says() -> None:
    tensor = load_from_bytes(nested(numel=3, data=b"\0" * 24, kind=b"DoubleStorage"))
    built = b"\x80\4\x8c\x0ctorch._utils\x8c\x0f_rebuild_tensor\x93(" + tensor[3:-2] + b"K\0K\3\x85K\1\x85tR."
    (record,) = read(built).tensors
    assert (record.shape, record.dtype, record.nbytes) == ((3,), "float64", 24)


SEEDS = [
    pickle.dumps({"t": torch.ones(2), "a": np.ones((2, 2)), "l": np.zeros(LARGE)}, protocol) for protocol in PROTOCOLS
]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_prefix_is_a_file(seed: bytes) -> None:
    for length in range(2, len(seed), 23):
        with pytest.raises(CheckpointError):
            read(seed[:length])


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes_give_records_or_an_error(seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for position, byte in flips:
        data[position % len(data)] = byte
    with contextlib.suppress(ParamInspectError):
        read(bytes(data))


@given(st.binary(max_size=80))
def test_any_bytes_inside_a_storage(data: bytes) -> None:
    with contextlib.suppress(ParamInspectError):
        read(load_from_bytes(data))
