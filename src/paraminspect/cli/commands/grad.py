"""`paraminspect grad`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Listed, Table, declare
from paraminspect.records import GradState
from paraminspect.render.columns import GRADIENT_CHANGES, GRADIENTS, SPREAD, USES

Input = Annotated[
    tuple[str, ...],
    typer.Option("--input", "-i", metavar="[NAME=]WHAT", help="2,4, or {shape: .., dtype: ..}, or a file. Repeatable."),
    Is("file"),
]
Loss = Annotated[
    Literal["sum", "mean", "square", "target", "mse", "cross_entropy"] | None,
    typer.Option("--loss", help="Of the output; else the spec's, or sum.", show_default=False),
]
LossFile = Annotated[
    str,
    typer.Option("--loss-file", metavar="FILE.py:FUNCTION", help="A loss of your own; runs.", show_default=False),
    Is("file"),
]
Target = Annotated[
    str,
    typer.Option("--target", metavar="WHAT", help="What the loss compares with, as --input.", show_default=False),
    Is("file"),
]
Mode = Annotated[bool | None, typer.Option("--train/--eval", help="Mode of the modules.  [default: as built]")]
Freeze = Annotated[
    tuple[str, ...],
    typer.Option("--freeze", metavar="PATTERN", help="Take no gradient of these. Repeatable."),
    Is("pattern"),
]
Dtype = Annotated[
    options.FloatName | None,
    typer.Option("--dtype", help="Convert parameters and inputs.", show_default=False),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="auto takes an accelerator.")]
Init = Annotated[bool, typer.Option("--init", help="Initialise by the rules of the spec, after --weights too.")]
Steps = Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Mean and spread over N batches.")]
Uses = Annotated[bool, typer.Option("--uses", help="One row a use, of parameters used more than once.")]
AllUses = Annotated[bool, typer.Option("--all-uses", help="One row a use, of all parameters.")]
Show = Annotated[bool, typer.Option("--show", help="The gradients themselves, as torch prints them.")]
Save = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FILE", help="Write the gradients, safetensors.", show_default=False),
    Is("file"),
]
Compare = Annotated[
    str,
    typer.Option("--compare", metavar="FILE", help="Rows for what differs from another run.", show_default=False),
    Is("file"),
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", min=0.0, metavar="X", help="Of --compare, relative to each norm.")
]
Plot = Annotated[
    str,
    typer.Option("--plot", metavar="FILE", help="Write a picture: .svg, .html or .png.", show_default=False),
    Is("file"),
]
FailOn = Annotated[
    tuple[str, ...],
    typer.Option("--fail-on", metavar="STATE,..", help="Exit 1 if any is so: none,zero,nan,inf.", show_default=False),
    Listed(get_args(GradState), "state"),
]


@declare(
    Table(GRADIENTS),
    Table(GRADIENT_CHANGES, "with --compare", option="compare"),
    Table(USES, "with --all-uses", option="all_uses"),
    Table(USES, "with --uses", option="uses"),
    Table(SPREAD, "with --steps", option="steps", is_added=True),
    examples="""
paraminspect grad model.yaml -w model.safetensors --plot grads.svg
paraminspect grad build.py:make_net -i 2,3,32,32 | awk -F'\\t' '$3 != "ok"'
""",
    status="0, 1 for --fail-on, a difference of --compare or --weights that do not fit, 2 after an error.",
)
def command(
    source: options.Source,
    *,
    inputs: Input = (),
    loss: Loss = None,
    loss_file: LossFile = "",
    target: Target = "",
    train: Mode = None,
    freeze: Freeze = (),
    dtype: Dtype = None,
    device: Device = "cpu",
    rules: options.Rules,
    init: Init = False,
    allow_unmatched: options.AllowUnmatched = False,
    steps: Steps = 1,
    uses: Uses = False,
    all_uses: AllUses = False,
    show: Show = False,
    save: Save = "",
    compare: Compare = "",
    tolerance: Tolerance = 1e-5,
    plot: Plot = "",
    fail_on: FailOn = (),
    rows: options.Rows,
    build: options.Build,
    output: options.Output,
) -> int:
    """Run a model backward once and say what came of every parameter.

    A state is ok, zero, none (no gradient, though one was wanted), frozen, nan or inf. On a terminal, norms are a chart;
    --format table has all columns. --uses splits the gradient of a tied parameter into one row a use.
    """
    from paraminspect.cli.grad import run_grad
    from paraminspect.cli.grad_options import GradOptions

    how = GradOptions(
        inputs, loss, loss_file, target, train, freeze, dtype, device, init, allow_unmatched,
        steps, uses or all_uses, all_uses, show, save, compare, tolerance, plot, fail_on, rows, output.format,
    )  # fmt: skip
    asked = options.asked("memory", build, rules, edits=init, allow_unmatched=allow_unmatched)
    return run_grad(source, asked, how, output.open(rows.header))
