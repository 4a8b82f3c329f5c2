"""`list` and `check` take a file for the same, whatever it begins with and whatever it is called."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from paraminspect.formats.table import FORMATS, Format
from tests.making.formats import SAMPLES

Run = Callable[..., tuple[int, str, str]]


def check(run: Run, path: Path) -> dict[str, str]:
    """Codes and messages."""
    findings = json.loads(run("check", str(path), "-f", "json")[1])["findings"]
    return {finding["code"]: finding["message"] for finding in findings}


def test_there_is_a_sample_of_every_format() -> None:
    assert set(SAMPLES) == {row.name for row in FORMATS}


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
@pytest.mark.parametrize("ending", [".pt", ".html"])
def test_every_format(run: Run, tmp_path: Path, row: Format, ending: str) -> None:
    path = tmp_path / f"model{ending}"
    SAMPLES[row.name](path)
    status, stdout, stderr = run("list", str(path), "-f", "json", "--all")
    found = check(run, path)
    if row.what:
        assert status == 2
        assert f"the file is {row.what}" in stderr
        assert f"hint: {row.hint}" in stderr
        assert found == {}  # judged like any other, though nothing of it is listed
    else:
        assert json.loads(stdout)["format"] == {"sharded": "sharded safetensors", "packed": "torch zip"}.get(
            row.name, row.name
        )
        assert len(json.loads(stdout)["tensors"]) == (2 if row.name == "sharded" else 1)
        assert (status, found) == (0, {"remark": "read from its member 'model.ckpt'"} if row.name == "packed" else {})


@pytest.mark.parametrize("ending", sorted({ending for row in FORMATS for ending in row.endings} - {".index.json"}))
def test_check_judges_a_file_of_every_ending(run: Run, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"model{ending}"
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.")
    assert "pickle-danger" in check(run, path)


@pytest.mark.parametrize("length", [59, 63, 66, 67, 71, 86, 99, 120, 128, 130, 640, 0x8228, 0x10080, 70_000])
def test_a_header_of_any_length(run: Run, tmp_path: Path, length: int) -> None:
    """0x80 and 2 begin a pickle, `c`, `(`, `V`, `B`, `G` are its opcodes, 0x28 0x82 name an extension."""
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + header.ljust(length) + bytes(8))
    status, stdout, _ = run("list", str(path), "-f", "json")
    assert (status, json.loads(stdout)["format"]) == (0, "safetensors")
    assert check(run, path) == {}
