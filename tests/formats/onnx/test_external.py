"""External data of ONNX: files beside the model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from paraminspect.checks.check import check_source
from paraminspect.errors import (
    CheckpointError,
    MalformedError,
    TruncatedError,
)
from paraminspect.formats.source import open_source
from paraminspect.limits import one_effort
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.values.read import read_tensor
from tests.making.onnx_files import (
    floats,
    model,
    read,
    same,
)


def external(tmp_path: Path, *tensors: onnx.TensorProto, **more: Any) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save_model(model(*tensors), path, save_as_external_data=True, size_threshold=0, location="model.data", **more)
    return path


def test_external_data_is_read(tmp_path: Path) -> None:
    path = external(tmp_path, floats("a", 3, 4), floats("b", 5))
    checkpoint = open_source(path)
    for record, tensor in zip(checkpoint.tensors, onnx.load(path).graph.initializer, strict=True):
        assert same(read_tensor(record), numpy_helper.to_array(tensor))
    assert checkpoint.files == (str(path), str(tmp_path / "model.data"))
    assert checkpoint.nbytes == path.stat().st_size + (tmp_path / "model.data").stat().st_size
    assert not [finding for finding in check_source(path, deep=True) if finding.severity != "info"]


def point(tensor: onnx.TensorProto, **entries: str) -> onnx.TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_tensors_at_one_place_of_a_file_are_tied(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(64))
    path = save(
        model(
            point(floats("a", 4), location="w.bin"),
            point(floats("b", 4), location="w.bin", offset="0", length="16"),
            point(floats("c", 4), location="w.bin", offset="8"),
        )
    )
    assert [(group.kind, group.names) for group in find_ties(open_source(path).tensors)] == [
        ("overlap", ("a", "b", "c"))
    ]
    found = [finding for finding in check_source(path) if finding.code == "overlap"]
    assert [(finding.name, finding.message) for finding in found] == [("c", "shares 8 bytes of external data with 'a'")]


def test_bytes_of_external_data_that_no_tensor_has_are_told(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(200_000))
    path = save(model(point(floats("a", 4), location="w.bin", offset="100000")))
    messages = [finding.message for finding in check_source(path)]
    assert "195 KiB of 'w.bin' that no tensor uses" in messages


OUTSIDE = ["../w.bin", "/etc/hostname", "", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "x\0y"]


@pytest.mark.parametrize("location", OUTSIDE)
def test_external_data_outside_of_the_folder_is_danger(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(16))
    path = folder / "model.onnx"
    path.write_bytes(model(point(floats("a", 4), location=location)).SerializeToString())
    with pytest.raises(MalformedError, match="outside of the model's folder"):
        open_source(path)
    (finding,) = check_source(path)
    assert (finding.code, finding.severity) == ("path-escape", "danger")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(model(point(floats("a", 4), location="w.bin")).SerializeToString())
    with pytest.raises(MalformedError, match="outside of the model's folder"):
        open_source(path)


def test_links_of_a_cache_are_followed(tmp_path: Path) -> None:
    """As the Hugging Face hub lays out its cache: model and data are links into one folder."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "1").write_bytes(model(point(floats("a", 4), location="w.bin")).SerializeToString())
    (blobs / "2").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (snapshot / "model.onnx").symlink_to(blobs / "1")
    (snapshot / "w.bin").symlink_to(blobs / "2")
    (record,) = open_source(snapshot / "model.onnx").tensors
    assert read_tensor(record).tolist() == [0, 1, 2, 3]


def test_a_missing_file_is_named(save: Callable[..., Path]) -> None:
    path = save(model(point(floats("a", 4), location="w.bin")))
    with pytest.raises(CheckpointError, match=r"the file 'w\.bin' with external data is missing"):
        open_source(path)
    assert [finding.code for finding in check_source(path)] == ["missing-file"]


def test_a_file_that_is_too_short_is_named(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(15))
    with pytest.raises(TruncatedError, match=r"'a' ends at byte 16 of 'w\.bin', which has 15"):
        open_source(save(model(point(floats("a", 4), location="w.bin"))))


@pytest.mark.parametrize(
    "entries",
    [{"length": "15"}, {"offset": "-1"}, {"offset": "1e3"}, {"offset": "9" * 30}, {"offset": str(2**63)}],
    ids=str,
)
def test_numbers_of_external_data_that_cannot_be(entries: dict[str, str], tmp_path: Path, save: Any) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(64))
    with pytest.raises(MalformedError):
        open_source(save(model(point(floats("a", 4), location="w.bin", **entries))))


def test_a_pipe_in_the_place_of_external_data_is_refused(tmp_path: Path, save: Callable[..., Path]) -> None:
    os.mkfifo(tmp_path / "w.bin")
    with pytest.raises(MalformedError, match="not a regular file"):
        open_source(save(model(point(floats("a", 4), location="w.bin"))))


def test_without_a_folder_external_data_is_listed_and_said() -> None:
    checkpoint = read(model(point(floats("a", 4), location="w.bin")))
    assert [record.storage for record in checkpoint.tensors] == [None]
    assert "values of 1 tensor lie in other files" in checkpoint.notes[0]


def test_more_than_two_gigabytes_of_external_data(tmp_path: Path, save: Callable[..., Path]) -> None:
    (tmp_path / "w.bin").touch()
    os.truncate(tmp_path / "w.bin", 9 << 28)  # sparse
    with open(tmp_path / "w.bin", "r+b") as file:
        file.seek((9 << 28) - 8)
        file.write(np.array([1.5, 2.5], np.float32).tobytes())
    tensor = onnx.TensorProto(name="big", dims=[9 << 26], data_type=1)
    with one_effort():
        (record,) = open_source(save(model(point(tensor, location="w.bin")))).tensors
        assert record.nbytes == 9 << 28
        assert read_tensor(record)[-2:].tolist() == [1.5, 2.5]
