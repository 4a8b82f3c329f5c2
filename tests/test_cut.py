"""Files of every format that end too early: `list` and `check` say so in one line, wherever they were cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraminspect.formats.table import FORMATS
from tests.making.formats import SAMPLES
from tests.making.running import run_here

CUTS = {"1/3": lambda size: size // 3, "2/3": lambda size: size * 2 // 3, "9/10": lambda size: size * 9 // 10,
        "-1": lambda size: size - 1}  # fmt: skip

PICKLES = {"pickle", "joblib", "torch distributed part", "torch legacy"}
"""Of a pickle `check` says that it cannot be read to its end."""

OTHERS = {"joblib": "joblib.load would run it", "torch distributed part": "name the folder"}
"""What `list` advises where it reads nothing, whole or cut."""

FILES = sorted(set(SAMPLES) - {"sharded", "torch distributed"})


def cut(name: str, folder: Path, place: str) -> str:
    SAMPLES[name](folder / "model")
    data = (folder / "model").read_bytes()
    size = len(data.rstrip(b"\0"))  # zeros at the end fill something up, and are nothing of the model
    (folder / "cut").write_bytes(data[: CUTS[place](size)])
    return str(folder / "cut")


@pytest.mark.parametrize("place", CUTS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut(name: str, place: str, tmp_path: Path) -> None:
    file = cut(name, tmp_path, place)
    listed, checked = run_here("list", file), run_here("check", file, "-f", "tsv", "-c", "severity,code")
    error, _, hint = listed.stderr.splitlines()
    assert (listed.status, listed.stdout) == (2, "")
    assert error.startswith(f"error: {file}: ")
    assert OTHERS.get(name, "copied to its end") in hint
    codes = {"truncated", "pickle-broken"} if name in PICKLES else {"truncated"}
    assert checked.status == 1
    assert checked.stdout in {f"error\t{code}\n" for code in codes}


@pytest.mark.parametrize("place", CUTS)
@pytest.mark.parametrize(
    ("name", "file"), [("sharded", "model-00001-of-00002.safetensors"), ("torch distributed", "__0_0.distcp")]
)
def test_a_file_of_a_folder_that_was_cut(name: str, file: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    SAMPLES[name](folder)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: CUTS[place](len(data))])
    listed, checked = run_here("list", str(folder)), run_here("check", str(folder), "-f", "tsv", "-c", "severity,code")
    error, _, hint = listed.stderr.splitlines()
    assert (listed.status, listed.stdout, file in error) == (2, "", True)
    assert "copied to its end" in hint
    assert (checked.status, checked.stdout) == (1, "error\ttruncated\n")


def test_each_format_is_cut() -> None:
    assert {row.name for row in FORMATS} <= set(SAMPLES)
