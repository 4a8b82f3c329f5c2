"""`paraminspect init`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.errors import ParamInspectError
from paraminspect.render.columns import STEPS

DryRun = Annotated[bool, Option("--dry-run", help="Print what would be done, and stop.")]
OutputFile = Annotated[
    str | None,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a checkpoint: .safetensors, .pt, a folder of shards, or - for a pipe.",
    ),
    Is("file"),
]
Dtype = Annotated[options.FloatName | None, Option("--dtype", help="Of the floating-point tensors that are written.")]
RequireAll = Annotated[bool, Option("--require-all", help="Exit 1 if no rule matches some parameter.")]
Show = Annotated[bool, Option("--show", help="Print the tensors as well.")]


@declare(
    Table(STEPS),
    examples="""
paraminspect init gpt2.yaml --dtype bfloat16 -o gpt2.safetensors
paraminspect init mlp.yaml --rule gaussian -o - | paraminspect list -
""",
    status="0, 1 if a rule matches nothing or --require-all finds a parameter that none matches, 2 after an error.",
)
def command(
    source: options.Source,
    *,
    rules: options.Rules,
    dry_run: DryRun = False,
    show: Show = False,
    output_file: OutputFile = None,
    shard_size: options.ShardSize = "",
    dtype: Dtype = None,
    force: options.Force = False,
    allow_unmatched: options.AllowUnmatched = False,
    require_all: RequireAll = False,
    rows: options.Rows,
    build: options.Build,
    output: options.Output,
) -> int:
    """Initialise parameters by rules, and say what that did.

    A rule is selector=action, such as '*.weight=normal(std=0.02)'; the last one that matches a parameter wins, and
    'paraminspect rules' lists the actions. Rules come from the spec or --config, then from --rule. Each tensor is drawn
    from its own generator, so the others do not matter. Without -o nothing is written.
    """
    from paraminspect.cli.init import InitOptions, initialise

    if output_file == "":
        raise ParamInspectError("-o without a name", hint="-o FILE.safetensors; is a variable of the shell empty?")
    if show and output.format == "auto":
        output = output._replace(format="table")
    how = InitOptions(
        dry_run=dry_run,
        show=show,
        file=output_file or "",
        shard_size=shard_size,
        dtype=dtype or "",
        force=force,
        allow_unmatched=allow_unmatched,
        require_all=require_all,
    )
    asked = options.asked("values", build, rules, edits=True, allow_unmatched=True)
    return initialise(source, asked, how, rows.choose(STEPS), output.open(rows.header))
