"""Tensors of ONNX: every element type and every way of writing it, held against the onnx package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from paraminspect.errors import (
    LimitExceededError,
    MalformedError,
    ParamInspectError,
)
from paraminspect.formats.source import open_source
from paraminspect.sharing.equal import StoredContents
from paraminspect.values.read import read_tensor
from tests.making.onnx_files import (
    TYPES,
    by_hand,
    floats,
    model,
    nested,
    read,
    same,
    unpacked,
)

NAMES = {
    TensorProto.FLOAT4E2M1: "float4_e2m1fn", TensorProto.FLOAT6E2M3: "float6_e2m3fn",
    TensorProto.FLOAT6E3M2: "float6_e3m2fn", TensorProto.FLOAT8E4M3FN: "float8_e4m3fn",
    TensorProto.FLOAT8E4M3FNUZ: "float8_e4m3fnuz", TensorProto.FLOAT8E5M2: "float8_e5m2",
    TensorProto.FLOAT8E5M2FNUZ: "float8_e5m2fnuz", TensorProto.FLOAT8E8M0: "float8_e8m0fnu",
}  # fmt: skip


NUMBERS: dict[str, list[Any]] = {
    "u": [0, 1, 3, 2, 1, 3, 0],
    "i": [0, 1, -2, -1, 1, 0, -1],
    "b": [True, False, True, True, False, False, True],
    "c": [1 + 2j, -3.5j, 0, 4, 1, 1, 1],
    "f": [0.5, 1, 2, 4, 1, 2, 0.5],
}


def numbers(code: int) -> tuple[str, list[Any]]:
    """torch's name of a type, and seven numbers that it has."""
    name = NAMES.get(code, str(helper.tensor_dtype_to_np_dtype(code)))
    values = NUMBERS[name[0] if name[0] in "uibcf" else "f"]
    if name in ("int2", "uint2"):
        return name, values
    if name.startswith(("int", "uint")):
        bits = int(name.lstrip("uint"))
        ends = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return name, [*values[:5], *ends]
    return ("bool" if name == "bool" else name), values


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
@pytest.mark.parametrize("code", TYPES, ids=TensorProto.DataType.Name)
def test_every_element_type(code: int, raw: bool, save: Callable[..., Path]) -> None:
    name, values = numbers(code)
    tensor = helper.make_tensor("w", code, [7], values)
    oracle = numpy_helper.to_array(tensor)
    if raw:
        tensor = numpy_helper.from_array(oracle, "w")
        assert tensor.HasField("raw_data")
    (record,) = open_source(save(model(tensor))).tensors
    assert (record.name, record.shape, record.numel) == ("w", (7,), 7)
    assert record.dtype == name
    assert same(read_tensor(record), oracle)
    assert record.nbytes == len(numpy_helper.from_array(oracle).raw_data)


def test_every_element_type_is_known() -> None:
    from paraminspect.formats.onnx.tensors import ELEMENTS

    assert set(ELEMENTS) == set(TYPES)


HAND = {
    "floats one by one": b"\x08\x02\x10\x01" + unpacked(4, 5, b"\0\0\x80\x3f", b"\0\0\0\x40"),
    "floats in two parts": b"\x08\x02\x10\x01" + nested(4, b"\0\0\x80\x3f") + nested(4, b"\0\0\0\x40"),
    "integers one by one": b"\x08\x02\x10\x07" + unpacked(7, 0, b"\x01", b"\x80\x01"),
    "integers packed and not": b"\x08\x02\x10\x07" + unpacked(7, 0, b"\x01") + nested(7, b"\x80\x01"),
    "shape that is packed": nested(1, b"\x02") + b"\x10\x01" + nested(9, b"\0\0\x80\x3f\0\0\0\x40"),
    "data before shape": nested(9, b"\0\0\x80\x3f\0\0\0\x40") + b"\x10\x01\x08\x02",
    "fields that nobody knows": b"\x08\x02\x10\x01\xf8\x3f\x05" + nested(9, bytes(8)) + b"\xfd\x3f" + bytes(4),
    "tag that is longer than it need be": b"\x88\x00\x02\x10\x01" + nested(9, bytes(8)),
}


