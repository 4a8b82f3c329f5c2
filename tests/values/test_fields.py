"""Numbers spelled out in messages, held against protobuf and against themselves."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.values.fields import decode_varints

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
