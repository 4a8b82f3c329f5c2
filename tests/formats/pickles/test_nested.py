"""Which strings of a pickle may be pickles, or files that hold one."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy
import pytest

from paraminspect.formats.pickles.inert import LongBytes
from paraminspect.formats.pickles.nested import may_be_bare, may_be_file


def in_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(None))
    return stream.getvalue()


def array() -> bytes:
    stream = io.BytesIO()
    numpy.save(stream, numpy.array([None]), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("data", [*(pickle.dumps(None, each) for each in range(2, 6)), in_zip(), array()])
def test_what_has_a_header_may_be_a_file(data: bytes) -> None:
    assert may_be_file(data)


@pytest.mark.parametrize("data", [b"\x80\x06K\x01.", b"text", b"PK\1\2", b"\0\0\0\0", pickle.dumps(print, 0)])
def test_what_has_none_is_no_file(data: bytes) -> None:
    assert not may_be_file(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pickle.dumps(print, 0), True),
        (pickle.dumps(print, 4)[2:], True),
        (b"(S'one line'\n", False),
        (b"cposix\nsystem\n", True),
        (b"text\nof several\nlines", False),
    ],
)
def test_what_names_something_may_be_a_pickle_without_a_header(data: bytes, expected: bool) -> None:
    assert may_be_bare(data, data) is expected


def test_of_a_long_string_the_beginning_is_all_that_is_known() -> None:
    assert may_be_bare(b"cpos", LongBytes(0, 1 << 20, text=False))
    assert not may_be_bare(b"text", LongBytes(0, 1 << 20, text=False))
