"""Which loss is taken of an output, and that it is torch's."""

from __future__ import annotations

import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from paraminspect.architecture.loss import LOSSES, WITH_TARGET, LossText, read_loss
from paraminspect.errors import ParamInspectError
from paraminspect.live.grad.losses import Taken, Target, as_loss, choose_loss, evaluate_loss, load_loss

OUTPUT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])
ONE, TWO = torch.tensor(1.5, requires_grad=True), torch.tensor([2.5], requires_grad=True)
IDS, WIDE = torch.tensor([7]), torch.ones(2, 3)


def take(text: str | None, output: Any, target: Tensor | None = None, seed: int = 0) -> Taken:
    return choose_loss(read_loss(text) if text else None, "", Target(target, seed))(output)


def taken(text: str | None, output: Any) -> tuple[float, str]:
    found = take(text, output)
    return found.value.item(), found.text


class Output(OrderedDict[str, Any]):
    """A mapping with attributes, as transformers and diffusers return."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


@dataclass
class Fields:
    loss: Tensor | None
    logits: Tensor


Pair = namedtuple("Pair", "ids logits")


@pytest.mark.parametrize(
    ("output", "value", "text"),
    [
        (OUTPUT, 1.5, "sum(output)"),
        ((OUTPUT, WIDE), 1.5, "sum(output.0)"),
        ([IDS, {"ids": IDS, "more": [WIDE]}, OUTPUT], 6, "sum(output.1.more.0)"),
        (Pair(IDS, WIDE), 6, "sum(output.logits)"),
        ({"out": WIDE, "aux": OUTPUT}, 6, "sum(output.out)"),
        ({"logits": WIDE, "loss": ONE}, 1.5, "output.loss"),
        ({"logits": WIDE, "loss": TWO}, 2.5, "output.loss"),
        ({"logits": WIDE, "loss": None}, 6, "sum(output.logits)"),
        ({"logits": WIDE, "loss": WIDE}, 6, "sum(output.logits)"),  # not a scalar
        ({"logits": WIDE, "loss": IDS}, 6, "sum(output.logits)"),
        (Output(logits=WIDE, loss=ONE), 1.5, "output.loss"),
        (Fields(ONE, WIDE), 1.5, "output.loss"),
        (Fields(None, WIDE), 6, "sum(output.logits)"),
        (SimpleNamespace(loss=ONE), 1.5, "output.loss"),
        ({"boxes": WIDE, "loss_a": ONE, "loss_b": TWO, "loss_note": "x"}, 4, "output.loss_*"),
        ({"loss": ONE, "loss_a": TWO}, 1.5, "output.loss"),
        ((ONE, WIDE), 1.5, "output.0"),
        (ONE, 1.5, "output"),
    ],
)  # fmt: skip
def test_the_loss_where_none_is_asked_for(output: Any, value: float, text: str) -> None:
    """The output's own, else the sum of its first floating-point tensor; what is said of it can be asked for."""
    assert taken(None, output) == (value, text)
    assert taken(text, output) == (value, text)


@pytest.mark.parametrize(
    ("text", "value", "due"),
    [
        ("sum", 1.5, "sum(output.0)"),
        ("mean", 0.25, "mean(output.0)"),
        ("square", 15.25, "square(output.0)"),
        ("output.1.loss", 1.5, "output.1.loss"),
        ("output.1.logits", 6, "sum(output.1.logits)"),
        ("mean(output.1.logits)", 1, "mean(output.1.logits)"),
        ("square(output.1.loss)", 2.25, "square(output.1.loss)"),
        ("output.-1", 1.5, "sum(output.-1)"),
        ("output.1", 6, "sum(output.1.logits)"),
        ("output.2.real", 1.5, "sum(output.2.real)"),
        ("sum(output.1.l*)", 1.5, "sum(output.1.l*)"),
    ],
)
def test_what_is_asked_for(text: str, value: float, due: str) -> None:
    output = (OUTPUT, {"logits": WIDE, "loss": ONE}, SimpleNamespace(real=OUTPUT), OUTPUT)
    assert taken(text, output) == (value, due)


