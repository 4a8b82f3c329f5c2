"""This machine as a place."""

from __future__ import annotations

import os
import threading
from itertools import accumulate, chain
from pathlib import Path

import pytest

from paraminspect.errors import SourceError
from paraminspect.files.door import Listing, Look, place_of
from paraminspect.files.local import PLACE
from paraminspect.files.seen import version_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "out").symlink_to("/")
    return tmp_path


def test_paths_and_standard_input_are_of_this_machine() -> None:
    assert place_of(None) is place_of("a/b.pt") is place_of("C:\\m.pt") is PLACE
    assert place_of("https://host/m.pt") is not PLACE


def test_what_paths_lead_to(folder: Path) -> None:
    names = ("file", "sub", "pipe", "dangling", "nul\0")
    found = PLACE.presence([str(folder / name) for name in names])
    file = Look("file", 10, version_of((folder / "file").stat()))
    assert found == [file, Look("folder"), Look("pipe"), None, None]
    assert PLACE.look(str(folder / "file")) == file
    assert PLACE.list_folder(str(folder)) == Listing(["dangling", "file", "pipe"], ["out", "sub"])
    assert PLACE.find_in_folder(str(folder), ["sub", "pipe", "other"]) == ["pipe", "sub"]
    assert (PLACE.is_there(str(folder / "dangling")), PLACE.is_folder(str(folder / "dangling"))) == (True, False)


def test_what_may_not_be_looked_at_is_not_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)  # root may look at everything
    assert PLACE.presence([str(folder / "file")]) == [Look("denied")]


def test_an_open_file(folder: Path) -> None:
    file = PLACE.open(str(folder / "file"))
    assert (file.size, file.read(2, 3, 10), file.read(8, 5, 10), file.read_ahead(4, 1, 3, 6)) == (
        10,
        b"234",
        b"89",
        b"45",
    )
    memory = bytearray(4)
    assert (file.read_into(memoryview(memory), 7, 10), memory) == (3, bytearray(b"789\0"))
    file.close()
    file.close()
    with pytest.raises(OSError, match="descriptor"):
        file.read(0, 1, 10)
    with pytest.raises(SourceError, match="not a regular file"):
        PLACE.open(str(folder / "pipe"))


def test_a_descriptor_is_closed_once(folder: Path) -> None:
    file = PLACE.open(str(folder / "file"))
    number = file.fd
    assert number is not None
    os.close(number)
    with pytest.raises(OSError, match="descriptor"):
        file.close()
    other = PLACE.open(str(folder / "file"))
    assert (other.fd, file.fd) == (number, None)
    file.close()
    del file
    assert other.read(0, 1, 10) == b"0"


def test_links_that_lead_out(folder: Path) -> None:
    (folder / "in").symlink_to("sub/../file")
    assert PLACE.is_inside(str(folder / "in"), [str(folder)])
    assert not PLACE.is_inside(str(folder / "out"), [str(folder)])
    assert PLACE.is_inside(str(folder / "out"), [str(folder), "/"])
    assert not PLACE.is_inside(str(folder.parent / f"{folder.name}x"), [str(folder)])


@pytest.mark.parametrize(("patience_s", "alone"), [(60, {True}), (-1, {True, False})])
def test_work_is_done_here_until_it_is_slow(patience_s: float, alone: set[bool]) -> None:
    main = threading.get_ident()
    made = PLACE.each(lambda item: (item, threading.get_ident() == main), range(5), patience_s)
    assert [item for item, _ in made] == list(range(5))
    assert {is_main for _, is_main in made} == alone


def test_one_that_is_slow_is_no_reason_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    took = [9, 1, 9, 1]
    clock = accumulate(chain.from_iterable((0, each) for each in took))
    monkeypatch.setattr("paraminspect.files.local.monotonic", lambda: next(clock))
    assert set(PLACE.each(lambda _: threading.get_ident(), took, 5)) == {threading.get_ident()}
