"""Tensors of files that the user named, held against what was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from paraminspect.errors import ParamInspectError
from paraminspect.live.build import input_files
from paraminspect.live.build.input_files import read_tensors

VALUES = {"x": torch.arange(6.0).reshape(2, 3), "y": torch.tensor([1, -2])}


def save_npz(path: Path) -> None:
    np.savez(path, **{name: each.numpy() for name, each in VALUES.items()})  # type: ignore[arg-type]


def save_deflated(path: Path) -> None:
    np.savez_compressed(path, **{name: each.numpy() for name, each in VALUES.items()})  # type: ignore[arg-type]


def save_big_endian(path: Path) -> None:
    np.savez(path, **{name: (a := each.numpy()).astype(a.dtype.newbyteorder(">")) for name, each in VALUES.items()})  # type: ignore[arg-type]


def save_json(path: Path) -> None:
    path.write_text(json.dumps({name: each.tolist() for name, each in VALUES.items()}))


SAVE: dict[str, Any] = {
    "m.npz": save_npz, "deflated.npz": save_deflated, "big.npz": save_big_endian, "m.json": save_json,
    "m.pt": lambda path: torch.save(VALUES, path), "m.safetensors": lambda path: save_file(VALUES, path),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVE)
def test_what_was_saved_is_read_whatever_the_format(tmp_path: Path, name: str) -> None:
    SAVE[name](tmp_path / name)
    found = read_tensors(str(tmp_path / name))
    assert set(found) == set(VALUES)
    for key, due in VALUES.items():
        assert found[key].dtype == due.dtype
        assert torch.equal(found[key], due)


def test_one_array_has_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 2), np.float32))
    assert {name: each.tolist() for name, each in read_tensors(str(tmp_path / "x.npy")).items()} == {
        "": [[1, 1], [1, 1]]
    }


@pytest.mark.parametrize(
    ("text", "dtype", "shape"),
    [("[1, 2]", torch.int64, (2,)), ("[[1, 2.5]]", torch.float32, (1, 2)), ("[true]", torch.bool, (1,)), (" []", torch.float32, (0,))],
)  # fmt: skip
def test_numbers_of_json(tmp_path: Path, text: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    (tmp_path / "x").write_text(text)
    (found,) = read_tensors(str(tmp_path / "x")).values()
    assert (found.dtype, tuple(found.shape)) == (dtype, shape)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1, 2", "not JSON"), (b"[" * 100_000, "not JSON"), (b'{"x": "text"}', "x: a str; expected a list"),
        (b"[[1, 2], [3]]", "no tensor"), (b'{"x": [1, null]}', "x: no tensor"), (b"{}", "no tensor in it"),
        (b'["a"]', "no tensor"), (b"[99999999999999999999999]", "no tensor"), (b"plain text", "not|no known|unknown"), (None, "[Nn]o such file"),
    ],
)  # fmt: skip
def test_files_that_hold_no_tensor_are_named(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "x"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ParamInspectError, match=message) as caught:
        read_tensors(str(path))
    assert str(path) in f"{caught.value.source} {caught.value}"


@pytest.mark.parametrize("name", ["m.json", "m.pt"])
def test_how_many_is_bounded(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SAVE[name](tmp_path / name)
    monkeypatch.setattr(input_files, "MAX_TENSORS", 1)
    with pytest.raises(ParamInspectError, match="2 tensors; the limit is 1"):
        read_tensors(str(tmp_path / name))


def test_how_large_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SAVE["m.pt"](tmp_path / "m.pt")
    monkeypatch.setattr(input_files, "MAX_INPUT_NUMEL", 5)
    with pytest.raises(ParamInspectError, match="x: 6 elements; the limit is 5"):
        read_tensors(str(tmp_path / "m.pt"))
    monkeypatch.setattr(input_files, "MAX_JSON_BYTES", 5)
    (tmp_path / "x").write_text("[1, 2, 3]")
    with pytest.raises(ParamInspectError, match="more than 5 bytes"):
        read_tensors(str(tmp_path / "x"))
