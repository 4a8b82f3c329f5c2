"""`--slice` means what stands between the brackets of `tensor[..]`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import SelectionError
from paraminspect.values.slices import parse_slice, take_slice

ARRAY = np.arange(120).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(
    "text", ["0", "0,:2", ":", "...", "..., 1", "1,...,0", "-1", "::2,1:", "0,1,2,3", "[0, 1]", "5:"]
)
def test_takes_what_torch_takes(text: str) -> None:
    expected = eval(f"t[{text.strip('[]')}]", {"t": torch.from_numpy(ARRAY)})
    found = take_slice(ARRAY, parse_slice(text))
    assert found.shape == tuple(expected.shape)
    assert (found == expected.numpy()).all()


@pytest.mark.parametrize("text", ["", "a", "1.5", "0,,1", "...,...", "::0", "::-1", "1:2:3:4", "None", "1e3", "9" * 30])
def test_refuses_what_is_no_index(text: str) -> None:
    with pytest.raises(SelectionError):
        parse_slice(text)


@pytest.mark.parametrize("text", ["2", "-3", "0,3", "...,5", "0,0,0,0,0"])
def test_refuses_what_is_not_there(text: str) -> None:
    with pytest.raises(SelectionError, match=r"dimension|indices"):
        take_slice(ARRAY, parse_slice(text))


@given(st.text(alphabet="0123456789:,.-+ []ax", max_size=12))
def test_any_text_gives_a_part_or_an_error(text: str) -> None:
    try:
        part = take_slice(ARRAY, parse_slice(text))
    except SelectionError:
        return
    assert part.size <= ARRAY.size
