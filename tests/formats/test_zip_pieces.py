"""Zip archives one after another in one file."""

from __future__ import annotations

import io
import zipfile

import pytest

from paraminspect.files.blob import Blob
from paraminspect.formats.zip_pieces import holds_pieces, split_archives
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes


def commented(text: bytes) -> bytes:
    stream = io.BytesIO(zip_bytes({"a": b"1"}))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = text
    return stream.getvalue()


PIECES = [zip_bytes({"a": b"1"}), torch_bytes({"a": 1}), commented(b"said"), commented(b"zeros\0\0"), zip_bytes({})]


@pytest.mark.parametrize("before", [b"", b"something else"])
def test_each_is_found(before: bytes) -> None:
    archives, left = split_archives(Blob.from_bytes(before + b"".join(PIECES)))
    assert [part.read(0, part.size) for _, part in archives] == PIECES
    assert (left, archives[0][0]) == (len(before), len(before))
    assert holds_pieces(Blob.from_bytes(before + b"".join(PIECES))) is not bool(before)


@pytest.mark.parametrize("data", [b"", b"no archive", PIECES[0][:-1]])
def test_a_file_that_ends_with_none(data: bytes) -> None:
    assert not holds_pieces(Blob.from_bytes(data))
