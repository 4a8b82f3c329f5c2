"""Paths and URLs as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import FarError
from paraminspect.files.addresses import follow
from paraminspect.files.paths import base_name, file_url, folder_of, is_far, join, relative, shown


@pytest.mark.parametrize(
    ("path", "far"),
    [
        ("https://host/x", True),
        ("hf://org/name", True),
        ("S3://bucket/key", True),
        ("model.pt", False),
        ("a/b://c", False),
        ("module:callable", False),
        ("", False),
        ("-", False),
    ],
)
def test_what_is_far(path: str, far: bool) -> None:
    assert is_far(path) is far


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host/m.pt", "https://host/m.pt"),
        ("https://me:pw@host/m.pt", "https://***@host/m.pt"),
        ("https://token@host/m.pt", "https://***@host/m.pt"),
        ("https://host/m.pt?X-Amz-Signature=abc&b=c", "https://host/m.pt?***"),
        ("s3://key:secret@bucket/m.pt", "s3://***@bucket/m.pt"),
        ("s3://bucket/what?.pt", "s3://bucket/what?.pt"),
        ("hf://org/name@main/m.pt", "hf://org/name@main/m.pt"),
        ("HTTPS://me:pw@host/m.pt?a=b", "HTTPS://***@host/m.pt?***"),
        ("see 'https://a:b@h/?q=1' and http://c:d@h/", "see 'https://***@h/?***' and http://***@h/"),
        ("a file?", "a file?"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(st.characters(categories=("L", "N")), min_size=3), st.text(max_size=20))
def test_no_password_comes_through(secret: str, rest: str) -> None:
    assert f"u:{secret}9@" not in shown(f"https://u:{secret}9@host/{rest}")


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("https://host/m", "a.pt", "https://host/m/a.pt"),
        ("https://host/m/", "a b?.pt", "https://host/m/a%20b%3F.pt"),
        ("https://host/m?sig=1", "a.pt", "https://host/m/a.pt?sig=1"),
        ("hf://org/name@v1", "sub/a.pt", "hf://org/name@v1/sub/a.pt"),
        ("s3://bucket/m", "a?b.pt", "s3://bucket/m/a?b.pt"),
        ("folder", "a.pt", "folder/a.pt"),
    ],
)
def test_a_file_of_a_folder(folder: str, name: str, expected: str) -> None:
    assert join(folder, name) == expected
    assert relative(expected, folder) == name
    if folder != "https://host/m/":
        assert folder_of(join(folder, "x")) == folder


def test_the_last_part_is_shown_as_it_was_written() -> None:
    assert base_name("https://host/m/a%20b.pt?sig=1") == "a b.pt"
    assert base_name("s3://bucket/a%20b.pt") == "a%20b.pt"
    assert base_name("folder/a.pt") == "a.pt"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://u:SECRET@RET@host/m", "http://***@host/m"),
        ("http://u:S'ECRET@host/m?sig=a'SECRET", "http://***@host/m?***"),
        ('http://host/m?sig=a"SECRET SECRET', "http://host/m?***"),
        ("http://u:SECRET/RET@host/m", "http://***@host/m"),
        ("http://host:80/pkg@1.0/m", "http://host:80/pkg@1.0/m"),
        ("ftp://u:SECRET@host/m?SECRET", "ftp://***@host/m?***"),
        ("hf://org/name@rev/m?x", "hf://org/name@rev/m?x"),
        ("hf://u:SECRET@org/name", "hf://***@org/name"),
        ("see 'http://u:S'ECRET@host/m?a=SECRET'.", "see 'http://***@host/m?***'."),
    ],
)
def test_secrets_in_odd_places_are_masked(url: str, masked: str) -> None:
    assert shown(url) == masked


def test_a_redirect_is_judged_whatever_the_case_of_its_scheme() -> None:
    assert follow("http://h/a", "HTTPS://h2/x", "h").lower() == "https://h2/x"
    with pytest.raises(FarError, match="without TLS"):
        follow("HTTPS://h/a", "http://h2/x", "h")


def test_the_url_of_a_file_holds_nothing_that_ends_a_link(tmp_path: Path) -> None:
    odd = tmp_path / "a b\x1b\\é#?.pt"
    odd.write_bytes(b"")
    url = file_url(str(odd))
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(" \\\x1b")
    assert file_url(str(tmp_path / "absent")) == file_url("hf://a/b") == ""
