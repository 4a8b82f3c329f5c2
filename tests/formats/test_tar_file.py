"""Tar headers, held against `tarfile`."""

from __future__ import annotations

import io
import tarfile

import pytest

from paraminspect.errors import LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.tar_file import MAX_LONG, content_of, expect_end, list_members
from tests.making.tars import packed_bytes

FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "folder/" * 20 + "file"


def archive(form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as writer:
        for name, size in (("a", 0), ("./b", 1), (LONG, 512), ("ключ", 513), ("last", 3)):
            info = tarfile.TarInfo(name)
            info.size = size
            writer.addfile(info, io.BytesIO(bytes(size)))
        for kind, name in ((tarfile.DIRTYPE, "folder"), (tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a/" * 45 if kind != tarfile.DIRTYPE else ""
            writer.addfile(info)
    return stream.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_as_tarfile_has_them(form: int) -> None:
    data = archive(form)
    with tarfile.open(fileobj=io.BytesIO(data)) as reader:
        told = [(each.name, each.size, each.offset_data, each.linkname, each.isfile()) for each in reader]
    found = [
        (each.name.rstrip("/"), each.size, each.begin, each.target.rstrip("/"), each.is_file)
        for each in list_members(Blob.from_bytes(data))
    ]
    assert found == [(name, size, begin, target.rstrip("/"), is_file) for name, size, begin, target, is_file in told]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_size_of_more_than_eight_gib(form: int) -> None:
    info = tarfile.TarInfo("big")
    info.size = 9 << 30
    (member,) = list_members(Blob.from_bytes(info.tobuf(form)))
    assert (member.name, member.size) == ("big", 9 << 30)


def test_a_link_that_tells_a_size_has_no_content() -> None:
    link = tarfile.TarInfo("link")
    link.type, link.size = tarfile.SYMTYPE, 512
    data = link.tobuf() + tarfile.TarInfo("behind").tobuf() + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data)) as reader:
        names = reader.getnames()
    assert [each.name for each in list_members(Blob.from_bytes(data))] == names == ["link", "behind"]


def test_what_general_records_say_holds_of_all_that_follow() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "one"}) as writer:
        writer.addfile(tarfile.TarInfo("a"))
        writer.addfile(tarfile.TarInfo("b"))
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as reader:
        names = reader.getnames()
    assert [each.name for each in list_members(Blob.from_bytes(stream.getvalue()))] == names


def test_limits_and_damage() -> None:
    data = archive(tarfile.USTAR_FORMAT)
    with pytest.raises(LimitExceededError, match="members in a tar"):
        list(list_members(Blob.from_bytes(data), 2))
    long = tarfile.TarInfo("long")
    long.type, long.size = b"L", MAX_LONG + 1
    with pytest.raises(LimitExceededError, match="a name in a tar"):
        list(list_members(Blob.from_bytes(long.tobuf())))
    with pytest.raises(MalformedError, match="has no size"):
        list(list_members(Blob.from_bytes(data[:124] + b"99999999999\0" + data[136:])))


@pytest.mark.parametrize("length", [1, 100, 511])
def test_cut_inside_a_header(length: int) -> None:
    data = packed_bytes({"a": b"x" * 600, "b": b"y"}, tarfile.USTAR_FORMAT)
    with pytest.raises(TruncatedError, match="inside a tar header"):
        list(list_members(Blob.from_bytes(data[: 512 + 1024 + length])))


def test_cut_between_a_long_name_and_its_member() -> None:
    data = packed_bytes({"n" * 200: b"x"}, tarfile.GNU_FORMAT)
    assert len(list(list_members(Blob.from_bytes(data)))) == 1
    with pytest.raises(TruncatedError, match="inside a tar header"):
        list(list_members(Blob.from_bytes(data[:1024])))


def test_cut_inside_a_member() -> None:
    blob = Blob.from_bytes(packed_bytes({"a": b"x" * 600}, tarfile.USTAR_FORMAT)[:1000])
    (member,) = list_members(blob)
    with pytest.raises(TruncatedError, match="ends at byte 1,000, 112 bytes before the end of its member 'a'"):
        content_of(blob, member)


def test_what_is_missed_may_have_been_cut_off() -> None:
    data = packed_bytes({"a": b"x" * 600}, tarfile.USTAR_FORMAT)
    expect_end(Blob.from_bytes(data), "b")
    with pytest.raises(TruncatedError, match="ends at byte 1,536, before b"):
        expect_end(Blob.from_bytes(data[:1536]), "b")
