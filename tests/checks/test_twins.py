"""Archives that differ in numbers alone are looked into once; what is found is what looking into each of them finds."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.checks import zips
from paraminspect.checks.check import check_source
from paraminspect.checks.container import Place
from paraminspect.checks.twins import Twins
from paraminspect.formats.zip_file import ZipDirectory
from paraminspect.summaries import Finding
from tests.making.distributed import grid, save_in_pieces
from tests.making.zips import zip_bytes


def saved(tensor: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    torch.save(tensor, stream)
    return stream.getvalue()


def changed(piece: bytes, member: str, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(piece)) as archive:
        return zip_bytes([(each, data if each.endswith(member) else archive.read(each)) for each in archive.namelist()])


FIRST, SECOND = saved(torch.arange(1.0, 7.0)), saved(torch.arange(7.0, 13.0))
RUNS = b"\x80\x02cos\nsystem\nX\2\0\0\0id\x85R."
SIX = RUNS.ljust(24, b"\0")
AGAIN = changed(FIRST, "data/0", bytes(24))
PIECES: dict[str, bytes] = {
    "alike": FIRST + SECOND,
    "numbers that are a pickle": AGAIN + changed(FIRST, "data/0", SIX),
    "another pickle": AGAIN + changed(FIRST, "data.pkl", pickle.dumps(dict.fromkeys(range(9)))),
    "another name": FIRST + SECOND.replace(b"data/0", b"data/1"),
    "bytes between": FIRST + RUNS + SECOND,
    "large": saved(torch.zeros(40_000)) + saved(torch.ones(40_000)),
    "large and hostile": saved(torch.zeros(40_000)) + saved(torch.ones(40_000)).replace(bytes.fromhex("0000803f") * 6, SIX, 1),
}  # fmt: skip


HOSTILE = {"numbers that are a pickle", "large and hostile"}


def both(path: Path, data: bytes) -> tuple[list[Finding], list[Finding]]:
    """What is found if twins are known, and if they are not."""
    path.write_bytes(data)
    found = check_source(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Twins, "has", lambda *_: False)
        return found, check_source(path)


@pytest.mark.parametrize("name", PIECES)
def test_the_findings_are_the_same(name: str, tmp_path: Path) -> None:
    known, unknown = both(tmp_path / "__0_0.distcp", PIECES[name])
    assert known == unknown
    assert any(each.severity == "danger" for each in known) == (name in HOSTILE)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_they_are_the_same_where_any_byte_differs(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    piece = bytearray(SECOND)
    piece[data.draw(st.integers(0, len(piece) - 1))] = data.draw(st.sampled_from(b"RcPK\x80\x02.\0\1\xff"))
    known, unknown = both(tmp_path_factory.mktemp("a") / "__0_0.distcp", FIRST + bytes(piece))
    assert known == unknown


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many archives were looked into."""
    looked: list[int] = []
    scan = zips._scan_archive

    def counting(directory: ZipDirectory, place: Place) -> Iterator[Finding]:
        looked.append(directory.blob.size)
        return scan(directory, place)

    monkeypatch.setattr(zips, "_scan_archive", counting)
    return lambda: len(looked)


@pytest.mark.parametrize("digit", "0123")
def test_whatever_the_identifier_begins_with(digit: str, tmp_path: Path, count: Callable[[], int]) -> None:
    pieces = [changed(each, "serialization_id", digit.encode() * 40) for each in (FIRST, SECOND)]
    assert [*both(tmp_path / "__0_0.distcp", b"".join(pieces))] == [[], []]
    assert count() == 1 + 2


def test_pieces_of_one_shape_are_looked_into_once_in_a_run(tmp_path: Path, count: Callable[[], int]) -> None:
    tensors = {f"w{number}": torch.ones(4, 3) * number for number in range(1, 9)}
    save_in_pieces(tmp_path, tensors, {name: grid((4, 3), (2, 1)) for name in tensors})
    assert not [each for each in check_source(tmp_path) if each.severity != "info"]
    assert count() == 1
