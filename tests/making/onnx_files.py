"""Models of ONNX, by the onnx package and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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
