"""Archives in archives that were cut: the end record that is found is not theirs."""

from __future__ import annotations

import zipfile

import pytest

from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.zip_cut import is_member
from paraminspect.formats.zip_file import read_zip_directory
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes

INNER = {"zip": zip_bytes({"a": b"1"}), "zip64": zip_bytes({"a": b"1"}, zip64=True), "torch": torch_bytes({"a": 1})}
EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."


def codes(data: bytes) -> list[str]:
    return [each.code for each in scan_part(Blob.from_bytes(data), Place())]


@pytest.mark.parametrize("behind", [b"", b"PK\7\x08", bytes(40)])
@pytest.mark.parametrize("inner", INNER)
def test_the_archive_in_a_member_ends_no_file(inner: str, behind: bytes) -> None:
    whole = zip_bytes({"first": b"1", "packed.pt": INNER[inner]})
    data = whole[: whole.index(INNER[inner]) + len(INNER[inner])] + behind
    with pytest.raises(TruncatedError, match="the file ends before its zip directory"):
        read_zip_directory(Blob.from_bytes(data))
    assert codes(data) == ["truncated"]


def test_what_it_would_run_is_said_all_the_same() -> None:
    whole = zip_bytes({"packed.pt": zip_bytes({"a/data.pkl": EVIL})})
    data = whole[: whole.rindex(b"PK\1\2")]
    assert sorted(codes(data)) == ["pickle-danger", "truncated"]


@pytest.mark.parametrize(
    "before",
    [
        b"#!/bin/sh\n",
        b"PK\3\4" + bytes(40),
        zip_bytes({"a": INNER["zip"]}, zipfile.ZIP_DEFLATED)[:31],
        b"x" + zip_bytes({"a": b""})[:31],
    ],
)
def test_an_archive_behind_something_else_is_no_member(before: bytes) -> None:
    data = before + INNER["zip"]
    assert not is_member(Blob.from_bytes(data), len(before))
    with pytest.raises(MalformedError, match=f"begins {len(before)} bytes after the begin"):
        read_zip_directory(Blob.from_bytes(data))


def test_an_archive_at_the_begin_is_no_member() -> None:
    assert not is_member(Blob.from_bytes(INNER["zip"]), 0)
