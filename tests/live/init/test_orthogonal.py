"""Held against torch's own, to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from paraminspect.live.init.draw import one_thread
from paraminspect.live.init.orthogonal import fill_orthogonal

SHAPES = [(1, 1), (1, 5), (5, 1), (7, 7), (64, 64), (300, 200), (200, 300), (513, 1027), (64, 3, 7, 7), (2, 3, 4)]


@pytest.mark.parametrize("gain", [1.0, 1.7])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_values_are_those_of_torch(shape: tuple[int, ...], gain: float) -> None:
    with one_thread():
        due = nn.init.orthogonal_(torch.empty(shape), gain, generator=torch.Generator().manual_seed(5))
        found = fill_orthogonal(torch.empty(shape), gain, torch.Generator().manual_seed(5))
    assert torch.equal(due, found)


@pytest.mark.parametrize("shape", [(200, 300), (300, 200)])
def test_a_part_of_a_tensor_is_filled_where_it_lies(shape: tuple[int, int]) -> None:
    whole = torch.zeros(3, *shape)
    with one_thread():
        fill_orthogonal(whole[1], 1.0, torch.Generator().manual_seed(5))
        due = fill_orthogonal(torch.empty(shape), 1.0, torch.Generator().manual_seed(5))
    assert torch.equal(whole[1], due)
    assert not whole[0].any()
    assert not whole[2].any()
