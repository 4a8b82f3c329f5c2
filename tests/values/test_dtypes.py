"""What numpy calls torch's types, held against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paraminspect.formats.dtypes import BITS
from paraminspect.values.dtypes import is_floating, is_foreign, numpy_dtype


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
