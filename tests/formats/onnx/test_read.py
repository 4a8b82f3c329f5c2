"""ONNX models, held against what the onnx package makes of the same bytes."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from paraminspect.checks.check import check_source
from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    TruncatedError,
    UnknownFormatError,
)
from paraminspect.files.blob import Blob
from paraminspect.files.local import LocalFile
from paraminspect.formats.onnx import read as reader
from paraminspect.formats.onnx.protobuf import read_fields, read_varint
from paraminspect.formats.onnx.read import is_onnx, read_onnx
from paraminspect.formats.onnx.shortcut import OnnxShortcut
from paraminspect.formats.sniff import check_head, read_blob
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint, Declaration, TensorRecord
from paraminspect.sharing.equal import StoredContents
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.values.fields import decode_varints
from paraminspect.values.read import read_tensor
from tests.making.onnx_files import INFO, by_hand, floats, model, nested, unpacked


def read(value: onnx.ModelProto | bytes) -> Checkpoint:
    return read_blob(Blob.from_bytes(value if isinstance(value, bytes) else value.SerializeToString()))


@pytest.fixture
def save(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    def write(value: onnx.ModelProto) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(value.SerializeToString())
        return path

    return write


def same(found: np.ndarray[Any, Any], oracle: np.ndarray[Any, Any]) -> bool:
    """Equal as numbers, whatever numpy calls the type."""
    if oracle.dtype.kind not in "biufc" or found.dtype != oracle.dtype:
        found, oracle = found.astype(np.float64), oracle.astype(np.float64)
    return found.shape == oracle.shape and bool(np.array_equal(found, oracle, equal_nan=oracle.dtype.kind in "fc"))


NAMES = {
    TensorProto.FLOAT4E2M1: "float4_e2m1fn", TensorProto.FLOAT6E2M3: "float6_e2m3fn",
    TensorProto.FLOAT6E3M2: "float6_e3m2fn", TensorProto.FLOAT8E4M3FN: "float8_e4m3fn",
    TensorProto.FLOAT8E4M3FNUZ: "float8_e4m3fnuz", TensorProto.FLOAT8E5M2: "float8_e5m2",
    TensorProto.FLOAT8E5M2FNUZ: "float8_e5m2fnuz", TensorProto.FLOAT8E8M0: "float8_e8m0fnu",
}  # fmt: skip
TYPES = [code for name, code in TensorProto.DataType.items() if code not in (TensorProto.UNDEFINED, TensorProto.STRING)]
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


def constant(name: str, **value: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], **value)


def test_bytes_of_typed_fields_can_be_compared(save: Callable[..., Path]) -> None:
    checkpoint = open_source(save(model(helper.make_tensor("w", TensorProto.INT64, [3], [1, -2, 3]))))
    (record,) = checkpoint.tensors
    contents = StoredContents()
    wanted = np.array([1, -2, 3]).tobytes()
    assert b"".join(contents.pieces(record)) == wanted
    assert contents.start(record, 8) == wanted[:8]


def test_constants_of_every_kind(save: Callable[..., Path]) -> None:
    nodes = [
        constant("tensor", value=floats("other", 2, 3)),
        constant("float", value_float=2.5),
        constant("floats", value_floats=[1.0, -2.0]),
        constant("int", value_int=-7),
        constant("ints", value_ints=[1, -2, 2**40]),
        constant("text", value_string="a"),
        constant("texts", value_strings=["a", "b"]),
    ]
    checkpoint = open_source(save(model(nodes=nodes)))
    values = {record.name: read_tensor(record).tolist() for record in checkpoint.tensors}
    assert values == {
        "tensor": [[0, 1, 2], [3, 4, 5]],
        "float": 2.5,
        "floats": [1, -2],
        "int": -7,
        "ints": [1, -2, 2**40],
    }
    assert checkpoint.notes == ("not listed: 2 text constants",)


def test_constants_of_another_domain_are_not_meant() -> None:
    nodes = [helper.make_node("Constant", [], ["c"], domain="mine", value=floats("v", 2))]
    checkpoint = read(model(nodes=nodes))
    assert [*checkpoint.tensors] == []
    assert checkpoint.notes == ("not listed: 1 attribute tensor",)


def branch(depth: int) -> onnx.GraphProto:
    nodes = [constant(f"c{depth}", value=floats("", 1))]
    if depth:
        nodes.append(helper.make_node("If", ["x"], ["y"], then_branch=branch(depth - 1), else_branch=branch(0)))
    return helper.make_graph(nodes, "g", [], [INFO], [floats(f"w{depth}", 2)])


def test_sub_graphs_and_functions_are_walked() -> None:
    value = model(nodes=[helper.make_node("If", ["x"], ["y"], then_branch=branch(2), else_branch=branch(0))])
    function = helper.make_function("d", "Norm", ["a"], ["b"], [constant("eps", value_float=1e-5)], [])
    value.functions.append(function)
    names = [record.name for record in read(value).tensors]
    assert {"c2", "c1", "c0", "w2", "w1", "w0", "Norm.eps"} == set(names)
    assert names.count("w0") == 4


def test_graphs_that_are_too_deep_are_refused() -> None:
    data = b""
    for _ in range(40):
        data = nested(1, nested(5, nested(6, data)))
    with pytest.raises(LimitExceededError, match="levels of sub-graphs"):
        read(b"\x08\x08" + nested(2, b"") + nested(7, data))


def test_sparse_initializers_are_listed_without_a_place() -> None:
    value = model()
    indices = numpy_helper.from_array(np.array([1, 4], np.int64), "i")
    value.graph.sparse_initializer.append(helper.make_sparse_tensor(floats("w", 2), indices, [3, 5]))
    (record,) = read(value).tensors
    assert (record.name, record.shape, record.layout, record.nbytes) == ("w", (3, 5), "sparse_coo", 24)
    assert record.storage is None


def test_what_the_model_says_of_itself() -> None:
    value = model(opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 2)], ir_version=8)
    helper.set_model_props(value, {"author": "me"})
    assert read(value).metadata == {
        "ir_version": "8",
        "producer_name": "tests",
        "graph": "graph",
        "opset_import": "ai.onnx 17, mine 2",
        "metadata_props.author": "me",
    }


def test_kinds() -> None:
    tensors = [floats("bn.running_mean", 2), floats("w", 2), numpy_helper.from_array(np.array([1, 2]), "shape")]
    assert [record.kind for record in read(model(*tensors)).tensors] == ["buffer", "tensor", "buffer"]


def test_initializers_that_are_inputs_are_said() -> None:
    value = model(floats("w", 2), floats("v", 2), inputs=[helper.make_tensor_value_info("w", 1, [2])])
    assert read(value).notes == ("inputs of the graph too, so that a caller may replace them: 1 tensor",)


def test_names_that_come_twice_are_both_listed_and_told(save: Callable[..., Path]) -> None:
    path = save(model(floats("w", 2), floats("w", 3)))
    assert [record.shape for record in open_source(path).tensors] == [(2,), (3,)]
    assert "duplicate-name" in {finding.code for finding in check_source(path)}


def test_empty_and_scalar_tensors(save: Callable[..., Path]) -> None:
    tensors = [floats("none", 0, 3), numpy_helper.from_array(np.float32(2.5), "scalar")]
    tensors.append(onnx.TensorProto(name="bare", dims=[0], data_type=1))
    found = open_source(save(model(*tensors))).tensors
    assert [read_tensor(record).shape for record in found] == [(0, 3), (), (0,)]


class Tied(torch.nn.Module):
    """Two names of one Parameter, and a norm whose statistics are as its weight and bias are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.BatchNorm2d(8)
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h: torch.Tensor = self.second(torch.relu(self.first(self.norm(self.conv(x)).mean((2, 3)))))
        return h


