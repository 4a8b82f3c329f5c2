"""What numpy calls torch's types, held against torch."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

from paraminspect.errors import CheckpointError
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.source import open_source
from paraminspect.values.dtypes import is_floating, is_foreign, numpy_dtype
from paraminspect.values.read import read_tensor
from tests.making.safetensors_files import raw_safetensors


@pytest.mark.parametrize("name", BITS)
def test_a_type_has_the_size_and_kind_of_torch(name: str) -> None:
    dtype, torchs = numpy_dtype(name), getattr(torch, name, None)
    if dtype is None or torchs is None:
        return
    assert (dtype.name, dtype.itemsize) == (name, torchs.itemsize)
    assert is_floating(dtype) is torchs.is_floating_point
    assert bool((np.ones(2, dtype) == 1).all())


def test_every_plain_type_is_known_and_no_packed_one() -> None:
    plain = {name for name in BITS if not name.startswith(("q", "bits", "uint", "int")) and "_x2" not in name}
    assert {name for name in plain if numpy_dtype(name) is None} == {"complex32"}
    assert [name for name in ("qint8", "quint4x2", "q4_k", "float4_e2m1fn_x2", "int4", "") if numpy_dtype(name)] == []


def test_types_that_numpy_has_no_name_for() -> None:
    found = {name for name in BITS if (dtype := numpy_dtype(name)) is not None and is_foreign(dtype)}
    assert found == {name for name in BITS if name == "bfloat16" or name.startswith("float8_")}


@pytest.mark.parametrize(
    ("dtype", "named"),
    [
        ("bfloat16", "bfloat16 as |V2"),
        ("float8_e4m3fn", "float8, "),
        ("float6_e2m3fn", "float6, "),
        ("int4", "int4 as |V1"),
    ],
)
def test_what_numpy_has_no_name_for_is_told(tmp_path: Path, dtype: str, named: str) -> None:
    np.savez(tmp_path / "m.npz", a=np.ones(2, getattr(ml_dtypes, dtype)))
    (record,) = open_source(tmp_path / "m.npz").tensors
    with pytest.raises(CheckpointError, match="a: its type is not in the file: numpy writes") as caught:
        read_tensor(record)
    assert named in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("dtype", ["F6_E2M3", "F6_E3M2"])
def test_six_bits_of_safetensors_are_refused_by_name(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(raw_safetensors({"w": {"dtype": dtype, "shape": [2, 4], "data_offsets": [0, 6]}}, bytes(6)))
    with pytest.raises(CheckpointError, match=f"values of float{dtype[1:].lower()} cannot be decoded"):
        read_tensor(open_source(path).tensors[0])
