from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import TruncatedError
from paraminspect.files.blob import open_blob
from paraminspect.writers import direct
from paraminspect.writers.direct import BLOCK, DirectWriter
from paraminspect.writers.layout import Copy

DATA = os.urandom(20 * BLOCK)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that small data reach; the buffers of the threads are as small."""
    monkeypatch.setattr(direct, "LEAST_BYTES", BLOCK)
    monkeypatch.setattr(direct, "BUFFER_BYTES", 2 * BLOCK)
    monkeypatch.setattr(direct, "LEAST_OUTPUT", 0)
    monkeypatch.setattr(direct, "_buffers", threading.local())


@pytest.fixture
def file(tmp_path: Path) -> Any:
    path = tmp_path / "file"
    path.write_bytes(b"\xee" * (len(DATA) + 3 * BLOCK))
    fd = os.open(path, os.O_RDWR)
    yield fd, path
    os.close(fd)


def check(file: Any, writer: DirectWriter, begin: int, end: int, offset: int) -> None:
    fd, path = file
    before = path.read_bytes()
    writer.write(fd, memoryview(DATA)[begin:end], offset)
    size = end - begin
    assert path.read_bytes() == before[:offset] + DATA[begin:end] + before[offset + size :]


@given(begin=st.integers(0, 5 * BLOCK), size=st.integers(0, 15 * BLOCK), offset=st.integers(0, 2 * BLOCK))
def test_writes_what_an_ordinary_write_does(
    tmp_path_factory: pytest.TempPathFactory, begin: int, size: int, offset: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("LEAST_BYTES", BLOCK), ("BUFFER_BYTES", 2 * BLOCK), ("LEAST_OUTPUT", 0)):
            patch.setattr(direct, name, value)
        patch.setattr(direct, "_buffers", threading.local())
        path = tmp_path_factory.mktemp("direct") / "file"
        path.write_bytes(bytes(20 * BLOCK))
        fd = os.open(path, os.O_RDWR)
        try:
            check((fd, path), DirectWriter(1), begin, begin + size, offset)
        finally:
            os.close(fd)


@pytest.mark.usefixtures("small")
def test_whole_blocks_go_to_the_direct_descriptor(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = []
    real = os.open

    def spy(path: Any, flag: int, *rest: Any) -> int:
        flags.append(flag)
        return real(path, flag, *rest)

    usual: list[tuple[int, int]] = []
    write_at = direct.write_at
    monkeypatch.setattr(os, "open", spy)
    monkeypatch.setattr(
        direct, "write_at", lambda fd, data, offset: (usual.append((offset, len(data))), write_at(fd, data, offset))
    )
    writer = DirectWriter(1)
    check(file, writer, 0, 5 * BLOCK + 100, 50)
    if not writer._can:
        pytest.skip("the file system of the temporary folder has no O_DIRECT")
    assert [flag & os.O_DIRECT for flag in flags] == [os.O_DIRECT]
    assert usual == [(50, BLOCK - 50), (5 * BLOCK, 150)]


@pytest.mark.usefixtures("small")
def test_a_file_system_without_it_gets_ordinary_writes(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> int:
        raise OSError(errno.EINVAL, "no O_DIRECT here")

    monkeypatch.setattr(os, "open", refuse)
    writer = DirectWriter(1)
    check(file, writer, 0, 4 * BLOCK, 0)
    monkeypatch.undo()
    check(file, writer, 3, 4 * BLOCK, 7)
    assert not writer._can


@pytest.mark.usefixtures("small")
def test_a_file_in_memory_gets_ordinary_writes(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    monkeypatch.setattr(direct, "open_direct", opened.append)
    monkeypatch.setattr(direct, "lies_in_memory", lambda fd: True)
    check(file, DirectWriter(1), 0, len(DATA), 7)
    assert not opened


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("first", [0, 100, BLOCK])
def test_a_disk_that_refuses_a_block_or_takes_a_part_of_it(
    file: Any, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    real = os.pwrite
    calls: list[int] = []

    def strange(fd: int, data: Any, offset: int) -> int:
        if fd == file[0]:
            return real(fd, data, offset)
        calls.append(offset)
        if len(calls) > 1 or not first:
            raise OSError(errno.EINVAL, "alignment")
        return real(file[0], data[:first], offset)

    monkeypatch.setattr(os, "pwrite", strange)
    check(file, DirectWriter(1), 1, 9 * BLOCK, 5)
    assert calls


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_an_error(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: Any, offset: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        DirectWriter(1).write(file[0], memoryview(DATA), 0)


def test_a_small_output_stays_in_memory(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "LEAST_BYTES", BLOCK)
    monkeypatch.setattr(os, "open", None)
    check(file, DirectWriter(direct.LEAST_OUTPUT - 1), 0, 8 * BLOCK, 0)


@pytest.fixture
def source(tmp_path: Path) -> Any:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    blob = open_blob(str(path))
    yield blob, str(path)
    blob.close()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("offset", [0, 1, 100, BLOCK - 1, BLOCK + 5])
@pytest.mark.parametrize(("begin", "nbytes"), [(0, 0), (0, 17 * BLOCK), (7, 6 * BLOCK), (100, 5), (BLOCK + 5, BLOCK)])
def test_copies_what_a_write_writes(file: Any, source: Any, begin: int, nbytes: int, offset: int) -> None:
    fd, path = file
    before = path.read_bytes()
    DirectWriter(1).copy(fd, Copy(source[1], begin, nbytes), source[0], offset)
    assert path.read_bytes() == before[:offset] + DATA[begin : begin + nbytes] + before[offset + nbytes :]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("begin", "by_kernel"), [(BLOCK + 5, True), (BLOCK + 6, False)])
def test_the_kernel_copies_where_pages_line_up(
    file: Any, source: Any, monkeypatch: pytest.MonkeyPatch, begin: int, by_kernel: bool
) -> None:
    real = os.copy_file_range
    counts = []

    def spy(from_: int, to: int, count: int, *offsets: int) -> int:
        counts.append(real(from_, to, count, *offsets))
        return counts[-1]

    monkeypatch.setattr(os, "copy_file_range", spy)
    DirectWriter(1).copy(file[0], Copy(source[1], begin, 10 * BLOCK), source[0], 5)
    assert sum(counts) == (10 * BLOCK if by_kernel else 0)
    assert file[1].read_bytes()[5 : 5 + 10 * BLOCK] == DATA[begin : begin + 10 * BLOCK]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("offset", [0, 3, 100])
def test_a_source_that_became_shorter_is_an_error(file: Any, source: Any, offset: int) -> None:
    with pytest.raises(TruncatedError, match="became shorter"):
        DirectWriter(1).copy(file[0], Copy(source[1], 100, len(DATA)), source[0], offset)
