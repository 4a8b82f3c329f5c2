"""Payloads in every place of every format, and honest files of the same formats."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.checks import pickles, tars
from paraminspect.checks.check import check_source
from paraminspect.checks.codes import CODES
from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import SourceError
from paraminspect.files.blob import Blob
from paraminspect.summaries import Finding
from tests.making.numpy_files import npy_bytes, npz_bytes
from tests.making.tars import packed_bytes
from tests.making.torch_files import legacy_bytes, torch_bytes
from tests.making.zips import Change, rezipped, zip_bytes

EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."
"""A pickle that would run `id`."""

OLD_EVIL = b"cposix\nsystem\n(S'id'\ntR."
STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.arange(2.0)}

Check = Callable[..., list[Finding]]


def tar_bytes(*members: tarfile.TarInfo, contents: Iterable[bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in zip(members, contents, strict=True):
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def codes(found: Iterable[Finding], severity: str = "danger") -> set[str]:
    return {finding.code for finding in found if finding.severity == severity}


def named(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def data_pickle(evil: bytes) -> Change:
    return lambda members: members.__setitem__("archive/data.pkl", evil)


def with_member(name: str, content: bytes = EVIL) -> Change:
    return lambda members: members.__setitem__(name, content)


def old_tar(storages: bytes, tensors: bytes, root: bytes) -> bytes:
    return tar_bytes(named("storages"), named("tensors"), named("pickle"), contents=[storages, tensors, root])


NOTHING = pickle.dumps(0, 2)
LEGACY = legacy_bytes(STATE)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: EVIL,
    "a pickle without a header": lambda: OLD_EVIL,
    "a second pickle": lambda: pickle.dumps([1]) + EVIL,
    "a pickle behind many": lambda: pickle.dumps([1]) * 50 + EVIL,
    "data.pkl": lambda: rezipped(torch_bytes(STATE), data_pickle(EVIL)),
    "data.pkl, deflated": lambda: rezipped(torch_bytes(STATE), data_pickle(EVIL), method=zipfile.ZIP_DEFLATED),
    "data.pkl, behind STOP": lambda: rezipped(torch_bytes(STATE), data_pickle(pickle.dumps({}) + EVIL)),
    "data.pkl of a wrong CRC": lambda: _of_wrong_crc(rezipped(torch_bytes(STATE), data_pickle(EVIL))),
    "deflated data.pkl of a wrong CRC": lambda: _of_wrong_crc(
        rezipped(torch_bytes(STATE), data_pickle(EVIL), method=zipfile.ZIP_DEFLATED)
    ),
    "another .pkl": lambda: rezipped(torch_bytes(STATE), with_member("archive/extra/notes.pkl")),
    "a pickle under another name": lambda: rezipped(torch_bytes(STATE), with_member("archive/version2")),
    "an old pickle under its name": lambda: rezipped(torch_bytes(STATE), with_member("archive/x.pickle", OLD_EVIL)),
    "an array of objects in an archive": lambda: rezipped(
        torch_bytes(STATE), with_member("archive/x.npy", npy_bytes(np.zeros(1))[:-8] + EVIL)
    ),
    "a model in a model": lambda: zip_bytes([("inner.pt", rezipped(torch_bytes(STATE), data_pickle(EVIL)))]),
    "a legacy file in a zip": lambda: zip_bytes([("inner.bin", EVIL + LEGACY)]),
    "constants of a script": lambda: rezipped(torch_bytes(STATE), with_member("archive/constants.pkl")),
    "debug information of a script": lambda: rezipped(torch_bytes(STATE), with_member("archive/code/x.py.debug_pkl")),
    "the magic number": lambda: EVIL + LEGACY[15:],
    "the protocol version": lambda: LEGACY[:15] + EVIL,
    "behind the storages": lambda: LEGACY + EVIL,
    "an array": lambda: npy_bytes(np.array([{}, {}]))[:128] + EVIL,
    "an archive of arrays": lambda: zip_bytes([("a.npy", npy_bytes(np.array([{}, {}]))[:128] + EVIL)]),
    "a numeric array that is followed by a pickle": lambda: zip_bytes([("a.npy", npy_bytes(np.ones(2))), ("b", EVIL)]),
    "a tar member": lambda: old_tar(NOTHING + pickle.dumps([], 2), NOTHING, EVIL),
    "the count of a tar": lambda: old_tar(EVIL, NOTHING, NOTHING),
    "the views of a tar": lambda: old_tar(NOTHING + EVIL, NOTHING, NOTHING),
    "another tar member": lambda: tar_bytes(named("x.pkl"), contents=[EVIL]),
    "a storage of a tar": lambda: old_tar(pickle.dumps(1, 2) + EVIL + bytes(8), NOTHING, NOTHING),
    "a tensor of a tar": lambda: old_tar(NOTHING + pickle.dumps([], 2), pickle.dumps(1, 2) + EVIL + bytes(16), NOTHING),
    "bytes that are loaded": lambda: (
        b"\x80\x03ctorch.storage\n_load_from_bytes\nC" + bytes([len(EVIL)]) + EVIL + b"\x85R."
    ),
    "bytes that are a pickle": lambda: b"\x80\x03C" + bytes([len(EVIL)]) + EVIL + b".",
    "many bytes that are loaded": lambda: (
        b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", 9000) + EVIL.ljust(9000, b"\0") + b"\x85R."
    ),
    "a zip behind a pickle": lambda: pickle.dumps([1]) + zip_bytes([("a/data.pkl", EVIL)]),
    "a zip behind text": lambda: b"# readme\n" + zip_bytes([("a/data.pkl", EVIL)]),
    "bytes between members": lambda: _between_members(EVIL),
}


def _of_wrong_crc(data: bytes) -> bytes:
    crc = struct.pack("<L", zlib.crc32(EVIL))
    assert data.count(crc) == 2
    return data.replace(crc, b"\1\2\3\4")


def _between_members(payload: bytes) -> bytes:
    """A zip whose second member begins later than the first one ends."""
    data = zip_bytes([("a/data.pkl", pickle.dumps({})), ("a/version", b"3")])
    second = data.index(b"PK\3\4", 4)
    directory = data.index(b"PK\1\2")
    moved = data[:second] + payload + data[second:]
    entry = moved.index(b"PK\1\2", directory + len(payload) + 4)
    changed = bytearray(moved)
    struct.pack_into("<L", changed, entry + 42, second + len(payload))
    struct.pack_into("<L", changed, len(changed) - 6, directory + len(payload))
    return bytes(changed)


@pytest.mark.parametrize("place", HOSTILE)
def test_a_payload_is_found(place: str, check: Check) -> None:
    found = check(HOSTILE[place]())
    assert "pickle-danger" in codes(found)
    assert any("posix.system('id')" in finding.message for finding in found)
    (finding,) = {each.offset: each for each in found if each.code == "pickle-danger"}.values()
    if finding.offset is not None and "many bytes" not in place:
        data = HOSTILE[place]()
        assert data[finding.offset : finding.offset + 1] == b"R"  # REDUCE


HONEST: dict[str, Callable[[], bytes]] = {
    "zip": lambda: torch_bytes(STATE),
    "zip of protocol 5": lambda: torch_bytes(STATE, pickle_protocol=5),
    "legacy": lambda: LEGACY,
    "legacy without tensors": lambda: legacy_bytes({"epoch": 3}),
    "deflated": lambda: rezipped(torch_bytes(STATE), method=zipfile.ZIP_DEFLATED),
    "npy": lambda: npy_bytes(np.ones((3, 2))),
    "npz": lambda: npz_bytes(a=np.ones(3), b=np.zeros((2, 2))),
    "views": lambda: torch_bytes({"a": STATE["a.weight"][0], "b": STATE["a.weight"]}),
    "legacy views": lambda: legacy_bytes({"a": STATE["a.weight"][0], "b": STATE["a.weight"]}),
    "tensors that pickle wrote": lambda: pickle.dumps(STATE),
    "a dtype a storage": lambda: torch_bytes({str(d): torch.zeros(3, dtype=d) for d in (torch.float16, torch.int64)}),
    "an empty state dict": lambda: torch_bytes({}),
}


@pytest.mark.parametrize("kind", HONEST)
def test_an_honest_file_has_no_finding(kind: str, check: Check) -> None:
    assert [finding for finding in check(HONEST[kind]()) if finding.severity != "info"] == []


@pytest.mark.parametrize("kind", ["zip", "legacy", "npy", "npz"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_that_was_cut(kind: str, share: float, check: Check) -> None:
    data = HONEST[kind]()
    found = check(data[: int(len(data) * share)])
    assert codes(found, "error")
    assert not codes(found)


def test_bytes_behind_a_legacy_file(check: Check) -> None:
    found = check(LEGACY + b"anything")
    assert codes(found, "error") == {"extra-bytes"}
    (finding,) = found
    assert finding.offset == len(LEGACY)


@pytest.mark.parametrize("data", [b"", b"{}", b"<html>", b"(a tuple", b"\x7fELF", bytes(100)])
def test_what_is_no_model_is_an_error_and_no_danger(data: bytes, check: Check) -> None:
    found = check(data)
    assert codes(found, "error")
    assert not codes(found)


def test_tar_links_and_paths(check: Check) -> None:
    link = tarfile.TarInfo("storages")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    found = check(tar_bytes(link, named("../up"), contents=[b"", b""]))
    assert codes(found) == {"archive-link", "path-escape"}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_paths_that_the_header_of_a_tar_has_no_room_for(check: Check, form: int) -> None:
    name = "a/" * 60 + "../" * 70 + "etc/passwd"
    found = [each for each in check(packed_bytes({name: b"text"}, form)) if each.code == "path-escape"]
    assert [each.name for each in found] == [name]
    link = tarfile.TarInfo("b")
    link.type, link.linkname = tarfile.SYMTYPE, "/" + "x" * 120
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        archive.addfile(link)
    (told,) = [each for each in check(stream.getvalue()) if each.code == "archive-link"]
    assert link.linkname in told.message


def test_a_member_of_more_bytes_than_octal_digits_tell(check: Check) -> None:
    info = tarfile.TarInfo("model.bin")
    info.size = 9 << 30
    found = check(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert [(each.code, each.name) for each in found if each.severity == "error" and "declared" in each.message] == [
        ("truncated", "model.bin")
    ]
    assert "malformed" not in codes(found, "error")


def test_damaged_tars(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def errors(*members: tuple[str, bytes], cut: int | None = None) -> set[tuple[str, str]]:
        data = tar_bytes(*(named(name) for name, _ in members), contents=[content for _, content in members])
        return {(found.code, found.name) for found in check(data[:cut]) if found.severity == "error"}

    one, key = pickle.dumps(1, 2), pickle.dumps(("0", "cpu", torch.FloatStorage), 2)
    assert ("malformed", "storages") in errors(("storages", pickle.dumps("x", 2)))
    assert ("truncated", "storages") in errors(("storages", one + key + (1 << 20).to_bytes(8, "little")))
    assert ("truncated", "tensors") in errors(("tensors", bytes(2000)), cut=1024)
    sizeless = bytearray(tar_bytes(named("storages"), contents=[one]))
    sizeless[124:136] = b"99999999999\0"
    assert "malformed" in codes(check(bytes(sizeless)), "error")
    monkeypatch.setattr(tars, "MAX_MEMBERS", 1)
    assert "limit" in codes(check(tar_bytes(named("a"), named("b"), contents=[b"", b""])), "error")


def test_a_pickle_in_a_byte_string_is_told(check: Check) -> None:
    inner = pickle.dumps(Path, 4)
    found = check(pickle.dumps({"a": EVIL, "b": inner}, 4))
    assert {(each.severity, each.message) for each in found if each.code == "pickle-hidden"} == {
        ("warning", "holds another pickle in a byte string")
    }
    assert codes(found) == {"pickle-danger"}


def test_a_second_pickle_and_an_array_of_objects_are_told_even_if_harmless(check: Check) -> None:
    first, second = pickle.dumps({"a": 1}), pickle.dumps([2])
    (told,) = [finding for finding in check(first + second) if finding.code == "pickle-hidden"]
    assert (told.severity, told.message) == ("info", f"another pickle at byte {len(first):,}")
    (told,) = [finding for finding in check(npy_bytes(np.array([{}]))) if finding.code == "pickle-hidden"]
    assert (told.severity, told.message) == ("warning", "an array of Python objects, which is a pickle")


def test_a_sequence_is_bounded(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_SEQUENCE", 3)
    assert "extra-bytes" in codes(check(pickle.dumps([1]) * 9), "error")


def test_archives_in_archives_are_bounded(check: Check) -> None:
    data = rezipped(torch_bytes(STATE), data_pickle(EVIL))
    for _ in range(12):
        data = zip_bytes([("inner.pt", data)])
    found = check(data)
    assert "limit" in codes(found, "error")


def test_a_folder_is_looked_through_whatever_its_files_are_called(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "pytorch_model.bin")
    (tmp_path / "optimizer.pt").write_bytes(EVIL)
    (tmp_path / "README").write_bytes(b"text")
    found = check_source(tmp_path)
    assert [(f.code, f.name) for f in found if f.severity == "danger"] == [("pickle-danger", "optimizer.pt")]
    assert found[0].path == str(tmp_path / "optimizer.pt")


def test_shards_are_looked_into_even_if_the_index_is_broken(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "pytorch_model-1.bin"}}')
    (tmp_path / "pytorch_model-1.bin").write_bytes(EVIL)
    for source in (tmp_path, tmp_path / "pytorch_model.bin.index.json"):
        assert "pickle-danger" in codes(check_source(source))


def test_a_missing_shard(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')
    assert codes(check_source(tmp_path), "error") == {"missing-file"}


@pytest.mark.parametrize("name", ["nothing", "."])
def test_nothing_to_check(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        check_source(tmp_path / name)


HEADS = st.sampled_from([b"", b"PK\3\4", b"\x80\x02", b"\x93NUMPY\1\0", bytes(257) + b"ustar", LEGACY[:60], OLD_EVIL])


@settings(max_examples=150)
@given(
    HEADS, st.binary(max_size=300), st.sampled_from([b"", zip_bytes([("a/data.pkl", b"N.")]), b"PK\5\6" + bytes(18)])
)
def test_any_bytes_have_findings_of_known_codes(head: bytes, data: bytes, tail: bytes) -> None:
    for finding in scan_part(Blob.from_bytes(head + data + tail), Place()):
        assert finding.code in CODES
        assert "\n" not in finding.message


@settings(max_examples=100)
@given(st.sampled_from(sorted(HONEST)), st.data())
def test_damaged_files_have_findings_or_none_but_no_other_exception(kind: str, data: st.DataObject) -> None:
    changed = bytearray(HONEST[kind]())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    for finding in scan_part(Blob.from_bytes(bytes(changed)), Place()):
        assert finding.code in CODES
