"""The zip reader, held against Python's zipfile and against archives that torch wrote."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats import zip_file as zip_directory
from paraminspect.formats.zip_file import MAX_INFLATED, ZipDirectory, read_zip_directory

# Where fields stand in an entry of the directory and in the end record, with their width.
FLAGS, METHOD, CRC = (8, "H"), (10, "H"), (16, "L")
COMPRESSED_SIZE, SIZE, NAME_LENGTH, HEADER_OFFSET = (20, "L"), (24, "L"), (28, "H"), (42, "L")
DISK, COUNT, DIRECTORY_SIZE, DIRECTORY_OFFSET = (4, "H"), (10, "H"), (12, "L"), (16, "L")

METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=3), st.integers(0, 40_000)),
)
COMMENTS = st.binary(max_size=40).filter(lambda comment: b"PK\5\6" not in comment)  # not for zipfile either
MEMBERS = st.lists(st.tuples(NAMES, CONTENTS, METHODS, st.booleans()), max_size=6)


def make_zip(members: Iterable[tuple[str, bytes, int, bool]], comment: bytes = b"") -> bytes:
    """An archive of (name, content, method, zip64), as zipfile writes it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Duplicate name"
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.comment = comment
            for name, content, method, zip64 in members:
                info = zipfile.ZipInfo(name)
                info.compress_type = method
                with archive.open(info, "w", force_zip64=zip64) as member:
                    member.write(content)
    return buffer.getvalue()


def stored(**members: bytes) -> bytes:
    return make_zip((name, content, zipfile.ZIP_STORED, False) for name, content in members.items())


def deflated(**members: bytes) -> bytes:
    return make_zip((name, content, zipfile.ZIP_DEFLATED, False) for name, content in members.items())


def read(data: bytes) -> ZipDirectory:
    return read_zip_directory(Blob.from_bytes(data))


def patch_end(data: bytes, field: tuple[int, str], value: int) -> bytes:
    return patch(data, data.rindex(b"PK\5\6"), field, value)


def patch_entry(data: bytes, field: tuple[int, str], value: int) -> bytes:
    """Change the first entry of the directory."""
    return patch(data, data.index(b"PK\1\2"), field, value)


def patch(data: bytes, record: int, field: tuple[int, str], value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + field[1], changed, record + field[0], value)
    return bytes(changed)


