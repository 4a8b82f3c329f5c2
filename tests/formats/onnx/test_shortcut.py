"""The quick way through a tensor of ONNX says what the slow one says."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import (
    ParamInspectError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats.onnx import read as reader
from paraminspect.formats.onnx.read import read_onnx
from paraminspect.formats.onnx.shortcut import OnnxShortcut
from paraminspect.records import Checkpoint
from tests.making.onnx_files import (
    TYPES,
    by_hand,
    floats,
    model,
    nested,
    read,
    sample,
)


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
