from __future__ import annotations

import re

import pytest

from paraminspect.architecture.loss import LOSSES, PATTERN, TARGETS, LossText, read_loss
from paraminspect.errors import ParamInspectError


@pytest.mark.parametrize(
    ("text", "due"),
    [
        *((word, LossText(word)) for word in LOSSES),
        (" sum ", LossText("sum")),
        ("output", LossText("", ())),
        ("output.loss", LossText("", ("loss",))),
        ("output.a.b", LossText("", ("a", "b"))),
        ("output.0", LossText("", ("0",))),
        ("output.-1", LossText("", ("-1",))),
        ("output.loss_*", LossText("", ("loss_*",))),
        ("cross_entropy(output.logits)", LossText("cross_entropy", ("logits",))),
        ("mean(output)", LossText("mean")),
    ],
)
def test_what_can_be_written(text: str, due: LossText) -> None:
    assert read_loss(text) == due
    assert read_loss(str(due)) == due
    assert re.fullmatch(PATTERN, text.strip())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("crossentropy", "did you mean cross_entropy?"),
        ("MSE", "did you mean mse?"),
        ("nlll", "did you mean nll?"),
        ("outputs.loss", "did you mean output?"),
        ("men(output)", "did you mean mean?"),
        ("huber", "the losses are sum, mean, "),
        ("loss", "the losses are sum, mean, "),
        ("", "the losses are"),
        ("sum(logits)", "write WORD(output.NAME)"),
        ("sum(output", "write WORD"),
        ("output)", "did you mean output?"),
        ("output.a*.b", "write WORD"),
        ("output..a", "write WORD"),
        ("output.", "write WORD"),
        ("sum.a", "write WORD"),
    ],
)
def test_what_cannot(text: str, hint: str) -> None:
    with pytest.raises(ParamInspectError, match="there is no loss") as caught:
        read_loss(text)
    assert (caught.value.hint or "").startswith(hint)
    assert not re.fullmatch(PATTERN, text)


def test_every_target_is_said() -> None:
    for word, each in LOSSES.items():
        assert (word in re.findall(r"\w+", TARGETS)) == bool(each.drawn)
