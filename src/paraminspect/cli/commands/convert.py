"""`paraminspect convert`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build, Choice
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect convert training.pt --module model -o model.safetensors
paraminspect convert model.pt --dtype bfloat16 -o - | paraminspect list -
"""

OutputFile = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to: .safetensors, .pt, .npz, FOLDER/ for shards, or - for a pipe.",
        show_default=False,
    ),
]
Dtype = Annotated[
    Literal["float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"] | None,
    typer.Option("--dtype", help="Of floating-point tensors; else each keeps its own.", show_default=False),
]
Rename = Annotated[
    list[str] | None,
    typer.Option(
        "--rename", metavar="FROM=TO", help="Change names: 'module.*=*'. Repeatable; the first that matches counts."
    ),
]
All = Annotated[bool, typer.Option("--all", "-a", help="Optimizer state and all other tensors too.")]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="KEY=VALUE", help="Add to the metadata of safetensors. Repeatable."),
]
NoMetadata = Annotated[bool, typer.Option("--no-metadata", help="Leave out the source's own metadata.")]
ShardSize = Annotated[
    str,
    typer.Option(
        "--shard-size", metavar="SIZE", help="Write a folder of files of at most this size: 5GB.", show_default=False
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite.")]
Verify = Annotated[bool, typer.Option("--verify", help="Read it back and compare every byte before it is in place.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and stop.")]


def command(
    source: options.Source,
    *,
    output_file: OutputFile = "",
    dtype: Dtype = None,
    select: options.Select = None,
    exclude: options.Exclude = None,
    module: options.Module = "",
    rename: Rename = None,
    everything: All = False,
    metadata: Metadata = None,
    no_metadata: NoMetadata = False,
    shard_size: ShardSize = "",
    force: Force = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    columns: options.Columns = "",
    header: options.Header = None,
    rules: options.Rules = None,
    config: options.ConfigFile = "",
    rules_file: options.RulesFile = "",
    seed: options.Seed = 0,
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
    """Write a model as safetensors, a torch state dict or npz.

    Columns of --dry-run: name, shape, dtype, nbytes, aliases, from_name, from_dtype.

    Any source will do: nothing of a pickle is run, torch is not needed for a file, and memory stays small. Tensors keep
    their bytes, names and ties; --dtype rounds as torch does. Quantised tensors become float32, or what --dtype says.
    Without --all, optimizer state stays behind. The file appears whole or not at all. A spec or factory is initialised
    first, by its rules or --rule.
    """
    from paraminspect.cli.convert import COLUMNS, How, convert_source
    from paraminspect.cli.report import split_columns
    from paraminspect.cli.rules import RuleOptions

    output = Output(output_format, colour=color, header=header)
    choice = Choice(module, tuple(select or ()), tuple(exclude or ()), everything=everything)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    how = How(
        output_file,
        dtype or "",
        tuple(rename or ()),
        tuple(metadata or ()),
        carry=not no_metadata,
        shard_size=shard_size,
        force=force,
        verify=verify,
        dry_run=dry_run,
        columns=tuple(split_columns(columns, [column.name for column in COLUMNS])),
        rules=RuleOptions(tuple(rules or ()), config, rules_file, seed),
    )
    return convert_source(source, choice, build, how, output)
