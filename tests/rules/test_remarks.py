"""What is said of a rule that matches nothing, and of tensors that deserve a word."""

from __future__ import annotations

import pytest
from torch import nn

from paraminspect.records import Classes
from paraminspect.rules.parse import parse_rule
from paraminspect.rules.remarks import PACKED, alias_note, why_unmatched
from paraminspect.rules.targets import Other, Target

LINEAR = Classes(("torch.nn.modules.linear.Linear", "torch.nn.modules.module.Module"))
TARGETS = [
    Target("h.0.fc.weight", (4, 4), "float32", LINEAR, ("head.weight",)),
    Target("h.0.fc.bias", (4,), "float32", LINEAR),
]
OTHERS = [Other("norm.running_mean", "buffers")]


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("head.*=zeros", "head.weight is tied to h.0.fc.weight and is initialised under that name"),
        ("*running_mean=zeros", "it matches only buffers, such as norm.running_mean"),
        ("Conv2d:*weight=zeros", "no module is a Conv2d; the classes are Linear"),
        ("*.wieght=zeros", "did you mean weight?"),
        ("h.0.fc.wieght=zeros", "did you mean h.0.fc.weight?"),
        ("xyz=zeros", ""),
        ("*=zeros", "head.weight is tied"),
    ],
)
def test_why_nothing_matches(rule: str, due: str) -> None:
    said = why_unmatched(parse_rule(rule), TARGETS, OTHERS)
    assert said.startswith(due) if due else said == ""


def test_a_checkpoint_without_classes() -> None:
    bare = [Target("w", (2,), "float32")]
    assert "does not say of which class" in why_unmatched(parse_rule("Linear:*=zeros"), bare, ())


def test_another_name_of_a_tensor_may_have_another_rule() -> None:
    rules = [parse_rule("h.*=zeros"), parse_rule("head.*=ones")]
    assert (
        alias_note(TARGETS[0], rules, [1])
        == "head.weight, tied to it, is meant by rule 2: a tied tensor is initialised once"
    )
    assert alias_note(TARGETS[0], rules, [2]) == ""
    assert alias_note(TARGETS[1], rules, [1]) == ""


MODULES = {
    "MultiheadAttention": lambda: nn.MultiheadAttention(6, 2), "LSTM": lambda: nn.LSTM(3, 6), "GRU": lambda: nn.GRU(3, 6),
    "LSTMCell": lambda: nn.LSTMCell(3, 6), "GRUCell": lambda: nn.GRUCell(3, 6),
}  # fmt: skip


@pytest.mark.parametrize(("cls", "beginning"), PACKED)
def test_packed_matrices_are_as_many_as_torch_stacks(cls: str, beginning: str) -> None:
    found = {name: each for name, each in MODULES[cls]().named_parameters() if name.startswith(beginning)}
    assert found
    assert all(each.shape[0] == 6 * PACKED[cls, beginning] for each in found.values())
