"""The wire format, held against the protobuf package (by way of onnx messages)."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from google.protobuf.internal import encoder
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.onnx import protobuf
from paraminspect.formats.onnx.protobuf import BYTES, FIXED32, FIXED64, VARINT, read_fields, read_varint, to_signed


def fields(data: bytes) -> list[tuple[int, int, Any]]:
    """(number, wire type, number or bytes) of all fields."""
    found = read_fields(Blob.from_bytes(data), 0, len(data))
    return [
        (number, wire, value if wire == VARINT else data[at : at + value]) for number, wire, at, value in found
    ]  # fmt: skip


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_that_of_protobuf(value: int) -> None:
    message = onnx.TensorProto(dims=[value])
    assert [to_signed(found) for _, _, found in fields(message.SerializeToString())] == [value]


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_a_varint_ends_where_it_ends(value: int, rest: bytes) -> None:
    data = b"".join(map(bytes, _pieces(value)))
    assert read_varint(b"xx" + data + rest, 2) == (value, 2 + len(data))


def _pieces(value: int) -> list[bytes]:
    found: list[bytes] = []
    encoder._EncodeVarint(found.append, value)
    return found


def test_every_wire_type() -> None:
    data = b"\x08\x96\x01" + b"\x12\x02ab" + b"\x1d" + bytes(range(4)) + b"\x21" + bytes(range(8))
    assert fields(data) == [
        (1, VARINT, 150), (2, BYTES, b"ab"), (3, FIXED32, bytes(range(4))), (4, FIXED64, bytes(range(8))),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"\x0a\x88\x27" + b"k" * 5000 + b"\x12\x02vv", b"\x08\x96\x01" * 50])
def test_a_long_message_is_read_piece_by_piece(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    due = fields(data)
    monkeypatch.setattr(protobuf, "WINDOW", protobuf._HEAD)
    monkeypatch.setattr(protobuf, "SMALL", 0)
    assert fields(data) == due


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"\x03", MalformedError, "no field"),  # a group
        (b"\x04", MalformedError, "no field"),
        (b"\x07", MalformedError, "no field"),
        (b"\x00\x01", MalformedError, "no field"),  # field 0
        (b"\x08" + b"\x80" * 10 + b"\x01", MalformedError, "more than 10 bytes"),
        (b"\x80\x80\x80\x80\x80\x01\x01", MalformedError, "no field"),  # a tag of more than 32 bits
        (b"\x12\x05ab", TruncatedError, "the file ends at 4"),
        (b"\x08\x80", TruncatedError, "the file ends at 2"),
        (b"\x1d\0\0", TruncatedError, "a field of 4 bytes"),
    ],
)
def test_messages_that_cannot_be(data: bytes, error: type[ParamInspectError], message: str) -> None:
    with pytest.raises(error, match=message):
        fields(data)


def test_a_field_that_reaches_past_the_message_around_it() -> None:
    blob = Blob.from_bytes(b"\x12\x05abcdefgh")
    with pytest.raises(MalformedError, match="reaches past the end of its message at 4"):
        list(read_fields(blob, 0, 4))


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    try:
        found = fields(data)
    except ParamInspectError:
        return
    assert all(number > 0 for number, _, _ in found)
