"""What `init` writes, and what of it goes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError

if TYPE_CHECKING:
    from paraminspect.library.init_wanted import Wanted

STDOUT = "-"
TABLES = ("table", "markdown")
"""Formats for people."""

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
To = Annotated[
    Literal["dcp"] | None,
    Option("--to", help="Write a folder of torch.distributed.checkpoint, whatever the name."),
]


def check_wanted(wanted: Wanted, out: Output, *, show: bool) -> None:
    if wanted.file == STDOUT:
        out.refuse_binary("a checkpoint", "-o FILE.safetensors, or a pipe")
    if show and out.format not in TABLES:
        raise ParamInspectError(f"--show prints text, not {out.format}", hint="leave out --format, or use 'show'")
    if show and wanted.file == STDOUT:
        raise ParamInspectError("--show and -o - both write to standard output", hint="-o FILE")
    options.refuse_without_output(
        wanted.file,
        {"--shard-size": wanted.shard_size, "--dtype": wanted.dtype, "--to": wanted.to, "--force": wanted.force},
    )
