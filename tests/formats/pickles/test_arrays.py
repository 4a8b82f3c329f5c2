"""numpy arrays in files of torch.save and in plain pickles."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.errors import CheckpointError
from paraminspect.formats import open_source
from paraminspect.records import TensorRecord
from paraminspect.values.read import read_tensor

LONG = np.arange(5000.0)


def found(path: Path) -> list[tuple[str, Any, str, str]]:
    return [(each.name, each.shape, each.dtype, each.role) for each in open_source(path).tensors]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_an_array_beside_tensors_of_the_model_is_no_part_of_it(tmp_path: Path, protocol: int, *, legacy: bool) -> None:
    path = tmp_path / "m.pt"
    value = {"a": np.arange(3.0), "w": torch.ones(2), "long": LONG, "same": LONG, "n": np.float32(3)}
    torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    assert found(path) == [
        ("a", (3,), "float64", "state"),
        ("w", (2,), "float32", "model"),
        ("long", (5000,), "float64", "state"),
        ("same", (5000,), "float64", "state"),
    ]


def test_arrays_alone_are_the_model(tmp_path: Path) -> None:
    torch.save({"bn": {"running_mean": np.ones(2, "f4"), "weight": np.ones((2, 3), "f2")}}, tmp_path / "m.pt")
    assert [(each.name, each.role, each.kind) for each in open_source(tmp_path / "m.pt").tensors] == [
        ("bn.running_mean", "model", "buffer"),
        ("bn.weight", "model", "tensor"),
    ]


def test_random_states_stay_training_state(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "rng_state": {"numpy": np.random.get_state()}}, tmp_path / "m.pt")
    assert [each.role for each in open_source(tmp_path / "m.pt").tensors] == ["model", "state"]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("order", ["<f8", ">f8"])
def test_values_of_a_long_array_are_read_where_they_lie(tmp_path: Path, order: str, *, legacy: bool) -> None:
    array = np.asfortranarray(LONG.reshape(50, 100).astype(order))
    torch.save(
        {"a": array, "w": torch.ones(2)},
        tmp_path / "m.pt",
        pickle_protocol=4,
        _use_new_zipfile_serialization=not legacy,
    )
    tensor: TensorRecord = open_source(tmp_path / "m.pt").tensors[0]
    assert np.array_equal(read_tensor(tensor), array)


def test_an_array_in_a_compressed_pickle_has_no_place(tmp_path: Path) -> None:
    torch.save({"a": LONG, "w": torch.ones(2)}, tmp_path / "m.pt", pickle_protocol=4)
    with zipfile.ZipFile(tmp_path / "m.pt") as stored, zipfile.ZipFile(tmp_path / "z.pt", "w") as deflated:
        for name in stored.namelist():
            deflated.writestr(name, stored.read(name), zipfile.ZIP_DEFLATED)
    assert open_source(tmp_path / "z.pt").tensors[0].storage is None


def test_a_plain_pickle_of_both_is_all_model(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": LONG, "w": torch.ones(2)}, 4))
    assert [each.role for each in open_source(tmp_path / "m.pkl").tensors] == ["model", "model"]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("numel", [0, 1, 7, 5000])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", ">i2", "<c16", ">c8", "|u1", "?"])
def test_values_of_arrays_are_read_in_every_form(tmp_path: Path, dtype: str, numel: int, protocol: int) -> None:
    array = (np.arange(numel) % 251).astype(dtype).reshape(-1, 1)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": array}, protocol))
    torch.save({"a": array}, tmp_path / "m.pt", pickle_protocol=protocol)
    torch.save({"a": array}, tmp_path / "l.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    for name in ("m.pkl", "m.pt", "l.pt"):
        (tensor,) = open_source(tmp_path / name).tensors
        assert np.array_equal(read_tensor(tensor), array)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("numel", [1, 7, 5000])
def test_values_of_tensors_in_plain_pickles_are_read_in_every_form(tmp_path: Path, numel: int, protocol: int) -> None:
    whole = torch.arange(float(numel))
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": whole, "b": whole[numel // 2 :]}, protocol))
    for tensor, wanted in zip(open_source(tmp_path / "m.pkl").tensors, (whole, whole[numel // 2 :]), strict=True):
        assert np.array_equal(read_tensor(tensor), wanted.numpy())


def test_text_that_stands_for_no_bytes(tmp_path: Path) -> None:
    data = pickle.dumps({"a": LONG}, 2)
    at = data.index(b"_codecs\nencode")
    place = data.index("ð?".encode(), at)
    (tmp_path / "m.pkl").write_bytes(data[:place] + "\u20ac".encode() + data[place + 3 :])  # as many bytes of text
    tensor = open_source(tmp_path / "m.pkl").tensors[0]
    with pytest.raises(CheckpointError, match="no text of bytes"):
        read_tensor(tensor)
