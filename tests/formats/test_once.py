"""What is made of bytes once in a run."""

from __future__ import annotations

import pytest

from paraminspect.checks.traces import Traces
from paraminspect.files.blob import Blob
from paraminspect.formats import zip_file
from paraminspect.formats.once import making_once, once
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.limits import DIRECTORIES, one_effort
from tests.making.zips import zip_bytes

FIRST, SECOND = (zip_bytes([(name, b"text")]) for name in ("first", "second"))


def test_there_is_none_outside() -> None:
    assert once() is None
    with making_once(Traces()):
        assert once() is not None
    assert once() is None


def test_a_directory_is_read_once_while_its_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    entries = zip_file._read_entries
    monkeypatch.setattr(zip_file, "_read_entries", lambda data, count: read.append(count) or entries(data, count))
    with one_effort() as run, making_once(Traces()):
        for data in (FIRST, FIRST, SECOND, FIRST):
            directory = read_zip_directory(Blob.from_bytes(data))
            assert list(directory.entries) == ["second" if data is SECOND else "first"]
        assert run.spent(DIRECTORIES) > 4 * 46
    assert len(read) == 3
