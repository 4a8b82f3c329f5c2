from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from paraminspect.files.storing import allocate, lies_in_memory

SHARED = Path("/dev/shm")


def type_of(folder: str) -> str:
    """Of the file system of a folder, as the system's own tool says it."""
    done = subprocess.run(["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(not SHARED.is_dir(), reason="no memory that is a folder")
@pytest.mark.parametrize("folder", [str(SHARED), "/var/tmp", "/proc/self"])
def test_whether_a_file_lies_in_memory(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        assert lies_in_memory(fd) == (type_of(folder) == "tmpfs")
    finally:
        os.close(fd)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no memory that is a folder")
def test_what_is_allocated_takes_room_and_keeps_what_is_there() -> None:
    with TemporaryFile(dir=SHARED) as file:
        file.write(b"abc")
        file.truncate(1 << 20)
        file.flush()
        before = os.fstat(file.fileno()).st_blocks
        allocate(file.fileno(), 0, 1 << 20)
        assert os.fstat(file.fileno()).st_blocks * 512 >= 1 << 20 > before * 512
        file.seek(0)
        assert file.read() == b"abc" + bytes((1 << 20) - 3)
