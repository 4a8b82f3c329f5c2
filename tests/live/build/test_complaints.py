"""What torch and user code complain of, said in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from paraminspect.live.build.complaints import (
    MAX_COMPLAINT_LENGTH,
    argument_names,
    describe_refusal,
    describe_tensors,
    first_line,
    spread_list,
    suggest_remedy,
)


@pytest.mark.parametrize(
    ("error", "due"),
    [
        (ValueError(), ""), (ValueError("  no  data. \nmore"), "no data"), ("\n\nfirst\tword", "first word"),
        (KeyError("x"), "'x'"),
    ],
)  # fmt: skip
def test_one_line_without_a_full_stop(error: object, due: str) -> None:
    assert first_line(error) == due


def test_a_long_complaint_is_cut() -> None:
    assert len(first_line("word " * 1000)) <= MAX_COMPLAINT_LENGTH


def test_tensors_are_told_by_shape_and_unusual_dtype() -> None:
    values = [torch.ones(2, 4), "text", torch.ones(3, dtype=torch.int64), torch.ones(())]
    assert describe_tensors(values, 2) == "[2,4], [3] int64"
    assert describe_tensors(values[3:], 5) == "[]"


def refusal(make: Any, *args: Any, **kwargs: Any) -> tuple[str, str | None]:
    try:
        make(*args, **kwargs)
    except Exception as error:
        return describe_refusal(make, error, args, kwargs)
    raise AssertionError("it took them")


@pytest.mark.parametrize(
    ("name", "args", "meant"),
    [
        ("AdaptiveAvgPool2d", (7, 7), "[[7, 7]]"),
        ("AdaptiveMaxPool3d", (2, 2, 2), "[[2, 2, 2]]"),
        ("ZeroPad2d", (1, 1, 1, 1), "[[1, 1, 1, 1]]"),
        ("Unflatten", (1, 4, 4), "[1, [4, 4]]"),
        ("LayerNorm", (4, 5), "[[4, 5]]"),
        ("RMSNorm", (4, 5), "[[4, 5]]"),
        ("Upsample", (16, 16), "[[16, 16]]"),
        *((name, args, None) for name, args in [
            ("LayerNorm", (4, 1e-5)), ("ConstantPad2d", (1, 0)), ("Conv2d", (3, 16, 3, 3)), ("MaxPool2d", (2, 2)),
            ("Linear", (4, 3, 1, 1, 5)), ("Flatten", (1, 2)), ("AdaptiveAvgPool2d", (7,)), ("LPPool2d", (2, 3, 1)),
        ]),
    ],
)  # fmt: skip
def test_sizes_that_are_one_list(name: str, args: tuple[int, ...], meant: str | None) -> None:
    assert spread_list(getattr(nn, name), args) == meant


def test_sizes_that_are_one_list_are_told_at_the_layer(refused: Any) -> None:
    error = refused("model: [{AdaptiveAvgPool2d: [7, 7]}]")
    assert error.hint == "write [[7, 7]]: the sizes are one list"
    error = refused("model: [{LayerNorm: [4, 5]}]")
    assert str(error) == "spec.yaml:1:10: LayerNorm at 0: 4, 5 are several arguments"
    assert error.hint == "write [[4, 5]]: the sizes are one list"


class Passing(nn.Linear):
    def __init__(self, wide: int, **more: Any) -> None:
        super().__init__(wide, 3, **more)


def failing(x: int, y: int = 2) -> None:
    raise ValueError("no data here.")


def typed(x: int) -> None:
    raise TypeError("x is odd")


def test_arguments_that_do_not_fit() -> None:
    assert refusal(nn.Linear, 4, 3, bais=True) == ("unknown argument bais", "did you mean bias?")
    assert refusal(nn.ReLU, xyz=1) == ("unknown argument xyz", "its arguments are inplace")
    complaint, hint = refusal(nn.Linear, 4)
    assert complaint == "missing a required argument: 'out_features'"
    assert hint is not None
    assert hint.startswith("its arguments are in_features, out_features, bias")
    assert refusal(failing, 1) == ("no data here", None)
    assert refusal(typed, 1) == ("x is odd", "its arguments are x")


def test_names_of_arguments_reach_as_far_as_they_are_passed_on() -> None:
    assert argument_names(Passing)[:3] == ["wide", "in_features", "out_features"]
    assert argument_names(nn.Linear) == ["in_features", "out_features", "bias", "dtype"]
    assert "mode" not in argument_names(nn.LSTM)
    assert "mode" in argument_names(nn.Upsample)
    assert argument_names(failing) == ["x", "y"]


CASES: list[tuple[nn.Module, torch.Tensor, str]] = [
    (nn.Linear(4, 3), torch.ones(2, 5), "it takes 4 in dimension 1: [2,4]"),
    (nn.LSTM(4, 3), torch.ones(2, 1, 5), "it takes 4 in dimension 2: [2,1,4]"),
    (nn.Conv2d(3, 2, 1), torch.ones(1, 4, 8, 8), "it takes 3 in dimension 1: [1,3,8,8]"),
    (nn.Conv2d(3, 2, 1), torch.ones(4, 8, 8), "it takes 3 in dimension 0: [3,8,8]"),
    (nn.Embedding(10, 2), torch.ones(2), "it takes integers: --input '{shape: [2], dtype: int64, high: 10}'"),
    (nn.Embedding(10, 2), torch.tensor([3, 10]), "it has 10 rows, the input goes from 3 to 10"),
    (nn.Embedding(10, 2), torch.tensor([-1]), "the input goes from -1 to -1"),
    (nn.BatchNorm1d(4), torch.ones(1, 4), "a larger batch ([2,4]), or --eval"),
    (nn.Linear(4, 3), torch.ones(2, 4).double(), "the input is float64 and the parameters are float32"),
]


@pytest.mark.parametrize(("module", "given", "due"), CASES, ids=[due for *_, due in CASES])
def test_what_torch_refuses_has_a_next_step(module: nn.Module, given: torch.Tensor, due: str) -> None:
    with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
        module(given)
    assert due in (suggest_remedy(module, [given], caught.value) or "")


def test_no_step_is_named_where_nothing_is_known() -> None:
    error = RuntimeError("boom")
    assert suggest_remedy(nn.Linear(4, 3), [torch.ones(2, 4)], error) is None
    assert suggest_remedy(nn.Linear(4, 3), [], error) is None
    assert suggest_remedy(nn.Embedding(10, 2), [torch.tensor([9])], error) is None
    assert suggest_remedy(nn.Identity(), [torch.ones(2)], error) is None
    meta = NotImplementedError("aten::x on the 'Meta' backend")
    assert "no shape rule on the meta device" in (suggest_remedy(nn.Identity(), [], meta) or "")
