"""Models of ONNX, by the onnx package and by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from paraminspect.files.blob import Blob
from paraminspect.formats.sniff import read_blob
from paraminspect.records import Checkpoint

INFO = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def model(*tensors: onnx.TensorProto, nodes: Any = (), inputs: Any = (), **more: Any) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), [INFO], list(tensors))
    return helper.make_model(graph, producer_name="tests", **more)


def floats(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape), name)


def unpacked(field: int, wire: int, *values: bytes) -> bytes:
    return b"".join(bytes([field << 3 | wire]) + value for value in values)


def nested(field: int, data: bytes) -> bytes:
    length, out = len(data), bytearray([field << 3 | 2])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(out) + bytes([length]) + data


def by_hand(tensor: bytes) -> bytes:
    """A model whose one initializer is written byte by byte."""
    return b"\x08\x08" + nested(2, b"hand") + nested(7, nested(5, tensor))


def constant(name: str, **value: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], **value)


def branch(depth: int) -> onnx.GraphProto:
    nodes = [constant(f"c{depth}", value=floats("", 1))]
    if depth:
        nodes.append(helper.make_node("If", ["x"], ["y"], then_branch=branch(depth - 1), else_branch=branch(0)))
    return helper.make_graph(nodes, "g", [], [INFO], [floats(f"w{depth}", 2)])


@cache
def sample() -> bytes:
    value = model(
        floats("a", 3, 4),
        helper.make_tensor("b", TensorProto.INT64, [3], [1, 2, 3]),
        nodes=[constant("c", value=floats("", 2)), helper.make_node("If", ["x"], ["y"], then_branch=branch(1))],
    )
    value.functions.append(helper.make_function("d", "f", [], [], [constant("e", value_ints=[1, 2])], []))
    return value.SerializeToString()


def read(value: onnx.ModelProto | bytes) -> Checkpoint:
    return read_blob(Blob.from_bytes(value if isinstance(value, bytes) else value.SerializeToString()))


def same(found: np.ndarray[Any, Any], oracle: np.ndarray[Any, Any]) -> bool:
    """Equal as numbers, whatever numpy calls the type."""
    if oracle.dtype.kind not in "biufc" or found.dtype != oracle.dtype:
        found, oracle = found.astype(np.float64), oracle.astype(np.float64)
    return found.shape == oracle.shape and bool(np.array_equal(found, oracle, equal_nan=oracle.dtype.kind in "fc"))


TYPES = [code for name, code in TensorProto.DataType.items() if code not in (TensorProto.UNDEFINED, TensorProto.STRING)]
