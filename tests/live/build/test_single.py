from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from paraminspect.errors import LimitExceededError, SelectionError

TEXT = """
shared: {twin: {Sequential: [{Linear: [4, 4]}, {BatchNorm1d: 4}]}}
blocks: {Dense: {layers: [{Param: {shape: [4, 4], op: matmul}, name: weight}]}}
model:
  - {use: twin, name: a}
  - {use: twin, name: b}
  - {Dense, name: d}
  - {Param: {shape: [1, 4], op: add}, name: p}
  - {MultiheadAttention: [4, 2], from: [p, p, p], take: 0, name: m}
  - {LazyLinear: 4, name: lazy}
  - {Linear: [4, 4], name: first}
  - {Linear: [4, 4], name: second}
tie: {first.weight: second.weight}
input: [3, 4]
"""


def test_tensors_drawn_one_by_one_are_those_of_the_whole_model(live: Callable[..., Any]) -> None:
    whole = live(TEXT, device="cpu", seed=8).model.state_dict()
    opened = live(TEXT, seed=8)
    assert {"a.0.weight", "b.1.running_mean", "d.weight", "p", "m.out_proj.weight", "first.weight"} <= whole.keys()
    for name, expected in whole.items():
        assert torch.equal(opened.tensor(name), expected), name
    assert all(parameter.is_meta for parameter in opened.model.parameters())


def test_only_one_layer_is_drawn(live: Callable[..., Any]) -> None:
    text = "model: [{Linear: [4, 4]}, {Linear: [1000000, 1000000]}]"
    opened = live(text)
    assert opened.tensor("0.weight").shape == (4, 4)
    with pytest.raises(LimitExceededError) as caught:
        opened.tensor("1.weight")
    assert "bytes in 1;" in str(caught.value)


def test_no_such_tensor(live: Callable[..., Any]) -> None:
    opened = live("model: [{Linear: [4, 4], name: fc}]")
    with pytest.raises(SelectionError) as caught:
        opened.tensor("fc.wieght")
    assert (str(caught.value), caught.value.hint) == ("there is no tensor 'fc.wieght'", "did you mean fc.weight?")
    with pytest.raises(SelectionError) as caught:
        opened.tensor("fc")
    assert caught.value.hint == "it is a module; its tensors are fc.weight, fc.bias"
