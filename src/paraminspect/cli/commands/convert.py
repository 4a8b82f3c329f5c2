"""`paraminspect convert`."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.render.columns import WRITTEN

OutputFile = Annotated[
    str,
    Option(
        "--output", "-o", metavar="FILE", help="Where to: .safetensors, .pt, .npz, FOLDER/ for shards, or - for a pipe."
    ),
    Is("file"),
]
Dtype = Annotated[
    Literal["float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2"] | None,
    Option("--dtype", help="Of floating-point tensors; else each keeps its own."),
]
Rename = Annotated[
    tuple[str, ...],
    Option(
        "--rename", metavar="FROM=TO", help="Change names: 'module.*=*'. Repeatable; the first that matches counts."
    ),
    Is("rename"),
]
All = Annotated[bool, Option("--all", "-a", help="Optimizer state and all other tensors too.")]
Metadata = Annotated[
    tuple[str, ...], Option("--metadata", metavar="KEY=VALUE", help="Add to the metadata of safetensors. Repeatable.")
]
NoMetadata = Annotated[bool, Option("--no-metadata", help="Leave out the source's own metadata.")]
Verify = Annotated[bool, Option("--verify", help="Read it back and compare every byte before it is in place.")]
DryRun = Annotated[bool, Option("--dry-run", help="Print what would be written, and stop.")]


@declare(
    Table(WRITTEN, "of --dry-run"),
    examples="""
paraminspect convert training.pt --module model -o model.safetensors
paraminspect convert model.pt --dtype bfloat16 -o - | paraminspect list -
""",
)
def command(
    source: options.Source,
    *,
    output_file: OutputFile = "",
    dtype: Dtype = None,
    choose: options.Choose,
    rename: Rename = (),
    everything: All = False,
    metadata: Metadata = (),
    no_metadata: NoMetadata = False,
    shard_size: options.ShardSize = "",
    force: options.Force = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    rows: options.Rows,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """Write a model as safetensors, a torch state dict or npz.

    Any source will do: nothing of a pickle is run, torch is not needed for a file, and memory stays small. Tensors keep
    their bytes, names and ties; --dtype rounds as torch does. Quantised tensors become float32, or what --dtype says.
    Without --all, optimizer state stays behind. The file appears whole or not at all. A spec or factory is initialised
    first, by its rules or --rule.
    """
    from paraminspect.cli.convert import ConvertOptions, convert_source

    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    how = ConvertOptions(
        output_file,
        dtype or "",
        rename,
        metadata,
        carry=not no_metadata,
        shard_size=shard_size,
        force=force,
        verify=verify,
        dry_run=dry_run,
        columns=rows.choose(WRITTEN),
    )
    return convert_source(source, choice, options.asked("values", build, rules), how, output.open(rows.header))
