"""Files that are compressed as a whole, as joblib writes them, and archives of TorchServe."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable

import pytest
import torch

from paraminspect.checks import compressed
from paraminspect.checks.container import Place
from paraminspect.files.blob import Blob
from paraminspect.limits import Bound
from paraminspect.summaries import Finding
from tests.making.formats import JOBLIB
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes

Check = Callable[..., list[Finding]]
EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."


def frame(data: bytes) -> bytes:
    """LZ4 of blocks that are not compressed."""
    blocks = [data[at : at + (1 << 18)] for at in range(0, len(data), 1 << 18)]
    return (
        b"\x04\x22\x4d\x18\x60\x50\xfb"
        + b"".join((len(each) | 1 << 31).to_bytes(4, "little") + each for each in blocks)
        + bytes(4)
    )


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 3),
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=3),
    "lz4": frame,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_inside_is_judged(check: Check, way: str) -> None:
    assert check(WAYS[way](JOBLIB)) == []
    (found,) = check(WAYS[way](EVIL))
    assert (found.code, found.name) == ("pickle-danger", "content")


@pytest.mark.parametrize("way", WAYS)
def test_damage(check: Check, way: str) -> None:
    whole = WAYS[way](JOBLIB * 9)
    assert {"malformed"} == {each.code for each in check(whole[: len(whole) // 2])}


@pytest.mark.parametrize("way", ["zlib", "gzip", "xz", "lz4"])  # others give nothing of a cut block
def test_what_comes_before_damage_is_judged(check: Check, way: str) -> None:
    whole = WAYS[way](EVIL + random.Random(1).randbytes(1 << 20))
    assert {"malformed", "pickle-danger"} == {each.code for each in check(whole[: len(whole) * 4 // 5])}


@pytest.mark.parametrize("way", WAYS)
def test_content_that_is_too_long_is_looked_at_as_far_as_it_fits(
    check: Check, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MEMBERS", Bound("bytes", 300_000, 0))
    found = {each.code: each.severity for each in check(WAYS[way](EVIL + bytes(1 << 20)))}
    assert found == {"pickle-danger": "danger", "limit": "error"}


@pytest.mark.parametrize("way", WAYS)
def test_streams_one_behind_the_other_are_one_content(check: Check, way: str) -> None:
    half = len(EVIL) // 2
    both = WAYS[way](EVIL[:half]) + WAYS[way](EVIL[half:])
    assert {"pickle-danger"} == {each.code for each in check(both)}


@pytest.mark.parametrize("way", WAYS)
def test_bytes_behind_what_is_compressed(check: Check, way: str) -> None:
    assert {"extra-bytes"} == {each.code for each in check(WAYS[way](JOBLIB) + b"behind")}


def test_what_cannot_be_unpacked_does_not_pass(check: Check) -> None:
    (found,) = check(b"\x28\xb5\x2f\xfd" + bytes(20))
    assert (found.severity, found.code) == ("error", "unchecked-content")
    assert found.message.startswith("compressed with zstd")


@pytest.mark.parametrize("member", ["model.pt", "extra/weights.bin", "handler.pkl"])
def test_an_archive_of_torchserve_is_looked_into(check: Check, member: str) -> None:
    manifest = {"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"import os\n"}
    assert check(zip_bytes(manifest | {"model.pt": torch_bytes({"w": torch.ones(2)})})) == []
    assert "pickle-danger" in {each.code for each in check(zip_bytes(manifest | {member: EVIL}))}


def test_a_stream_does_not_read_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read, done = Blob.read_up_to, 0

    def count(self: Blob, offset: int, length: int) -> bytes:
        nonlocal done
        data = read(self, offset, length)
        done += len(data)
        return data

    monkeypatch.setattr(Blob, "read_up_to", count)
    streams = gzip.compress(b"") * 2000
    assert not list(compressed.scan_compressed(Blob.from_bytes(streams), Place()))
    assert done < 2000 * 5000
