from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.files.local import LocalFile

DATA = bytes(range(100))


def of_bytes(_: Path) -> Blob:
    return Blob.from_bytes(DATA)


def of_file(folder: Path) -> Blob:
    path = folder / "file"
    path.write_bytes(DATA)
    return Blob(LocalFile(len(DATA), os.open(path, os.O_RDONLY)), path=str(path))


def of_part(folder: Path) -> Blob:
    path = folder / "file"
    path.write_bytes(b"before" + DATA + b"behind")
    return Blob(LocalFile(len(DATA) + 12, os.open(path, os.O_RDONLY)), path=str(path)).part(6, len(DATA))


@pytest.fixture(params=[of_bytes, of_file, of_part])
def blob(request: pytest.FixtureRequest, tmp_path: Path) -> Blob:
    make: Callable[[Path], Blob] = request.param
    return make(tmp_path)


def test_reads_exactly_what_is_asked(blob: Blob) -> None:
    assert blob.size == 100
    assert blob.read(0, 100) == DATA
    assert blob.read(10, 5) == DATA[10:15]
    assert blob.read(100, 0) == b""


@pytest.mark.parametrize(("offset", "length", "early"), [(0, 101, 1), (99, 2, 1), (100, 1, 1), (5000, 8, 4908)])
def test_read_past_the_end(blob: Blob, offset: int, length: int, early: int) -> None:
    with pytest.raises(TruncatedError, match=rf"^the file ends at byte 100, {early:,} bytes too early$") as caught:
        blob.read(offset, length)
    assert caught.value.hint == "it was not written or copied to its end: fetch or save it again"


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (100, 5), (2**70, 5)])
def test_nothing_is_read_outside(blob: Blob, offset: int, length: int) -> None:
    assert blob.read_up_to(offset, length) == b""


def test_reads_up_to_the_end(blob: Blob) -> None:
    assert blob.read_up_to(90, 2**70) == DATA[90:]


def test_part_knows_where_it_begins(blob: Blob) -> None:
    part = blob.part(10, 20)
    inner = part.part(5, 10)
    assert (part.size, part.begin - blob.begin, part.path) == (20, 10, blob.path)
    assert (inner.size, inner.begin - blob.begin) == (10, 15)
    assert inner.read(0, 10) == DATA[15:25]
    assert inner.read_up_to(8, 100) == DATA[23:25]
    with pytest.raises(TruncatedError):
        inner.read(8, 3)


def test_part_of_everything_and_of_nothing(blob: Blob) -> None:
    assert blob.part(0, 100).read(0, 100) == DATA
    assert blob.part(100, 0).read_up_to(0, 5) == b""


@pytest.mark.parametrize(("begin", "size"), [(-1, 5), (0, -1), (0, 101), (101, 0), (96, 5), (2**70, 1)])
def test_no_part_outside(blob: Blob, begin: int, size: int) -> None:
    with pytest.raises(TruncatedError, match="of a file of 100 bytes"):
        blob.part(begin, size)


def test_part_of_a_part_stays_inside_it(blob: Blob) -> None:
    with pytest.raises(TruncatedError, match="bytes 5 to 11 of a file of 10 bytes"):
        blob.part(0, 10).part(5, 6)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_descriptor_closes_with_the_last_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDONLY)
    whole = Blob(LocalFile(100, fd))
    part = whole.part(10, 50).part(0, 5)
    del whole
    gc.collect()
    assert is_open(fd)
    assert part.read(0, 5) == DATA[10:15]
    del part
    gc.collect()
    assert not is_open(fd)


def test_reads_that_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = of_file(tmp_path)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: pread(fd, min(length, 7), offset))
    assert blob.read(3, 90) == DATA[3:93]
    assert blob.read_up_to(50, 1000) == DATA[50:]


def test_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    blob = of_file(tmp_path)
    os.truncate(tmp_path / "file", 40)
    assert blob.read(0, 40) == DATA[:40]
    assert blob.read_up_to(30, 50) == DATA[30:40]
    with pytest.raises(TruncatedError, match="became shorter while it was read"):
        blob.read(30, 50)


def test_far_into_a_sparse_file(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(1 << 33)
        file.write(DATA)
    blob = Blob(LocalFile(path.stat().st_size, os.open(path, os.O_RDONLY)))
    assert blob.read((1 << 33) + 1, 3) == DATA[1:4]


@given(st.binary(max_size=30), st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))
def test_reads_as_a_slice_does(data: bytes, offset: int, length: int, begin: int, size: int) -> None:
    blob = Blob.from_bytes(data)
    assert blob.read_up_to(offset, length) == data[offset : offset + length]
    if begin + size <= len(data):
        assert blob.part(begin, size).read_up_to(offset, length) == data[begin : begin + size][offset : offset + length]
