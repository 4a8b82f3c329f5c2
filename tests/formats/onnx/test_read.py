"""ONNX models, held against what the onnx package makes of the same bytes."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from paraminspect.checks.check import check_source
from paraminspect.errors import (
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
from paraminspect.formats.sniff import check_head
from paraminspect.formats.source import open_source
from paraminspect.records import Declaration, TensorRecord
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.values.read import read_tensor
from tests.making.onnx_files import (
    branch,
    by_hand,
    constant,
    floats,
    model,
    nested,
    read,
    sample,
)


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


# What is broken, and what is none.


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
