"""`paraminspect grad`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect grad model.yaml -w model.safetensors --plot grads.svg
paraminspect grad build.py:make_net -i 2,3,32,32 | awk -F'\\t' '$3 != "ok"'
"""

LOSSES = Literal["sum", "mean", "square", "target", "mse", "cross_entropy"]

Input = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="[NAME=]WHAT", help="2,4, or {shape: .., dtype: ..}, or a file. Repeatable."),
]
Loss = Annotated[
    LOSSES | None, typer.Option("--loss", help="Of the output; else the spec's, or sum.", show_default=False)
]
LossFile = Annotated[
    str, typer.Option("--loss-file", metavar="FILE.py:FUNCTION", help="A loss of your own; runs.", show_default=False)
]
Target = Annotated[
    str, typer.Option("--target", metavar="WHAT", help="What the loss compares with, as --input.", show_default=False)
]
Mode = Annotated[bool | None, typer.Option("--train/--eval", help="Mode of the modules.  [default: as built]")]
Freeze = Annotated[
    list[str] | None, typer.Option("--freeze", metavar="PATTERN", help="Take no gradient of these. Repeatable.")
]
Dtype = Annotated[
    Literal["float32", "float64", "float16", "bfloat16"] | None,
    typer.Option("--dtype", help="Convert parameters and inputs.", show_default=False),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="auto takes an accelerator.")]
Init = Annotated[bool, typer.Option("--init", help="Initialise by the rules of the spec first, as init does.")]
AllowUnmatched = Annotated[bool, typer.Option("--allow-unmatched", help="Go on if a rule matches nothing.")]
Steps = Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Mean and spread over N batches.")]
Uses = Annotated[bool, typer.Option("--uses", help="One row a use, of parameters used more than once.")]
AllUses = Annotated[bool, typer.Option("--all-uses", help="One row a use, of all parameters.")]
Show = Annotated[bool, typer.Option("--show", help="The gradients themselves, as torch prints them.")]
Save = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Write the gradients, safetensors.", show_default=False)
]
Compare = Annotated[
    str, typer.Option("--compare", metavar="FILE", help="Rows for what differs from another run.", show_default=False)
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", min=0.0, metavar="X", help="Of --compare, relative to each norm.")
]
Plot = Annotated[
    str, typer.Option("--plot", metavar="FILE", help="Write a picture: .svg, .html or .png.", show_default=False)
]
FailOn = Annotated[
    str,
    typer.Option("--fail-on", metavar="STATE,..", help="Exit 1 if any is so: none,zero,nan,inf.", show_default=False),
]


def command(
    source: options.Source,
    *,
    inputs: Input = None,
    loss: Loss = None,
    loss_file: LossFile = "",
    target: Target = "",
    train: Mode = None,
    freeze: Freeze = None,
    dtype: Dtype = None,
    device: Device = "cpu",
    rules: options.Rules = None,
    config: options.ConfigFile = "",
    rules_file: options.RulesFile = "",
    init: Init = False,
    allow_unmatched: AllowUnmatched = False,
    seed: options.Seed = 0,
    steps: Steps = 1,
    uses: Uses = False,
    all_uses: AllUses = False,
    show: Show = False,
    save: Save = "",
    compare: Compare = "",
    tolerance: Tolerance = 1e-5,
    plot: Plot = "",
    fail_on: FailOn = "",
    columns: options.Columns = "",
    header: options.Header = None,
    define: options.Define = None,
    modules_file: options.ModulesFile = "",
    arguments: options.Arguments = None,
    weights: options.Weights = "",
    strip_prefix: options.StripPrefix = "",
    add_prefix: options.AddPrefix = "",
    allow_mismatch: options.AllowMismatch = False,
    output_format: options.OutputFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Run a model backward once and say what came of every parameter.

    Columns: name, shape, state, norm, max_abs, zero_fraction, norm_ratio, uses, reason.

    A state is ok, zero, none (no gradient, though one was wanted), frozen, nan or inf. On a terminal, norms are a chart;
    --format table has all columns. --uses splits the gradient of a tied parameter into one row a use. Exit status: 0,
    1 for --fail-on, a difference of --compare or --weights that do not fit, 2 after an error.
    """
    from paraminspect.cli.grad import run_grad
    from paraminspect.cli.grad_options import GradOptions
    from paraminspect.cli.rules import RuleOptions

    output = Output(output_format, colour=color, header=header)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    how = GradOptions(
        tuple(inputs or ()), loss, loss_file, target, train, tuple(freeze or ()), dtype, device,
        RuleOptions(tuple(rules or ()), config, rules_file, seed), init, allow_unmatched, steps,
        uses or all_uses, all_uses, show, save, compare, tolerance, plot, fail_on, columns, output_format,
    )  # fmt: skip
    return run_grad(source, build, how, output)
