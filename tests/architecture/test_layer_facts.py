from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.architecture.layer_facts import HeldTensor, layer_facts
from paraminspect.architecture.layer_rows import DoubtError
from paraminspect.architecture.torch_layers import LAYERS
from scripts.check_layers import differences, is_admitted, missing, random_call


def test_every_class_of_torch_is_in_the_table_or_left_to_torch() -> None:
    assert missing() == []


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_what_the_table_admits_is_what_torch_builds(name: str, chance: random.Random) -> None:
    args, kwargs = random_call(name, chance)
    assert list(differences(name, args, kwargs)) == []


@pytest.mark.parametrize("name", LAYERS)
def test_calls_that_fit_are_answered(name: str) -> None:
    chance = random.Random(0)
    assert sum(is_admitted(name, *random_call(name, chance)) for _ in range(300)) > 5


def test_a_layer_is_told() -> None:
    told = layer_facts("Linear", (4, 3), {"dtype": "bfloat16"})
    assert told.classes == ("torch.nn.modules.linear.Linear", "torch.nn.modules.module.Module")
    assert told.extra == "in_features=4, out_features=3, bias=True"
    assert told.parameters == (HeldTensor("weight", (3, 4), "bfloat16"), HeldTensor("bias", (3,), "bfloat16"))
    assert told.buffers == ()


def test_one_and_true_are_not_the_same_argument() -> None:
    assert layer_facts("Dropout", (1,), {}).extra == "p=1, inplace=False"
    assert layer_facts("Dropout", (1.0,), {}).extra == "p=1.0, inplace=False"
    with pytest.raises(DoubtError):
        layer_facts("Dropout", (True,), {})


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("Linear", (4,), {}),
        ("Linear", (0, 3), {}),
        ("Linear", (4, 3, 2), {}),
        ("Linear", (4, 3), {"device": "cpu"}),
        ("Linear", (4, 3), {"in_features": 4}),
        ("Linear", ("4", 3), {}),
        ("Linear", (1 << 30, 1 << 31), {}),
        ("Bilinear", (1 << 30, 1 << 30, 1 << 30), {}),
        ("Conv2d", (3, 4, 2), {"groups": 2}),
        ("Conv2d", (3, 4, (2, 2, 2)), {}),
        ("LayerNorm", (4, 5), {}),
        ("LSTM", (4, 3), {"dropout": 0.5}),
        ("LSTM", (4, 3, 1_000_000), {}),
        ("Transformer", (), {}),
        ("LazyLinear", (3,), {}),
        ("Linaer", (4, 3), {}),
    ],
)
def test_what_is_doubtful_is_left_to_torch(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(DoubtError):
        layer_facts(name, args, kwargs)  # type: ignore[arg-type]
