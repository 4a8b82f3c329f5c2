"""Ranges of a far file, held against the bytes themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import FarError
from paraminspect.files import ranged
from paraminspect.files.blob import Blob
from paraminspect.files.ranged import FarFile

DATA = bytes(range(256)) * 2048


class Fetcher:
    """Counts what is asked for."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def __call__(self, begin: int, end: int) -> bytes:
        assert 0 <= begin < end <= len(self.data)
        self.asked.append((begin, end))
        return self.data[begin:end]

    @property
    def moved(self) -> int:
        return sum(end - begin for begin, end in self.asked)


reads = st.lists(
    st.tuples(
        st.integers(0, len(DATA) + 10), st.integers(0, 1 << 18), st.sampled_from(["read", "ahead", "prefetch", "part"])
    )
)


@given(reads, st.integers(0, 1 << 17))
def test_any_reads_give_the_bytes_of_the_file(wanted: list[tuple[int, int, str]], first: int) -> None:
    fetch = Fetcher()
    blob = Blob(FarFile(len(DATA), fetch, first=DATA[:first]), path="x")
    for begin, length, how in wanted:
        if how == "read":
            assert blob.read_up_to(begin, length) == DATA[begin : begin + length]
            assert blob.read_near(begin, 9) == DATA[begin : begin + 9]
        elif how == "ahead":
            found = blob.read_ahead(begin, min(length, 9000), length)
            assert DATA[begin:].startswith(found)
            assert len(found) >= min(length, 9000, len(DATA) - begin)
        elif how == "part" and begin + length <= len(DATA):
            assert blob.part(begin, length).read(0, length) == DATA[begin : begin + length]
        else:
            blob.prefetch([begin, begin + 7], length)


def test_reading_on_fetches_more_and_more_at_a_time() -> None:
    fetch = Fetcher()
    file = FarFile(len(DATA), fetch)
    for begin in range(0, len(DATA), 4096):
        file.read(begin, 4096, len(DATA))
    assert fetch.moved == len(DATA)
    assert len(fetch.asked) <= 5


def test_nothing_behind_a_part_is_fetched() -> None:
    fetch = Fetcher()
    part = Blob(FarFile(len(DATA), fetch), path="x").part(100_000, 300)
    assert part.read(0, 10) + part.read(10, 290) == DATA[100_000:100_300]
    assert fetch.asked == [(100_000, 100_300)]


def test_places_near_each_other_are_fetched_together() -> None:
    fetch = Fetcher()
    file = FarFile(len(DATA), fetch)
    file.prefetch((begin, begin + 30) for begin in (0, 1000, 300_000, 301_000, 480_000))
    assert sorted(fetch.asked) == [(0, 1030), (300_000, 301_030), (480_000, 480_030)]
    fetch.asked.clear()
    assert file.read(301_000, 30, len(DATA)) == DATA[301_000:301_030]
    assert not fetch.asked


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(ranged, "_kept", ranged._Kept())
    files = [FarFile(len(DATA), Fetcher()) for _ in range(20)]
    for file in files:
        file.read(0, 10, len(DATA))
    assert sum(len(block) for file in files for block in file._blocks.values()) <= 100_000


def test_after_an_error_nothing_more_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(begin: int, end: int) -> bytes:
        calls.append(begin)
        raise FarError("down", hint="wait", fault="silent")

    file = FarFile(100, fail)
    for _ in range(3):
        with pytest.raises(FarError, match="down") as caught:
            file.read(0, 10, 100)
        assert caught.value.hint == "wait"
    assert len(calls) == 1


@pytest.mark.parametrize("make", [lambda: Blob.from_bytes(b""), lambda: Blob(FarFile(0, Fetcher(b"")), path="x")])
def test_an_empty_file(make: Callable[[], Blob]) -> None:
    assert make().read_up_to(0, 10) == make().read_ahead(0, 5, 10) == b""