@pytest.mark.filterwarnings("ignore")
def test_what_torch_exports_has_the_names_and_values_of_its_state_dict(tmp_path: Path) -> None:
    module = Tied().eval()
    path = tmp_path / "model.onnx"
    keep = torch.onnx.TrainingMode.PRESERVE  # lest conv and norm are folded into one
    torch.onnx.export(module, (torch.zeros(1, 3, 8, 8),), path, dynamo=False, training=keep)
    checkpoint = open_source(path)
    found = {record.name: record for record in checkpoint.tensors if not record.name.startswith("/")}
    unused = ("norm.num_batches_tracked", "second.weight")  # of one Parameter the exporter knows one name
    state = {name: tensor for name, tensor in module.state_dict().items() if name not in unused}
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert np.array_equal(read_tensor(found[name]), tensor.numpy()), name
    assert found["norm.running_mean"].kind == "buffer"
    assert Declaration("norm.running_mean", "norm.bias", "Identity node") in checkpoint.declared
    assert ("declared", ("norm.bias", "norm.running_mean")) in {
        (group.kind, group.names) for group in find_ties(checkpoint.tensors)
    }


def test_names_that_are_others_of_others() -> None:
    nodes = [
        helper.make_node("Identity", [of], [name]) for name, of in (("a", "w"), ("b", "a"), ("y", "x"), ("w", "a"))
    ]
    assert [(each.alias, each.name) for each in read(model(floats("w", 2), nodes=nodes)).declared] == [
        ("a", "w"),
        ("b", "w"),
    ]


