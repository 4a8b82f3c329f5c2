"""`paraminspect init`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError

EXAMPLES = """
paraminspect init gpt2.yaml --dtype bfloat16 -o gpt2.safetensors
paraminspect init mlp.yaml --rule gaussian -o - | paraminspect list -
"""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and stop.")]
OutputFile = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a checkpoint: .safetensors, .pt, a folder of shards, or - for a pipe.",
        show_default=False,
    ),
]
ShardSize = Annotated[
    str,
    typer.Option(
        "--shard-size", metavar="SIZE", help="Write a folder of files of at most this size: 5GB.", show_default=False
    ),
]
Dtype = Annotated[
    Literal["float32", "float16", "bfloat16", "float64"] | None,
    typer.Option("--dtype", help="Of the floating-point tensors that are written.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite.")]
AllowUnmatched = Annotated[bool, typer.Option("--allow-unmatched", help="Go on if a rule matches nothing.")]
RequireAll = Annotated[bool, typer.Option("--require-all", help="Exit 1 if no rule matches some parameter.")]
Show = Annotated[bool, typer.Option("--show", help="Print the tensors as well.")]


def command(
    source: options.Source,
    *,
    rules: options.Rules = None,
    config: options.ConfigFile = "",
    rules_file: options.RulesFile = "",
    seed: options.Seed = 0,
    dry_run: DryRun = False,
    show: Show = False,
    output_file: OutputFile = None,
    shard_size: ShardSize = "",
    dtype: Dtype = None,
    force: Force = False,
    allow_unmatched: AllowUnmatched = False,
    require_all: RequireAll = False,
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
    """Initialise parameters by rules, and say what that did.

    Columns: name, shape, rule, initializer, arguments, fan_in, fan_out, mean, std, min, max, note.

    A rule is selector=action, such as '*.weight=normal(std=0.02)'; the last one that matches a parameter wins, and
    'paraminspect rules' lists the actions. Rules come from the spec or --config, then from --rule. Each tensor is drawn
    from its own generator, so the others do not matter. Without -o nothing is written. Exit status: 0, 1 if a rule
    matches nothing or --require-all finds a parameter that none matches, 2 after an error.
    """
    from paraminspect.cli.init import InitOptions, initialise
    from paraminspect.cli.report import split_columns
    from paraminspect.cli.rules import RuleOptions

    if output_file == "":
        raise ParamInspectError("-o without a name", hint="-o FILE.safetensors; is a variable of the shell empty?")
    output = Output("table" if show and output_format == "auto" else output_format, colour=color, header=header)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    how = InitOptions(
        RuleOptions(tuple(rules or ()), config, rules_file, seed),
        dry_run=dry_run,
        show=show,
        file=output_file or "",
        shard_size=shard_size,
        dtype=dtype or "",
        force=force,
        allow_unmatched=allow_unmatched,
        require_all=require_all,
    )
    return initialise(source, build, how, lambda known: split_columns(columns, known), output)
