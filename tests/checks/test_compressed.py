"""Files that are compressed as a whole, as joblib writes them, and archives of TorchServe."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable

import pytest
import torch

from paraminspect.checks import compressed
from paraminspect.records import Finding
from tests.making.formats import JOBLIB
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes

Check = Callable[..., list[Finding]]
EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."

WAYS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 3),
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=3),
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


@pytest.mark.parametrize("way", WAYS)
def test_content_that_is_too_long_is_looked_at_as_far_as_it_fits(
    check: Check, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MAX_INFLATED", 100_000)
    found = {each.code: each.severity for each in check(WAYS[way](EVIL + bytes(1 << 20)))}
    assert found == {"pickle-danger": "danger", "limit": "warning"}


def test_bytes_behind_what_is_compressed(check: Check) -> None:
    assert "limit" in {each.code for each in check(gzip.compress(JOBLIB) + gzip.compress(EVIL))}


@pytest.mark.parametrize("member", ["model.pt", "extra/weights.bin", "handler.pkl"])
def test_an_archive_of_torchserve_is_looked_into(check: Check, member: str) -> None:
    manifest = {"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"import os\n"}
    assert check(zip_bytes(manifest | {"model.pt": torch_bytes({"w": torch.ones(2)})})) == []
    assert "pickle-danger" in {each.code for each in check(zip_bytes(manifest | {member: EVIL}))}
