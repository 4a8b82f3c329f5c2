from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from paraminspect.errors import ParamInspectError
from paraminspect.live.grad.losses import LossName, load_loss, make_loss

OUTPUT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])


@pytest.mark.parametrize(("name", "due"), [("sum", 1.5), ("mean", 0.25), ("square", 15.25)])
def test_over_all_elements(name: LossName, due: float) -> None:
    assert make_loss(name)(OUTPUT) == due


def test_over_all_tensors_of_an_output() -> None:
    output = (OUTPUT, {"more": torch.tensor([2.0]), "ids": torch.tensor([7])})
    assert make_loss("sum")(output) == 3.5
    assert make_loss("mean")(output) == 0.5
    assert make_loss("square")(output) == 19.25


def test_distances_are_torch_s() -> None:
    target, classes = torch.randn(2, 3), torch.tensor([2, 0])
    assert torch.equal(make_loss("mse", target)(OUTPUT), functional.mse_loss(OUTPUT, target))
    assert torch.equal(make_loss("target", target)(OUTPUT), functional.mse_loss(OUTPUT, target))
    assert torch.equal(make_loss("cross_entropy", classes)(OUTPUT), functional.cross_entropy(OUTPUT, classes))
    assert torch.equal(make_loss("target", classes)(OUTPUT), functional.cross_entropy(OUTPUT, classes))
    sequence, words = torch.randn(2, 4, 5), torch.tensor([[0, 4, -100, 1], [2, 3, 3, -100]])
    expected = functional.cross_entropy(sequence.transpose(1, 2), words)
    torch.testing.assert_close(make_loss("cross_entropy", words)(sequence), expected)


def test_a_target_that_is_drawn() -> None:
    one, same, other = (make_loss("mse", seed=seed)(OUTPUT) for seed in (1, 1, 2))
    assert one == same != other
    assert make_loss("cross_entropy", seed=1)(OUTPUT) == make_loss("cross_entropy", seed=1)(OUTPUT)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("mse", torch.ones(3), "output [2,3] and target [3]; expected equal shapes"),
        ("cross_entropy", torch.ones(2), "takes a target of integers"),
        ("cross_entropy", torch.ones(3).long(), "target [3]; expected [2]"),
        ("cross_entropy", torch.tensor([0, 3]), "the target has the class 3; the output has 3"),
        ("cross_entropy", torch.tensor([0, -1]), "the target has the class -1; the output has 3"),
    ],
)
def test_a_target_that_does_not_fit(name: LossName, target: Tensor, message: str) -> None:
    with pytest.raises(ParamInspectError) as caught:
        make_loss(name, target)(OUTPUT)
    assert message in str(caught.value)


def test_one_class_is_no_choice() -> None:
    with pytest.raises(ParamInspectError, match="one class, is always 0"):
        make_loss("cross_entropy")(torch.ones(2, 1))


def test_an_output_without_numbers() -> None:
    for output, what in ((torch.tensor([1]), r"\[1\] int64"), ("text", "a str"), (None, "a NoneType")):
        with pytest.raises(ParamInspectError, match=f"no floating-point tensor: {what}"):
            make_loss("sum")(output)


def test_a_loss_of_the_user_s(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(
        "def one(y):\n    return y.max()\n\ndef two(y, t):\n    return (y - t).sum()\n\ndef bad(y):\n    raise KeyError('k')\n"
    )
    assert load_loss(f"{file}:one")(OUTPUT) == 3
    assert load_loss(f"{file}:one", torch.ones(2, 3))(OUTPUT) == 3
    assert load_loss(f"{file}:two", torch.ones(2, 3))(OUTPUT) == -4.5
    with pytest.raises(ParamInspectError, match=r"loss .*my_loss.py:bad: KeyError: 'k' \(.*my_loss.py:8\)"):
        load_loss(f"{file}:bad")(OUTPUT)
    with pytest.raises(ParamInspectError, match="no function tow") as caught:
        load_loss(f"{file}:tow")
    assert caught.value.hint == "did you mean two?"
    for text in ("my_loss.py", "my_loss:loss", "my_loss.py:a b", f"{tmp_path}/none.py:loss"):
        with pytest.raises(ParamInspectError):
            load_loss(text)