FUNCTIONS = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "bce": functional.binary_cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "kl_div": functional.kl_div,
    "nll": functional.nll_loss,
    "cross_entropy": functional.cross_entropy,
}


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("word", FUNCTIONS)
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 5, 3), (2, 5, 3, 4)])
def test_words_are_torch_s_functions(word: str, shape: tuple[int, ...]) -> None:
    logits = torch.randn(shape)
    dim = 1 if len(shape) > 1 else 0
    output = {"bce": logits.sigmoid(), "kl_div": logits.log_softmax(dim), "nll": logits.log_softmax(dim)}.get(
        word, logits
    )
    if word in ("nll", "cross_entropy"):
        target = torch.randint(0, 5, shape[:dim] + shape[dim + 1 :])
    else:
        target = torch.rand(shape)
    assert torch.equal(take(word, (output,), target).value, FUNCTIONS[word](output, target))
    drawn = take(word, (output,))
    assert drawn.value.isfinite()
    assert torch.equal(drawn.value, take(word, output).value)
    assert not torch.equal(drawn.value, take(word, output, seed=1).value)
    assert f"{word}(output.0) against" in drawn.said


def test_every_word_is_held_against_torch() -> None:
    assert {*FUNCTIONS, "target"} == set(WITH_TARGET)
    assert set(LOSSES) - set(WITH_TARGET) == {"sum", "mean", "square"}


def test_a_target_decides_for_itself() -> None:
    """A floating-point one is of mse; classes are in dimension 1, or in the last one where only that fits."""
    target, classes = torch.randn(2, 3), torch.tensor([2, 0])
    assert torch.equal(take("target", OUTPUT, target).value, functional.mse_loss(OUTPUT, target))
    assert torch.equal(take("target", OUTPUT, classes).value, functional.cross_entropy(OUTPUT, classes))
    sequence, words = torch.randn(2, 4, 5), torch.tensor([[0, 4, -100, 1], [2, 3, 3, -100]])
    expected = functional.cross_entropy(sequence.transpose(1, 2), words)
    found = take("target", sequence, words)
    torch.testing.assert_close(found.value, expected)
    assert "the last dimension" in found.said
    pixels = torch.randint(0, 4, (2, 4))
    square = torch.randn(2, 4, 4)
    assert torch.equal(take("target", square, pixels).value, functional.cross_entropy(square, pixels))