# External data.


def external(tmp_path: Path, *tensors: onnx.TensorProto, **more: Any) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save_model(model(*tensors), path, save_as_external_data=True, size_threshold=0, location="model.data", **more)
    return path


def test_external_data_is_read(tmp_path: Path) -> None:
    path = external(tmp_path, floats("a", 3, 4), floats("b", 5))
    checkpoint = open_source(path)
    for record, tensor in zip(checkpoint.tensors, onnx.load(path).graph.initializer, strict=True):
        assert same(read_tensor(record), numpy_helper.to_array(tensor))
    assert checkpoint.files == (str(path), str(tmp_path / "model.data"))
    assert checkpoint.nbytes == path.stat().st_size + (tmp_path / "model.data").stat().st_size
    assert not [finding for finding in check_source(path, deep=True) if finding.severity != "info"]


def point(tensor: onnx.TensorProto, **entries: str) -> onnx.TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_tensors_at_one_place_of_a_file_are_tied(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(64))
    path = save(
        model(
            point(floats("a", 4), location="w.bin"),
            point(floats("b", 4), location="w.bin", offset="0", length="16"),
            point(floats("c", 4), location="w.bin", offset="8"),
        )
    )
    assert [(group.kind, group.names) for group in find_ties(open_source(path).tensors)] == [
        ("overlap", ("a", "b", "c"))
    ]
    found = [finding for finding in check_source(path) if finding.code == "overlap"]
    assert [(finding.name, finding.message) for finding in found] == [("c", "shares 8 bytes of external data with 'a'")]


def test_bytes_of_external_data_that_no_tensor_has_are_told(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(200_000))
    path = save(model(point(floats("a", 4), location="w.bin", offset="100000")))
    messages = [finding.message for finding in check_source(path)]
    assert "195 KiB of 'w.bin' that no tensor uses" in messages


