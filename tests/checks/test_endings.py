"""A gate that chooses files by the table of formats gets an answer for each: good ones pass, and hidden pickles are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from paraminspect.checks.check import check_source
from paraminspect.errors import CheckpointError
from paraminspect.formats import open_source
from paraminspect.formats.table import DISTRIBUTED_PART, FORMATS, SHARDS
from tests.making.formats import SAMPLES, make_distributed
from tests.making.zips import zip_bytes

EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."
NAMES = [(row.name, f"a{ending}") for row in FORMATS if row is not SHARDS for ending in row.endings]
NAMES += [(row.name, name) for row in FORMATS for name in row.names]


def make(row: str, path: Path) -> None:
    """A file of a format; of a folder, the one that is called so."""
    SAMPLES[row](path)
    if path.is_dir():
        kept = path.with_name("folder")
        path.rename(kept)
        (part,) = (
            each for each in kept.iterdir() if each.suffix == path.suffix and each.name[:1] in {"_", path.name[:1]}
        )
        shutil.copy(part, path)


@pytest.mark.parametrize(("row", "name"), NAMES)
def test_a_good_file_passes(row: str, name: str, tmp_path: Path) -> None:
    make(row, tmp_path / name)
    found = check_source(tmp_path / name, deep=True)
    assert [each for each in found if each.severity != "info" and each.code != "norm-untouched"] == []


@pytest.mark.parametrize(("row", "name"), NAMES)
def test_a_payload_under_that_name_is_found(row: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(EVIL)
    assert [each.severity for each in check_source(path)][:1] == ["danger"]
    path.write_bytes(zip_bytes({"archive/data.pkl": EVIL}))
    assert [each.severity for each in check_source(path)][:1] == ["danger"]


def test_a_payload_in_one_of_many_pieces(tmp_path: Path) -> None:
    path = tmp_path / "__0_0.distcp"
    good, evil = zip_bytes({"archive/data.pkl": b"N."}), zip_bytes({"archive/data.pkl": EVIL})
    for pieces in ([good, evil], [evil, good], [good, evil, good]):
        path.write_bytes(b"".join(pieces))
        assert [each.code for each in check_source(path)] == ["pickle-danger"]
    path.write_bytes(b"something" + good + good)
    assert {each.code for each in check_source(path)} == {"polyglot", "unknown-format"}


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata"])
def test_a_part_of_a_folder_says_so(name: str, tmp_path: Path) -> None:
    make_distributed(tmp_path / "folder", a=torch.ones(2), b=torch.ones(3))
    path = tmp_path / "folder" / name
    with pytest.raises(CheckpointError, match="a part of a checkpoint") as caught:
        open_source(path)
    assert caught.value.hint == DISTRIBUTED_PART.hint == "name the folder"
    assert check_source(path) == []