def test_targets_of_other_types() -> None:
    soft = torch.rand(2, 3).softmax(1)
    assert torch.equal(take("cross_entropy", OUTPUT, soft).value, functional.cross_entropy(OUTPUT, soft))
    labels = torch.randint(0, 2, (2, 3))
    due = functional.binary_cross_entropy_with_logits(OUTPUT, labels.float())
    assert torch.equal(take("bce_with_logits", OUTPUT, labels).value, due)
    assert take("l1", OUTPUT.bfloat16(), torch.ones(2, 3)).value.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("text", "output", "target", "message", "hint"),
    [
        ("mse", OUTPUT, torch.ones(3), "mse of output [2,3] and target [3]; expected equal shapes", None),
        ("cross_entropy", OUTPUT, torch.ones(2), "takes a target of integers", "dtype: int64"),
        ("cross_entropy", OUTPUT, torch.ones(3).long(), "target [3]; expected [2], the classes being dimension 1", None),
        ("nll", torch.ones(2, 4, 5), torch.ones(2, 4).long(), "expected [2,5]", "--loss target takes classes in the last"),
        ("cross_entropy", OUTPUT, torch.tensor([0, 3]), "the target has the class 3; the output has 3", "high: 3"),
        ("cross_entropy", OUTPUT, torch.tensor([0, -1]), "the target has the class -1; the output has 3", "high: 3"),
        ("cross_entropy", torch.ones(2, 1), None, "one class, is always 0", "bce_with_logits"),
        ("bce", OUTPUT, None, "the loss fails with output [2,3]: all elements of input should be between 0 and 1", "bce_with_logits takes"),
        ("sum", IDS, None, "the output has no floating-point tensor: [1] int64", "--loss-file"),
        ("sum", "text", None, "no floating-point tensor: a str", "--loss-file"),
        ("sum", None, None, "no floating-point tensor: a NoneType", "--loss-file"),
        ("output.x", {"ids": IDS, "x": {"y": IDS}}, None, "output.x has no floating-point tensor: [1] int64", "--loss-file"),
        ("output.logit", {"logits": OUTPUT}, None, "no output.logit for the loss: output is a dict", "did you mean logits?"),
        ("output.2", (OUTPUT, OUTPUT), None, "no output.2 for the loss: output is a tuple", "its parts are 0, 1"),
        ("output.0.T", (OUTPUT,), None, "no output.0.T for the loss: output.0 is a tensor [2,3]", None),
        ("output.loss", Output(loss=None, logits=OUTPUT), None, "no output.loss for the loss: it is None", "labels=.."),
        ("output.loss_*", {"logits": ONE}, None, "no output.loss_* for the loss that is a scalar", "its parts are logits"),
        ("sum", OUTPUT, None, "the loss depends on no parameter", "every parameter is frozen"),
    ],
)  # fmt: skip
def test_losses_that_cannot_be_taken(
    text: str, output: Any, target: Tensor | None, message: str, hint: str | None
) -> None:
    with pytest.raises(ParamInspectError) as caught:
        evaluate_loss(choose_loss(read_loss(text), "", Target(target)), output)
    assert message in str(caught.value)
    assert (hint or "") in (caught.value.hint or "")
    assert caught.value.hint is not None or hint is None


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda _: 1.0, "the loss is a float; expected a tensor"),
        (lambda y: y, r"the loss has the shape \[2,3\]"),
        (lambda y: y.argmax(), "of type int64"),
        (lambda y: y["loss"], "the loss fails"),
        (lambda _: sys.exit(3), "the loss fails .*: SystemExit: 3"),
    ],
)
def test_functions_that_give_no_loss(loss: Any, message: str) -> None:
    with pytest.raises(ParamInspectError, match=message):
        evaluate_loss(as_loss(loss), OUTPUT)


def test_neither_a_function_nor_a_name() -> None:
    with pytest.raises(ParamInspectError, match="the loss is a int; expected a function"):
        as_loss(3)  # type: ignore[arg-type]


def test_an_output_that_holds_itself() -> None:
    output: list[Any] = [IDS]
    output.append(output)
    with pytest.raises(ParamInspectError, match="no floating-point tensor"):
        evaluate_loss(as_loss(None), output)


def test_a_loss_of_the_user_s(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(
        "def one(y):\n    return y.max()\n\ndef two(y, t):\n    return (y - t).sum()\n\ndef bad(y):\n    raise KeyError('k')\n"
    )
    assert load_loss(f"{file}:one")(OUTPUT).value == 3
    assert load_loss(f"{file}:one", torch.ones(2, 3))(OUTPUT).value == 3
    assert load_loss(f"{file}:two", torch.ones(2, 3))(OUTPUT).value == -4.5
    with pytest.raises(ParamInspectError, match=r"loss .*my_loss.py:bad: KeyError: 'k' \(.*my_loss.py:8\)"):
        load_loss(f"{file}:bad")(OUTPUT)
    with pytest.raises(ParamInspectError, match="no function tow") as caught:
        load_loss(f"{file}:tow")
    assert caught.value.hint == "did you mean two?"
    for text in ("my_loss.py", "my_loss:loss", "my_loss.py:a b", f"{tmp_path}/none.py:loss"):
        with pytest.raises(ParamInspectError):
            load_loss(text)


def test_who_says_so() -> None:
    assert choose_loss(LossText("mean"), "the spec")(OUTPUT).said == "mean(output), as the spec has it"
    assert take(None, {"loss": ONE}).said == "output.loss, the model's own"
    assert take(None, OUTPUT).said == "sum(output), for want of another (--loss)"
    assert take("mse", OUTPUT, WIDE).said == "mse(output) against the target"
    assert take("cross_entropy", OUTPUT).said == (
        "cross_entropy(output) against classes that are drawn, 3 of them in dimension 1"
    )
