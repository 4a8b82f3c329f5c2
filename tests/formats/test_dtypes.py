"""Names and sizes of element types, held against torch."""

from __future__ import annotations

import warnings

import pytest
import torch

from paraminspect.formats.dtypes import BITS, STORAGE_TYPES, TORCH_ALIASES

TORCH = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}


@pytest.mark.parametrize("name", BITS)
def test_size_is_that_of_torch(name: str) -> None:
    if name in TORCH:
        assert BITS[name] == 8 * TORCH[name].itemsize


def test_no_type_of_torch_is_missing() -> None:
    assert {str(each).removeprefix("torch.") for each in TORCH.values()} <= set(BITS)


@pytest.mark.parametrize("alias", TORCH_ALIASES)
def test_an_older_spelling_is_the_same_type(alias: str) -> None:
    assert str(TORCH[alias]) == f"torch.{TORCH_ALIASES[alias]}"


@pytest.mark.parametrize("name", [name for name in STORAGE_TYPES if "Untyped" not in name])
def test_a_storage_has_the_type_of_its_class(name: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # typed storages are deprecated
        assert str(getattr(torch, name)(1).dtype) == f"torch.{STORAGE_TYPES[name]}"
