"""The options of `paraminspect grad`, checked as far as that goes without torch."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from paraminspect.architecture.given import Given, parse_given
from paraminspect.cli import options
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.names.selector import Selector, parse_selector
from paraminspect.render.columns import GRADIENT_CHANGES, GRADIENTS, SPREAD, USES
from paraminspect.render.pictures import check_picture

JSON = ("json", "jsonl")


class GradOptions(NamedTuple):
    """What is run and what is shown: the values of the options of `grad`, in their order; the last one is --format."""

    inputs: tuple[str, ...] = ()
    loss: Literal["sum", "mean", "square", "target", "mse", "cross_entropy"] | None = None
    loss_file: str = ""
    target: str = ""
    train: bool | None = None
    freeze: tuple[str, ...] = ()
    dtype: str | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu"
    init: bool = False
    allow_unmatched: bool = False
    steps: int = 1
    uses: bool = False
    all_uses: bool = False
    show: bool = False
    save: str = ""
    compare: str = ""
    tolerance: float = 1e-5
    plot: str = ""
    fail_on: tuple[str, ...] = ()
    rows: options.Rows = options.Rows()
    format: str = "auto"


class GradPlan(NamedTuple):
    """What some of the options mean.

    Attributes:
        inputs: --input.
        target: --target.
        freeze: --freeze.
        columns: --columns; empty means all.
    """

    inputs: tuple[Given, ...]
    target: Given | None
    freeze: tuple[Selector, ...]
    columns: tuple[str, ...]


def read_options(how: GradOptions, output: Output) -> GradPlan:
    """Parse what is text, and refuse what does not go together.

    Raises:
        ParamInspectError: Something cannot be parsed, or is not there, or excludes something else.
    """
    if how.loss and how.loss_file:
        raise ParamInspectError("--loss and --loss-file exclude each other")
    if how.target and how.loss in ("sum", "mean", "square"):
        raise ParamInspectError(f"--target has no meaning for --loss {how.loss}", hint="--loss target")
    if how.show and how.format not in ("auto", *JSON):
        raise ParamInspectError(f"--show has no meaning in --format {how.format}", hint="leave it out, or json")
    if how.show and how.compare:
        raise ParamInspectError("--show and --compare exclude each other")
    if how.save == "-" and output.is_terminal:
        raise ParamInspectError("safetensors is binary, and standard output is a terminal", hint="-o FILE, or a pipe")
    if how.compare and not os.path.exists(how.compare) and "://" not in how.compare:
        raise SourceError("--compare: no such file", source=how.compare)
    check_picture(how.plot)
    inputs = tuple(_existing(parse_given(text, "--input")) for text in how.inputs)
    target = _existing(parse_given(how.target, "--target")) if how.target else None
    known = USES if how.uses and how.format not in JSON else GRADIENTS if how.steps == 1 else (*GRADIENTS, *SPREAD)
    columns = how.rows.choose(GRADIENT_CHANGES if how.compare else known)
    freeze = tuple(parse_selector(text) for text in how.freeze)
    return GradPlan(inputs, target, freeze, columns)


def _existing(given: Given) -> Given:
    """Refuse a file that is not there before anything slow is done."""
    if not given.file or os.path.exists(given.file):
        return given
    if given.file.isidentifier() or not os.path.splitext(given.file)[1]:
        raise ParamInspectError(
            f"{given.option} {given.file!r} is neither a shape nor a file",
            hint=f"{given.option} 2,4, or '{{shape: [2, 4], dtype: int64, high: 10}}', or a .npy file",
        )
    raise SourceError(f"{given.option}: no such file", source=given.file)
