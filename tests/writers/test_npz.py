"""npz files, read by numpy."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.writers.layout import OutTensor
from paraminspect.writers.npz import DESCRIPTIONS, plan_npz

NAMES = st.text(st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]), max_size=8)
TENSORS = st.lists(
    st.builds(
        OutTensor,
        NAMES.filter(lambda name: not name.endswith(".npy")),
        st.sampled_from(sorted(DESCRIPTIONS)),
        st.lists(st.integers(0, 4), max_size=3).map(tuple),
        st.just(()),
        st.just(False),
    ),
    max_size=5,
    unique_by=lambda tensor: tensor.name,
)


@given(tensors=TENSORS)
def test_what_is_written_is_read_by_numpy(tensors: list[OutTensor], values: Any, write: Any) -> None:
    due = values(tensors)
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.npz")
        write(plan_npz(tensors), path, due)
        with np.load(path, allow_pickle=False) as loaded, zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert sorted(loaded.files) == sorted(each.name for each in tensors)
            for tensor, data in zip(tensors, due, strict=True):
                array = loaded[tensor.name]
                assert (str(array.dtype), array.shape, array.tobytes()) == (tensor.dtype, tensor.shape, data)
        if tensors:
            assert [each.name for each in open_source(path).tensors] == [each.name for each in tensors]


def test_data_are_aligned(tmp_path: Path, values: Any, write: Any) -> None:
    tensors = [OutTensor("a" * length, "float32", (5,)) for length in range(1, 9)]
    write(plan_npz(tensors), tmp_path / "m.npz", values(tensors))
    for record in open_source(tmp_path / "m.npz").tensors:
        assert record.storage is not None
        assert record.storage.begin is not None
        assert record.storage.begin % 64 == 0


@pytest.mark.parametrize("name", ["a\0b", "x" * 66_000])
def test_names_that_no_zip_holds(name: str) -> None:
    with pytest.raises(ParamInspectError, match="cannot hold a tensor named"):
        plan_npz([OutTensor(name, "float32", ())])


def test_names_that_numpy_takes_for_each_other() -> None:
    with pytest.raises(ParamInspectError, match=r"cannot tell 'a\.npy' from 'a'"):
        plan_npz([OutTensor("a.npy", "float32", ()), OutTensor("a", "float32", ())])


def test_types_that_numpy_lacks() -> None:
    with pytest.raises(ParamInspectError, match="no dtype bfloat16, which 'a' has"):
        plan_npz([OutTensor("a", "bfloat16", ())])