OUTSIDE = ["../w.bin", "/etc/hostname", "", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "x\0y"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_external_data_outside_of_the_folder_is_danger(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(16))
    path = folder / "model.onnx"
    path.write_bytes(model(point(floats("a", 4), location=location)).SerializeToString())
    with pytest.raises(MalformedError, match="outside of the model's folder"):
        open_source(path)
    (finding,) = check_source(path)
    assert (finding.code, finding.severity) == ("path-escape", "danger")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(model(point(floats("a", 4), location="w.bin")).SerializeToString())
    with pytest.raises(MalformedError, match="outside of the model's folder"):
        open_source(path)


def test_links_of_a_cache_are_followed(tmp_path: Path) -> None:
    """As the Hugging Face hub lays out its cache: model and data are links into one folder."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "1").write_bytes(model(point(floats("a", 4), location="w.bin")).SerializeToString())
    (blobs / "2").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (snapshot / "model.onnx").symlink_to(blobs / "1")
    (snapshot / "w.bin").symlink_to(blobs / "2")
    (record,) = open_source(snapshot / "model.onnx").tensors
    assert read_tensor(record).tolist() == [0, 1, 2, 3]


def test_a_missing_file_is_named(save: Callable[..., Path]) -> None:
    path = save(model(point(floats("a", 4), location="w.bin")))
    with pytest.raises(CheckpointError, match=r"the file 'w\.bin' with external data is missing"):
        open_source(path)
    assert [finding.code for finding in check_source(path)] == ["missing-file"]


def test_a_file_that_is_too_short_is_named(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(15))
    with pytest.raises(TruncatedError, match=r"'a' ends at byte 16 of 'w\.bin', which has 15"):
        open_source(save(model(point(floats("a", 4), location="w.bin"))))


@pytest.mark.parametrize(
    "entries",
    [{"length": "15"}, {"offset": "-1"}, {"offset": "1e3"}, {"offset": "9" * 30}, {"offset": str(2**63)}],
    ids=str,
)
def test_numbers_of_external_data_that_cannot_be(entries: dict[str, str], tmp_path: Path, save: Any) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(64))
    with pytest.raises(MalformedError):
        open_source(save(model(point(floats("a", 4), location="w.bin", **entries))))


def test_a_pipe_in_the_place_of_external_data_is_refused(tmp_path: Path, save: Callable[..., Path]) -> None:
    os.mkfifo(tmp_path / "w.bin")
    with pytest.raises(MalformedError, match="not a regular file"):
        open_source(save(model(point(floats("a", 4), location="w.bin"))))


def test_without_a_folder_external_data_is_listed_and_said() -> None:
    checkpoint = read(model(point(floats("a", 4), location="w.bin")))
    assert [record.storage for record in checkpoint.tensors] == [None]
    assert "values of 1 tensor lie in other files" in checkpoint.notes[0]


def test_more_than_two_gigabytes_of_external_data(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").touch()
    os.truncate(tmp_path / "w.bin", 5 << 30)  # sparse
    with open(tmp_path / "w.bin", "r+b") as file:
        file.seek((5 << 30) - 8)
        file.write(np.array([1.5, 2.5], np.float32).tobytes())
    tensor = onnx.TensorProto(name="big", dims=[5 << 28], data_type=1)
    (record,) = open_source(save(model(point(tensor, location="w.bin")))).tensors
    assert record.nbytes == 5 << 30
    assert read_tensor(record)[-2:].tolist() == [1.5, 2.5]


# What is broken, and what is none.

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


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_TENSORS", 1)
    with pytest.raises(LimitExceededError, match="tensors in one file"):
        read(model(floats("a", 1), floats("b", 1)))
    monkeypatch.setattr(reader, "MAX_ONNX_NODES", 1)
    with pytest.raises(LimitExceededError, match="nodes"):
        read(model(nodes=[constant("a", value_float=1.0), constant("b", value_float=1.0)]))


def test_a_file_that_is_cut_off_is_told_so() -> None:
    data = model(floats("a", 30, 30), floats("b", 3)).SerializeToString()
    for length in (40, 100, 2000, len(data) - 30):
        with pytest.raises(TruncatedError):
            read(data[:length])


def test_a_model_without_a_graph_is_refused() -> None:
    with pytest.raises(MalformedError, match="no graph"):
        read(b"\x08\x08" + nested(2, b"me"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x01\x12\x80\x80\x04\x0a\x05\x08\x01\x12\x01x" + bytes(50),  # SavedModel of TensorFlow
        b"\x08\x05\x12\x20\x0a\x1e\x0a\x05image\x1a\x15\x22" + bytes(50),  # Core ML
        b"\x08\x00\x12\x02me",
        b"\x08\x08\x12\x02\x01\x02\x3a\x00",
        b"\x08\x08\x0a\x02me",
        b"\x08\x08\x12\x02me\x3a\x04\x99\x99",
        b"\x08\x08",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_other_protobuf_files_are_none(data: bytes) -> None:
    assert not is_onnx(data)
    with pytest.raises(UnknownFormatError):
        read(data)


def test_a_stream_is_let_through() -> None:
    data = model(floats("a", 300)).SerializeToString()
    for length in (9, 12, 20, 512):
        check_head(data[:length])


# Properties.

integers = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)


@given(integers)
def test_varints_are_those_of_protobuf(values: list[int]) -> None:
    data = onnx.TensorProto(int64_data=values).SerializeToString()
    packed = data[2:] if values and len(data) < 130 else data[3:] if values else b""
    assert decode_varints(packed).view(np.int64).tolist() == values


@given(
    st.lists(st.sampled_from([2, 4, 6]).map(int), min_size=1, max_size=1), st.binary(min_size=1, max_size=60), st.data()
)
def test_narrow_numbers_are_the_same_wherever_reading_begins(bits: list[int], data: bytes, draw: st.DataObject) -> None:
    from paraminspect.values.fields import Narrow

    class Bytes:
        def read(self, begin: int, length: int) -> bytes:
            assert begin + length <= len(data)
            return data[begin : begin + length]

    dtype = {2: "int2", 4: "uint4", 6: "float6_e2m3fn"}[bits[0]]
    numel = len(data) * 8 // bits[0]
    whole = [(int.from_bytes(data, "little") >> (bits[0] * i)) & ((1 << bits[0]) - 1) for i in range(numel)]
    begin = draw.draw(st.integers(0, numel))
    end = draw.draw(st.integers(begin, numel))
    found = Narrow(Bytes(), 0, numel, dtype).read(begin, end).astype(np.float64).tolist()
    kind = {"int2": ml_dtypes.int2, "uint4": ml_dtypes.uint4, "float6_e2m3fn": ml_dtypes.float6_e2m3fn}[dtype]
    assert found == np.array(whole[begin:end], np.uint8).view(kind).astype(np.float64).tolist()


@cache
def sample() -> bytes:
    value = model(
        floats("a", 3, 4),
        helper.make_tensor("b", TensorProto.INT64, [3], [1, 2, 3]),
        nodes=[constant("c", value=floats("", 2)), helper.make_node("If", ["x"], ["y"], then_branch=branch(1))],
    )
    value.functions.append(helper.make_function("d", "f", [], [], [constant("e", value_ints=[1, 2])], []))
    return value.SerializeToString()


def read_all(data: bytes) -> None:
    """Records, and the values of those that lie in the file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        for record in read_onnx(Blob(LocalFile(len(data), os.dup(file.fileno())), path=file.name)).tensors:
            assert isinstance(record, TensorRecord)
            if record.storage is not None and record.numel < 1000:
                with contextlib.suppress(ParamInspectError):
                    assert read_tensor(record).size == record.numel


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3)), max_size=6))
def test_any_change_gives_records_or_an_error(edits: list[tuple[float, bytes]]) -> None:
    data = bytearray(sample())
    for place, new in edits:
        at = int(place * len(data))
        data[at : at + len(new)] = new
    with contextlib.suppress(ParamInspectError):
        read_all(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_an_error(data: bytes) -> None:
    for head in (b"", b"\x08\x08\x12\x00\x3a", b"\x08\x08\x12\x00" + nested(7, data), by_hand(data)):
        with contextlib.suppress(ParamInspectError):
            read_all(head + data)


@given(st.binary(max_size=60), st.integers(0, 20))
def test_a_window_changes_nothing(data: bytes, cut: int) -> None:
    """A message in a longer blob has the fields that it has alone."""

    def fields(blob: Blob, begin: int, end: int) -> list[tuple[int, int, int, int]] | str:
        try:
            return [(*each[:2], each[2] - begin, each[3]) for each in read_fields(blob, begin, end)]
        except ParamInspectError:
            return "broken"

    alone = fields(Blob.from_bytes(data), 0, len(data))
    assert fields(Blob.from_bytes(bytes(cut) + data + b"\xff" * 5), cut, cut + len(data)) == alone


def test_long_messages_are_read_in_windows() -> None:
    tensors = [floats(f"t{i}", 2, 300 if i % 50 else 40_000) for i in range(300)]
    data = model(*tensors).SerializeToString()
    assert [record.name for record in read(data).tensors] == [tensor.name for tensor in tensors]


def test_a_varint_of_ten_bytes() -> None:
    assert read_varint(b"\xff" * 9 + b"\x01", 0) == (2**64 - 1, 10)


def test_standard_input_has_values_too(tmp_path: Path) -> None:
    stream = io.BytesIO(model(floats("a", 4)).SerializeToString())
    assert read(stream.getvalue()).tensors[0].byte_range is not None


def read_slowly(data: bytes) -> Checkpoint:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxShortcut, "record", lambda *_: None)
        return read_onnx(Blob.from_bytes(data))