@pytest.mark.parametrize("case", HAND)
def test_other_ways_of_writing_the_same(case: str, tmp_path: Path) -> None:
    data = by_hand(HAND[case] + nested(8, b"w"))
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    (record,) = open_source(path).tensors
    (tensor,) = onnx.load_from_string(data).graph.initializer
    assert record.shape == tuple(tensor.dims)
    assert same(read_tensor(record), numpy_helper.to_array(tensor))


def test_bytes_of_typed_fields_can_be_compared(save: Callable[..., Path]) -> None:
    checkpoint = open_source(save(model(helper.make_tensor("w", TensorProto.INT64, [3], [1, -2, 3]))))
    (record,) = checkpoint.tensors
    contents = StoredContents()
    wanted = np.array([1, -2, 3]).tobytes()
    assert b"".join(contents.pieces(record)) == wanted
    assert contents.start(record, 8) == wanted[:8]


def test_empty_and_scalar_tensors(save: Callable[..., Path]) -> None:
    tensors = [floats("none", 0, 3), numpy_helper.from_array(np.float32(2.5), "scalar")]
    tensors.append(onnx.TensorProto(name="bare", dims=[0], data_type=1))
    found = open_source(save(model(*tensors))).tensors
    assert [read_tensor(record).shape for record in found] == [(0, 3), (), (0,)]


BROKEN: dict[str, tuple[bytes, type[ParamInspectError], str]] = {
    "too little raw data": (b"\x08\x02\x10\x01" + nested(9, bytes(7)), MalformedError, "7 bytes of raw_data"),
    "too much raw data": (b"\x08\x02\x10\x01" + nested(9, bytes(9)), MalformedError, "9 bytes of raw_data"),
    "no data": (b"\x08\x02\x10\x01", MalformedError, "has no data"),
    "no type": (b"\x08\x02" + nested(9, bytes(8)), MalformedError, "has no element type"),
    "data of another type": (b"\x08\x02\x10\x01" + nested(7, b"\1\2"), MalformedError, "has no data"),
    "too few floats": (b"\x08\x02\x10\x01" + nested(4, bytes(4)), MalformedError, "its shape needs 2"),
    "too few integers": (b"\x08\x02\x10\x07" + nested(7, b"\1"), MalformedError, "its shape needs 2"),
    "negative size": (b"\x08" + b"\xff" * 9 + b"\x01\x10\x01", MalformedError, "negative size"),
    "too many dimensions": (b"\x08\x01" * 65 + b"\x10\x01", LimitExceededError, "dimensions of a tensor"),
    "too many packed dimensions": (nested(1, b"\x01" * 65), LimitExceededError, "dimensions of a tensor"),
    "too many elements": ((b"\x08" + b"\xff" * 4 + b"\x7f") * 9 + b"\x10\x01", LimitExceededError, "elements of a"),
    "endless varint": (b"\x08" + b"\xff" * 11, MalformedError, "more than 10 bytes"),
    "group": (b"\x0b\x0c", MalformedError, "no field of a protobuf message"),
    "field of number 0": (b"\x00\x01", MalformedError, "no field of a protobuf message"),
    "field past its message": (b"\x4a\x7f\x00", MalformedError, "reaches past the end of its message"),
    "shape that is text": (nested(1, b"\xff"), MalformedError, "ends inside a number"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_tensor_that_is_broken_is_refused(case: str) -> None:
    tensor, error, words = BROKEN[case]
    data = by_hand(tensor) + nested(14, b"")  # so that the file goes on behind the graph
    with pytest.raises(error, match=words):
        read(data)


def test_integers_that_are_fewer_than_they_seem_are_told_when_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(by_hand(b"\x08\x02\x10\x07" + nested(7, b"\x80\x80\x01")))
    (record,) = open_source(path).tensors
    with pytest.raises(MalformedError, match="it has 1 numbers, its shape needs 2"):
        read_tensor(record)


def test_a_number_that_is_cut_off_is_told_when_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(by_hand(b"\x08\x02\x10\x07" + nested(7, b"\x01\x80")))
    with pytest.raises(MalformedError, match="cut off"):
        read_tensor(open_source(path).tensors[0])


def test_a_type_of_the_future_is_listed() -> None:
    (record,) = read(by_hand(b"\x08\x02\x10\x63" + nested(9, bytes(8)))).tensors
    assert (record.dtype, record.nbytes) == ("unknown(99)", None)
