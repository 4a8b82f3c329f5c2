"""A backward pass as it is asked for: parsed, and refused as far as that goes without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from paraminspect.architecture.given import Given, parse_given
from paraminspect.architecture.loss import LossText, read_loss
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.names.selector import Selector, parse_selector
from paraminspect.tuples import NamedTuple


class Shard(NamedTuple):
    """How several processes share a model.

    Attributes:
        text: As it was typed.
        data: Whether each has a part of every layer, and all of one while it runs (FSDP2).
        tensor: How many share the work of a layer, each some of its outputs; 0 for none.
    """

    text: str
    data: bool
    tensor: int


def parse_shard(text: str) -> Shard:
    """What `--shard` says.

    Raises:
        ParamInspectError: It says something else.
    """
    words = text.split(",")
    data, others = "fsdp" in words, [word for word in words if word != "fsdp"]
    size = others[0].removeprefix("tp=") if others else "0"
    known = len(words) == len(set(words)) and len(others) <= 1 and (not others or others[0].startswith("tp="))
    if not known or not size.isdecimal() or (others and int(size) < 2):
        raise ParamInspectError(f"--shard {text}: expected fsdp, tp=N or tp=N,fsdp", hint="--shard fsdp")
    return Shard(text, data, int(size))


class BackwardPlan(NamedTuple):
    """What is run, and how.

    Attributes:
        target: What the loss compares with; None for that of the spec, or one that is drawn.
        loss: None takes that of the spec, or the output's own.
        loss_file: `FILE.py:FUNCTION` of a loss of the user's own; "" without.
        freeze: Parameters that get no gradient.
        dtype: Floating-point parameters and inputs are converted to it; None leaves them as they are.
        device: "auto", "cpu", "cuda" or "mps".
        train: Mode of the modules; None leaves it.
        steps: Number of batches.
        uses: Whether the parts of each use are wanted.
        seed: Of all that is drawn.
        shard: How several processes share the model; None where one has it.
    """

    target: Given | None = None
    loss: LossText | None = None
    loss_file: str = ""
    freeze: tuple[Selector, ...] = ()
    dtype: str | None = None
    device: str = "cpu"
    train: bool | None = None
    steps: int = 1
    uses: bool = False
    seed: int = 0
    shard: Shard | None = None


def plan_backward(
    target: str = "",
    loss: str = "",
    loss_file: str = "",
    freeze: Sequence[str] = (),
    shard: str = "",
    **more: Any,
) -> BackwardPlan:
    """Parse what is text; the rest is as `BackwardPlan` has it.

    Raises:
        ParamInspectError: Something cannot be parsed, or is not there, or excludes something else.
    """
    if loss and loss_file:
        raise ParamInspectError("--loss and --loss-file exclude each other")
    text = read_loss(loss) if loss else None
    if target and text is not None and not text.takes_target:
        raise ParamInspectError(f"--target has no meaning for --loss {loss}", hint="--loss target")
    return BackwardPlan(
        target=parse_given(target, "--target") if target else None,
        loss=text,
        loss_file=loss_file,
        freeze=tuple(parse_selector(text) for text in freeze),
        shard=parse_shard(shard) if shard else None,
        **more,
    )


def refuse_missing(option: str, path: str) -> None:
    """Refuse a file that is not there before anything slow is done; "" stands for none.

    Raises:
        SourceError: It is not.
    """
    if path and not os.path.exists(path) and "://" not in path:
        raise SourceError(f"{option}: no such file", source=path)