@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 127, 128, 300, 2**35]), max_size=4),
    st.sampled_from([0, *TYPES, 99]),
    st.text(max_size=60),
    st.integers(-1, 1),
)
def test_the_shortcut_says_the_same(dims: list[int], code: int, name: str, more: int) -> None:
    needed = int(np.prod(dims, dtype=object)) * 4 + more
    tensor = onnx.TensorProto(dims=dims, data_type=code, raw_data=bytes(max(0, needed) if needed < 10_000 else 5))
    with contextlib.suppress(UnicodeEncodeError):
        tensor.name = name
    data = by_hand(tensor.SerializeToString()) + nested(14, b"")
    outcomes = []
    for each in (read, read_slowly):
        try:
            outcomes.append([*each(data).tensors])
        except ParamInspectError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_the_shortcut_is_taken() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "parse_tensor", None)
        assert len(read(model(floats("a", 2, 3), floats("b"), floats("c", 200))).tensors) == 3
    assert read_slowly(sample()).tensors == read(sample()).tensors


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=2)), max_size=3))
def test_of_any_bytes_the_shortcut_says_the_same(edits: list[tuple[float, bytes]]) -> None:
    tensor = bytearray(floats("name", 2, 3).SerializeToString())
    for place, new in edits:
        at = int(place * len(tensor))
        tensor[at : at + len(new)] = new
    data = by_hand(bytes(tensor)) + nested(14, b"")
    outcomes = []
    for each in (read, read_slowly):
        try:
            outcomes.append([*each(data).tensors])
        except ParamInspectError as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]
