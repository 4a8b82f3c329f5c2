"""Zip archives that different readers see differently, held against what `zipfile` makes of them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.checks.container import Place, scan_part
from paraminspect.checks.zips import scan_zip
from paraminspect.files.blob import Blob
from paraminspect.limits import MEMBERS, OPCODES, Effort, one_effort
from paraminspect.summaries import Finding
from tests.making.zips import zip_bytes

Check = Callable[..., list[Finding]]
EMPTY = pickle.dumps({})


def codes(found: Iterable[Finding]) -> set[str]:
    return {finding.code for finding in found if finding.severity != "info"}


def scan(data: bytes) -> set[str]:
    return codes(scan_zip(Blob.from_bytes(data), Place()))


PLAIN = zip_bytes([("a/data.pkl", EMPTY), ("a/version", b"3")])


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def test_an_honest_archive() -> None:
    assert scan(PLAIN) == set()
    assert scan(zip_bytes([("a/data.pkl", EMPTY)], method=zipfile.ZIP_DEFLATED)) == set()


TRICKS = {
    "zip-duplicate": zip_bytes([("a/data.pkl", EMPTY), ("a/data.pkl", EMPTY)]),
    "zip-roots": zip_bytes([("a/data.pkl", EMPTY), ("b/data.pkl", EMPTY)]),
    "path-escape": zip_bytes([("a/data.pkl", EMPTY), ("../../x", b"")]),
    "zip-mismatch": patched(PLAIN, b"PK\3\4", 30, b"b"),  # the name in the local header
    "crc": patched(PLAIN, EMPTY, 1, b"\x02"),
    "polyglot": b"#!/bin/sh\n" + PLAIN,
}


@pytest.mark.parametrize("code", TRICKS)
def test_tricks(code: str, check: Check) -> None:
    assert code in codes(check(TRICKS[code]))


def test_tricks_are_seen_in_the_archive_itself() -> None:
    messages = {code: [each.message for each in scan_zip(Blob.from_bytes(TRICKS[code]), Place()) if each.code == code]
                for code in ("zip-duplicate", "zip-roots", "polyglot")}  # fmt: skip
    assert messages == {
        "zip-duplicate": ["the archive holds this name more than once"],
        "zip-roots": ["models below 2 folders: 'a/', 'b/'"],
        "polyglot": ["the zip archive begins at byte 10, and the file begins like another one"],
    }
    (found,) = [each for each in scan_zip(Blob.from_bytes(PLAIN + PLAIN), Place()) if each.code == "polyglot"]
    assert (found.severity, found.message) == ("info", "2 zip archives one after another: readers see the last one")


@pytest.mark.parametrize("names", [["a/data.pkl", "a/DATA.pkl"], ["a/data.pkl", "A/data.pkl"], ["a/x.pkl", "a/X.PKL"]])
def test_names_that_differ_in_case(names: list[str]) -> None:
    assert "zip-duplicate" in scan(zip_bytes([(name, EMPTY) for name in names]))


@pytest.mark.parametrize("name", ["/etc/x", "a/../../x", "..\\x", "C:\\x", "a\\..\\x"])
def test_names_that_lead_outside(name: str) -> None:
    assert scan(zip_bytes([("a/data.pkl", EMPTY), (name, b"")])) == {"path-escape"}


@pytest.mark.parametrize("name", ["a/..x", "a/x..", "a/...", "a.b/c"])
def test_names_that_only_look_so(name: str) -> None:
    assert scan(zip_bytes([("a/data.pkl", EMPTY), (name, b"x")])) == set()


@pytest.mark.parametrize(
    ("offset", "value"),
    [(8, b"\x08\x00"), (6, b"\x01\x00"), (18, struct.pack("<LL", 3, 3)), (14, b"\1\2\3\4")],
    ids=["method", "flags", "sizes", "crc"],
)
def test_a_local_header_that_differs(offset: int, value: bytes) -> None:
    assert scan(patched(PLAIN, b"PK\3\4", offset, value)) == {"zip-mismatch"}


@pytest.mark.parametrize("name", ["a/config.p", "a/.data/serialization_id", "readme", "a/weights.dat"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_under_any_name(name: str, protocol: int) -> None:
    evil = pickle.dumps(Evil(), protocol)
    assert scan(zip_bytes([("a/data.pkl", EMPTY), (name, evil)])) == {"pickle-danger"}
    assert scan(zip_bytes([("a/data.pkl", EMPTY), (name, evil)], method=zipfile.ZIP_DEFLATED)) == {"pickle-danger"}


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("id",)


def test_two_entries_over_the_same_bytes() -> None:
    second = PLAIN.rindex(b"PK\1\2")
    assert scan(PLAIN[: second + 42] + bytes(4) + PLAIN[second + 46 :]) == {"overlap", "zip-mismatch", "hole", "crc"}


def test_archives_one_after_another_are_all_looked_into() -> None:
    evil = b"cposix\nsystem\n(S'id'\ntR."
    data = zip_bytes([("a/data.pkl", evil)]) + PLAIN + PLAIN
    assert scan(data) == {"pickle-danger"}


def test_storages_that_no_tensor_uses(check: Check) -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.ones(3)}, stream)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("archive/data/99", bytes(2048))
    (finding,) = check(stream.getvalue())
    assert (finding.code, finding.severity) == ("unused-storage", "info")
    assert finding.message == "1 storage of 2.00 KiB that no tensor uses: 'archive/data/99'"


def test_an_entry_that_is_encrypted_or_of_another_method(check: Check) -> None:
    bad = patched(patched(PLAIN, b"PK\3\4", 8, b"\x63\x00"), b"PK\1\2", 10, b"\x63\x00")
    assert "malformed" in codes(check(bad))


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_of_a_header_is_found_or_changes_nothing(data: st.DataObject) -> None:
    """Where `zipfile` reads other bytes than before, there is a finding."""
    at = data.draw(st.integers(0, len(PLAIN) - 1))
    changed = PLAIN[:at] + bytes([data.draw(st.integers(0, 255))]) + PLAIN[at + 1 :]
    try:
        with zipfile.ZipFile(io.BytesIO(changed)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return
    if members.get("a/data.pkl") != EMPTY:
        assert scan_part(Blob.from_bytes(changed), Place()) or "a/data.pkl" not in members


# --- effort -----------------------------------------------------------------------------------------------------


def named_often(content: bytes, count: int, method: int = zipfile.ZIP_DEFLATED, prefix: str = "a/") -> bytes:
    """An archive of one member that its directory gives so many names."""
    data = zip_bytes([(f"{prefix}{0:04}.pkl", content)], method)
    end = data.rindex(b"PK\5\6")
    (begin,) = struct.unpack_from("<L", data, end + 16)
    entry = data[begin:end]
    directory = b"".join(entry.replace(b"0000.pkl", b"%04d.pkl" % number) for number in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), begin, 0)
    return data[:begin] + directory + tail


def work(data: bytes) -> tuple[list[Finding], int, int]:
    """Findings, opcodes that were run, bytes of members that were read."""
    with one_effort() as run:
        found = scan_part(Blob.from_bytes(data), Place())
        return found, run.spent(OPCODES), run.spent(MEMBERS)


def test_a_member_is_scanned_once_however_often_it_is_named() -> None:
    pickled = b"\x80\x04" + b"N0" * 5000 + b"N."
    _, opcodes, members = work(named_often(pickled, 2))
    assert opcodes > 10_000
    assert work(named_often(pickled, 500))[1:] == (opcodes, members)


def test_archives_in_archives_are_scanned_once() -> None:
    many = few = named_often(EMPTY, 1)
    for _ in range(4):
        many, few = (named_often(data, count, zipfile.ZIP_STORED) for data, count in ((many, 10), (few, 1)))
    assert work(many)[1] == work(few)[1] > 0


def test_too_much_work_is_one_finding_and_ends_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 8000 if bound is OPCODES else 1 << 30)
    danger = b"\x80\x04cos\nsystem\nX\2\0\0\0id\x85R."
    long = [(f"a/{number}.pkl", b"\x80\x04" + b"N0" * (1000 + number) + b"N.") for number in range(50)]
    found, opcodes, _ = work(zip_bytes([("a/data.pkl", danger), *long]))
    assert [finding.code for finding in found if finding.severity in ("danger", "error")] == ["pickle-danger", "limit"]
    assert opcodes <= 8000


def test_a_file_does_not_hide_from_the_scan_by_tiring_its_reader(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Effort, "limit", lambda self, bound: 40_000)
    danger = b"\x80\x04" + b"N0" * 9000 + b"cos\nsystem\nX\2\0\0\0id\x85R."
    with one_effort() as run:
        run.spend(OPCODES, 39_999)  # a source before
        assert "pickle-danger" in codes(check(danger))
