"""Small files that ask for as much as they can give records or an error, and spend no more than a run may."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from fuzz.budget import measure
from fuzz.hostile import FILES, MOST, SPECS, Made
from paraminspect.checks.container import Place, scan_part
from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import open_blob
from paraminspect.formats.source import open_source
from paraminspect.limits import SHARED, one_effort

QUICK = [
    "many.safetensors", "dotted.safetensors", "wide.safetensors", "declared.safetensors", "brackets.safetensors",
    "digits.safetensors", "zero_stride.pt", "windows.pt", "doubled.pt", "doubled_some.pt", "longs.pt", "decimals.pt",
    "row.pkl", "mixed_row.pkl", "in_strings.pt", "joblib.pkl", "zips_row.zip", "comments.zip", "deep.npy",
    "nothing.npy", "dims.npy", "deep.gguf", "texts.gguf", "same.gguf", "graphs.onnx", "index", "config",
]  # fmt: skip
"""That are made and read in a moment."""


def write(folder: Path, name: str, made: Made) -> Path:
    path = folder / name
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        path.mkdir()
        for part, data in made.items():
            (path / part).write_bytes(data)
    return path


@pytest.mark.parametrize("name", QUICK)
def test_what_it_asks_for_is_bounded(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, FILES[name]())
    assert sum(each.stat().st_size for each in [path, *path.rglob("*")]) < 2 * MOST
    with one_effort() as run:
        with contextlib.suppress(ParamInspectError):
            open_source(path)
        if path.is_file():
            scan_part(open_blob(str(path)), Place())
        assert all(run.spent(bound) <= run.limit(bound) for bound in SHARED)
        assert 0 < run.nbytes < 2 * MOST


def test_names_of_hostile_files_are_those_of_one_table() -> None:
    assert not FILES.keys() & SPECS.keys()
    assert set(QUICK) <= FILES.keys()


def test_what_a_command_takes_is_measured(tmp_path: Path) -> None:
    write(tmp_path, "many.gguf", FILES["deep.gguf"]())
    taken = measure(["list", "many.gguf"], tmp_path)
    assert (taken.status, taken.said) == (2, "error: many.gguf: more than 400 levels of arrays; the limit is 400")
    assert taken.seconds > 0
    assert taken.megabytes > 5