@given(MEMBERS, COMMENTS, st.randoms())
def test_what_zipfile_writes_we_read(members, comment, random):
    data = make_zip(members, comment)
    directory = read(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        wanted = {info.filename: info for info in archive.infolist()}
        assert list(directory.entries) == list(wanted)
        entries = list(directory.entries.values())
        random.shuffle(entries)  # headers are asked for in any order
        for entry in entries:
            info = wanted[entry.name]
            assert (entry.header_offset, entry.compressed_size, entry.size) == (
                info.header_offset,
                info.compress_size,
                info.file_size,
            )
            assert (entry.method, entry.crc, entry.encrypted) == (info.compress_type, info.CRC, False)
            content = archive.read(info)
            assert directory.read(entry) == content
            offset = directory.data_offset(entry)
            if entry.method == zipfile.ZIP_STORED:
                assert data[offset : offset + entry.size] == content


@given(CONTENTS, METHODS, st.integers(0, 100_000))
def test_prefix_of_a_member(content, method, length):
    directory = read(make_zip([("a", content, method, False)]))
    assert directory.read_prefix(directory.entries["a"], length) == content[:length]


@given(st.binary(max_size=300))
def test_any_bytes_give_a_directory_or_an_error(data):
    read_everything(data)


@given(st.binary(min_size=100, max_size=400), st.data())
def test_flipped_bits_give_a_directory_or_an_error(content, data):
    archive = bytearray(
        make_zip([("a", content, zipfile.ZIP_STORED, True), ("b/c", content * 9, zipfile.ZIP_DEFLATED, False)], b"hi")
    )
    for position in data.draw(st.lists(st.integers(0, len(archive) * 8 - 1), min_size=1, max_size=4)):
        archive[position // 8] ^= 1 << position % 8
    read_everything(bytes(archive))


def read_everything(data: bytes) -> None:
    message = ""
    try:
        directory = read(data)
        for entry in directory.entries.values():
            assert len(directory.read(entry)) == entry.size
    except ParamInspectError as error:
        message = str(error)
    assert "\n" not in message


def test_cut_anywhere_is_an_error():
    data = make_zip([("a", b"12345678", zipfile.ZIP_STORED, False), ("b", b"x" * 99, zipfile.ZIP_DEFLATED, True)])
    for size in range(len(data)):
        with pytest.raises(TruncatedError, match="the file ends before its zip directory") as caught:
            read(data[:size])
        assert "fetch" in caught.value.hint


def test_cut_in_the_archive_comment_is_read():
    data = make_zip([("a", b"1", zipfile.ZIP_STORED, False)], comment=b"a long comment")
    assert list(read(data[:-5]).entries) == ["a"]


def test_longest_comment():
    data = make_zip([("a", b"1", zipfile.ZIP_STORED, False)], comment=b"c" * 0xFFFF)
    assert list(read(data).entries) == ["a"]


def test_empty_archive():
    assert read(stored()).entries == {}


def test_zip64_directory(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 0)  # zipfile then moves every number but 0 to the zip64 records
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    data = make_zip([("first", b"12", zipfile.ZIP_STORED, True), ("second", b"3" * 99, zipfile.ZIP_DEFLATED, True)])
    assert b"PK\6\6" in data
    assert b"PK\6\7" in data
    assert patch_entry(data, SIZE, 0xFFFFFFFF) == data
    directory = read(data)
    assert [(entry.name, entry.size) for entry in directory.entries.values()] == [("first", 2), ("second", 99)]
    assert [directory.read(entry) for entry in directory.entries.values()] == [b"12", b"3" * 99]


@pytest.mark.parametrize(
    ("wide", "fields"),
    [((8, 8), (SIZE, COMPRESSED_SIZE)), ((0,), (HEADER_OFFSET,)), ((8, 0), (COMPRESSED_SIZE, HEADER_OFFSET))],
)
def test_zip64_extra_holds_only_what_is_too_wide(wide, fields):
    info = zipfile.ZipInfo("a")
    info.extra = struct.pack("<2H3s", 0xCAFE, 3, b"etc") + struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, b"12345678")
    data = buffer.getvalue()
    for field in fields:
        data = patch_entry(data, field, 0xFFFFFFFF)
    directory = read(data)
    assert directory.read(directory.entries["a"]) == b"12345678"


def test_zip64_locator_that_points_elsewhere(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    data = stored(a=b"1")
    data = patch(data, data.index(b"PK\6\7"), (8, "Q"), 3)
    with pytest.raises(MalformedError, match="no zip64 end record at byte 3"):
        read(data)


def test_huge_count_of_entries(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    data = stored(a=b"1")
    data = patch(data, data.index(b"PK\6\6"), (32, "Q"), 1 << 60)
    with pytest.raises(MalformedError, match="declares 1,152,921,504,606,846,976 entries, has 47 bytes"):
        read(data)


def test_more_entries_than_the_limit(monkeypatch):
    monkeypatch.setattr(zip_directory, "MAX_ZIP_ENTRIES", 1)
    assert len(read(stored(a=b"1")).entries) == 1
    with pytest.raises(LimitExceededError, match="2 entries in a zip archive; the limit is 1"):
        read(stored(a=b"1", b=b"2"))


def test_huge_directory(monkeypatch):
    monkeypatch.setattr(zip_directory, "MAX_ZIP_DIRECTORY", 40)
    with pytest.raises(LimitExceededError, match="47 bytes in a zip directory; the limit is 40"):
        read(stored(a=b"1"))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_count_of_entries(count):
    with pytest.raises(MalformedError, match="entries"):
        read(patch_end(stored(a=b"1", b=b"2"), COUNT, count))


def test_entry_past_the_directory():
    with pytest.raises(MalformedError, match="entry 0 of 1 in the zip directory is broken"):
        read(patch_entry(stored(a=b"1"), NAME_LENGTH, 2))


def test_directory_past_its_end_record():
    with pytest.raises(MalformedError, match="no zip directory of 48 bytes at byte 32,"):
        read(patch_end(stored(a=b"1"), DIRECTORY_SIZE, 48))


def test_directory_elsewhere():
    with pytest.raises(MalformedError, match="no zip directory of 40 bytes at byte 1,"):
        read(patch_end(patch_end(stored(a=b"1"), DIRECTORY_OFFSET, 1), DIRECTORY_SIZE, 40))


@pytest.mark.parametrize("count_limit", [zipfile.ZIP_FILECOUNT_LIMIT, 0], ids=["zip", "zip64"])
def test_archive_that_begins_elsewhere(monkeypatch, count_limit):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", count_limit)
    data = stored(a=b"1")
    with pytest.raises(MalformedError, match="the zip archive begins 7 bytes after the begin of the file"):
        read(b"#!/junk" + data)
    with pytest.raises(MalformedError, match="the zip archive begins 7 bytes before the begin of the file"):
        read(data[7:])


def test_archive_of_several_files():
    with pytest.raises(MalformedError, match="several files"):
        read(patch_end(stored(a=b"1"), DISK, 1))


def test_part_of_a_blob():
    data = stored(a=b"12345678")
    blob = Blob.from_bytes(b"before" + data + b"behind").part(6, len(data))
    directory = read_zip_directory(blob)
    entry = directory.entries["a"]
    assert directory.data_offset(entry) == data.index(b"12345678")
    assert directory.read(entry) == b"12345678"


def test_two_entries_of_one_name():
    data = make_zip((name, content, 0, False) for name, content in [("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"4")])
    directory = read(data)
    assert directory.read(directory.entries["a"]) == b"4"
    assert directory.duplicates == ("a",)
    assert [directory.read(entry) for entry in directory.shadowed] == [b"1", b"3"]


def test_names_that_are_not_utf8():
    data = stored(abc=b"1").replace(b"abc", b"\x81bc")
    assert list(read(data).entries) == ["übc"]


def test_name_that_leads_out_is_only_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = read(make_zip([("../../evil", b"1", zipfile.ZIP_STORED, False)]))
    assert directory.read(directory.entries["../../evil"]) == b"1"
    assert not list(tmp_path.iterdir())


def test_error_quotes_an_evil_name_in_one_line():
    data = make_zip([("\x1b[31m\n" + "x" * 5000, b"1", zipfile.ZIP_STORED, False)])
    directory = read(patch_entry(data, CRC, 7))
    with pytest.raises(MalformedError) as caught:
        directory.read(next(iter(directory.entries.values())))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


LYING = {
    "header outside": (HEADER_OFFSET, 0x7FFFFFFF, "declared at byte 2,147,483,647 of an archive"),
    "header elsewhere": (HEADER_OFFSET, 1, "no zip header of 'a' at byte 1"),
    "huge in the file": (COMPRESSED_SIZE, 0xFFFFFFF0, "past the begin of the zip directory"),
    "one byte into the directory": (COMPRESSED_SIZE, 9, "past the begin of the zip directory"),
    "zip64 without its extra field": (COMPRESSED_SIZE, 0xFFFFFFFF, "declares 4,294,967,295 bytes"),
    "short in the file": (COMPRESSED_SIZE, 7, "declares 8 bytes and 7 in the file"),
    "larger than in the file": (SIZE, 9, "declares 9 bytes and 8 in the file"),
    "encrypted": (FLAGS, 1, "'a' is encrypted"),
    "strongly encrypted": (FLAGS, 0x40, "'a' is encrypted"),
    "unknown method": (METHOD, 99, "compressed by method 99"),
    "crc": (CRC, 1, "has CRC 9ae0daaf, declared 00000001"),
    "stored, said to be deflated": (METHOD, 8, "not deflated data"),
}


@pytest.mark.parametrize("case", LYING)
def test_lying_entry_spoils_only_itself(case):
    field, value, message = LYING[case]
    data = make_zip([("good", b"1", 0, False), ("a", b"12345678", 0, False)])
    data = patch(data, data.rindex(b"PK\1\2"), field, value)
    directory = read(data)
    assert directory.read(directory.entries["good"]) == b"1"
    with pytest.raises(MalformedError, match=message):
        directory.read(directory.entries["a"])


@pytest.mark.parametrize("case", ["header outside", "header elsewhere", "huge in the file", "short in the file"])
def test_lying_entry_has_no_data_offset(case):
    field, value, message = LYING[case]
    directory = read(patch_entry(stored(a=b"12345678"), field, value))
    with pytest.raises(MalformedError, match=message):
        directory.data_offset(directory.entries["a"])


@pytest.mark.parametrize("size", [99, 101])
def test_wrong_size_of_a_deflated_member(size):
    directory = read(patch_entry(deflated(a=b"x" * 100), SIZE, size))
    with pytest.raises(MalformedError, match=f"declares {size} bytes, holds {'more' if size == 99 else 100}"):
        directory.read(directory.entries["a"])


def test_crc_zero_means_not_computed():
    directory = read(patch_entry(stored(a=b"12345678"), CRC, 0))
    assert directory.read(directory.entries["a"]) == b"12345678"


def test_declared_size_past_the_limit():
    directory = read(patch_entry(deflated(a=b"x" * 100), SIZE, MAX_INFLATED + 1))
    with pytest.raises(LimitExceededError) as caught:
        directory.read(directory.entries["a"])
    assert (caught.value.limit, caught.value.actual) == (MAX_INFLATED, MAX_INFLATED + 1)
    with pytest.raises(LimitExceededError, match="100 bytes in 'a'; the limit is 99"):
        directory.read(read(deflated(a=b"x" * 100)).entries["a"], limit=99)


def test_bomb_is_not_inflated():
    directory = read(patch_entry(deflated(a=bytes(64 << 20)), SIZE, 100))
    tracemalloc.start()
    with pytest.raises(MalformedError, match="declares 100 bytes, holds more"):
        directory.read(directory.entries["a"])
    assert len(directory.read_prefix(directory.entries["a"], 1 << 20)) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_large_member_is_inflated_without_a_second_copy():
    directory = read(deflated(a=bytes(32 << 20)))
    tracemalloc.start()
    content = directory.read(directory.entries["a"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(content) == 32 << 20
    assert peak < 50 << 20


def test_chain_of_empty_blocks_is_not_followed():
    empty_blocks = b"\0\0\0\xff\xff" * 100_000
    content = b"hello"
    data = stored(a=empty_blocks + zlib.compress(content, wbits=-15))
    data = patch_entry(patch_entry(data, METHOD, 8), SIZE, len(content))
    directory = read(patch_entry(data, CRC, zlib.crc32(content)))
    assert directory.read_prefix(directory.entries["a"], 5) == b""
    with pytest.raises(MalformedError, match="declares 5 bytes, holds 0"):
        directory.read(directory.entries["a"])


def test_torch_archive(tmp_path: Path):
    import torch

    state = {"w": torch.arange(6.0), "b": torch.arange(3)}
    torch.save(state, tmp_path / "net.pt")
    directory = read((tmp_path / "net.pt").read_bytes())
    assert {"net/data.pkl", "net/version", "net/byteorder", "net/data/0"} <= directory.entries.keys()
    for index, tensor in enumerate(state.values()):
        entry = directory.entries[f"net/data/{index}"]
        assert directory.data_offset(entry) % 64 == 0
        assert directory.read(entry) == tensor.numpy().tobytes()


def test_torch_archive_without_crc(tmp_path: Path):
    import torch
    from torch.serialization import get_crc32_options, set_crc32_options

    before = get_crc32_options()
    set_crc32_options(False)
    try:
        torch.save({"w": torch.arange(6.0)}, tmp_path / "net.pt")
    finally:
        set_crc32_options(before)
    directory = read((tmp_path / "net.pt").read_bytes())
    assert directory.read(directory.entries["net/data/0"]) == torch.arange(6.0).numpy().tobytes()
