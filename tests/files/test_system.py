"""What takes the place of calls that a system lacks does what they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from paraminspect.errors import SourceError
from paraminspect.files import storing, system

DATA = Random(0).randbytes(1000)
MISSING = (
    "pread", "preadv", "pwrite", "fchmod", "statvfs", "copy_file_range", "posix_fadvise",
    "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECT", "O_CLOEXEC",
)  # fmt: skip


def load_without_names(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as a system loads it that has none of the names."""
    free = shutil.disk_usage("/")  # which Windows has by another call
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    for name in MISSING:
        monkeypatch.delattr(os, name, raising=False)
    spec = spec_from_file_location(f"bare_{module.__name__.rpartition('.')[2]}", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(params=["as here", "without names"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return system if request.param == "as here" else load_without_names(system, monkeypatch)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_without_names(storing, monkeypatch)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    opened = os.open(path, os.O_RDWR)
    os.lseek(opened, 7, os.SEEK_SET)
    yield opened
    assert os.lseek(opened, 0, os.SEEK_CUR) == 7  # nobody moved it
    os.close(opened)


@pytest.mark.parametrize(("offset", "length"), [(0, 10), (500, 500), (990, 100), (1000, 1), (2000, 5), (3, 0)])
def test_reads_at_an_offset(either: ModuleType, fd: int, offset: int, length: int) -> None:
    due = DATA[offset : offset + length]
    assert either.read_at(fd, length, offset) == due
    memory = bytearray(length)
    assert either.read_into(fd, memoryview(memory), offset) == len(due)
    assert memory[: len(due)] == due


def test_writes_at_an_offset(either: ModuleType, fd: int) -> None:
    assert either.write_at(fd, memoryview(b"new!"), 20) == 4
    assert either.write_at(fd, memoryview(b"end"), 1000) == 3
    assert os.stat(fd).st_size == 1003
    os.lseek(fd, 0, os.SEEK_SET)
    assert os.read(fd, 2000) == DATA[:20] + b"new!" + DATA[24:] + b"end"
    os.lseek(fd, 7, os.SEEK_SET)


def test_many_threads_read_one_descriptor(either: ModuleType, fd: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda offset: either.read_at(fd, 10, offset % 900), range(4000)))
    assert found == [DATA[offset % 900 : offset % 900 + 10] for offset in range(4000)]


def test_a_descriptor_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [system.descriptor_in(name) for name in ("/dev/stdout", "/dev/fd/12", "/proc/self/fd/3")] == [1, 12, 3]
    assert [system.descriptor_in(name) for name in ("/dev/null", "/dev/fd/", "dev/fd/1", "out")] == [None] * 4
    with (tmp_path / "file").open("wb") as file:
        name = system.name_of(file.fileno())
        assert system.is_nameless(name)
        assert os.path.samestat(os.stat(name), os.stat(tmp_path / "file"))
    monkeypatch.setattr(system, "_DESCRIPTORS", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="cannot read a pipe twice"):
        system.name_of(0)


def test_a_pipe_that_nobody_writes_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert system.open_pipe(str(tmp_path / "pipe"), 1) is None


def test_storing_without_names(bare: ModuleType, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    fd = bare.create(path, 0o640)
    with pytest.raises(FileExistsError):
        bare.create(path, 0o640)
    bare.set_mode(fd, path, 0o600)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert bare.lock(fd) != "theirs"
    assert bare.open_folder(str(tmp_path)) is None
    assert bare.copy_in_kernel(fd, fd, 1, 0, 0) is None
    assert bare.open_direct(fd) is None
    assert bare.free_space(None, str(tmp_path)) > 0
    bare.sync_folder(str(tmp_path))
    bare.forget(path)
    os.close(fd)
    inside = bare.open_inside(None, str(tmp_path), "file")
    os.close(inside)
